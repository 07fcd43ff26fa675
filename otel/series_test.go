package otelsess

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/fibersess/sess"
)

// wantEach fails for a field of S that no series tells of.
func wantEach[S any](t *testing.T, all []series[S], known ...string) {
	t.Helper()
	of := reflect.TypeFor[S]()
	for i := range of.NumField() {
		var s S
		field := reflect.ValueOf(&s).Elem().Field(i)
		switch field.Kind() {
		case reflect.Bool:
			field.SetBool(true)
		case reflect.Uint64:
			field.SetUint(1)
		default:
			field.SetInt(1)
		}
		told := false
		for _, one := range all {
			told = told || one.value(&s) != 0
		}
		if !told {
			t.Errorf("%s.%s: got no series, want one", of.Name(), of.Field(i).Name)
		}
	}
}

func TestEachNumberOfStatsIsExported(t *testing.T) {
	wantEach(t, managerSeries())
	wantEach(t, redisSeries())
	wantEach(t, memorySeries())
}

func TestStatsOfPartsAddUpToTheirSum(t *testing.T) {
	s := sess.Stats{Rejected: 10, BadSignatures: 3, Unknown: 2, Corrupt: 1, Destroyed: 5, Displaced: 2, Expired: 1, StoreErrors: 7, Conflicts: 3}
	got := map[string]int64{}
	for _, one := range managerSeries() {
		got[one.metric.name] += one.value(&s)
	}
	for name, want := range map[string]int64{"sess.session.rejections": 10, "sess.session.ends": 6, "sess.store.errors": 4, "sess.session.conflicts": 3} {
		if got[name] != want {
			t.Errorf("%s: got %d, want %d", name, got[name], want)
		}
	}
}

func metricsOf[S any](all []series[S], into map[string]metricOf) {
	for _, s := range all {
		into[s.metric.name] = s.metric
	}
}

func TestTheTableOfThePackageCommentNamesEachMetricItsKindAndItsUnit(t *testing.T) {
	want := map[string]metricOf{}
	metricsOf(managerSeries(), want)
	metricsOf(redisSeries(), want)
	metricsOf(memorySeries(), want)
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^//\t(sess\.[a-z_.]+) +(counter|up-down counter|histogram) +(\S+) +(\S.*)$`)
	rows := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(string(source), -1) {
		rows[m[1]] = true
		metric, ok := want[m[1]]
		if m[2] == "histogram" {
			continue
		}
		kind := map[bool]string{true: "counter", false: "up-down counter"}[metric.grows]
		if !ok || m[2] != kind || m[3] != metric.unit {
			t.Errorf("%s: the table says %s and %s, want %s and %s (there: %t)", m[1], m[2], m[3], kind, metric.unit, ok)
		}
	}
	for name := range want {
		if !rows[name] {
			t.Errorf("%s: got no row in the table, want one", name)
		}
	}
	if !rows["sess.store.operation.duration"] {
		t.Error("sess.store.operation.duration: got no row in the table, want one")
	}
}

func TestNamesFollowTheSemanticConventions(t *testing.T) {
	all := map[string]metricOf{}
	metricsOf(managerSeries(), all)
	metricsOf(redisSeries(), all)
	metricsOf(memorySeries(), all)
	name, unit := regexp.MustCompile(`^sess(\.[a-z][a-z_]*[a-z])+$`), regexp.MustCompile(`^(By|\{[a-z]+\})$`)
	for _, m := range all {
		if !name.MatchString(m.name) || strings.HasSuffix(m.name, "total") || strings.HasSuffix(m.name, "count") {
			t.Errorf("%s: want words in lower case behind sess, and neither total nor count at the end", m.name)
		}
		if !unit.MatchString(m.unit) {
			t.Errorf("%s: got the unit %q, want By or a noun in braces", m.name, m.unit)
		}
		if !strings.HasSuffix(m.text, ".") {
			t.Errorf("%s: got the description %q, want a sentence", m.name, m.text)
		}
		for prefix := range all { // A name must not be the namespace of another one.
			if strings.HasPrefix(m.name, prefix+".") {
				t.Errorf("%s: got the namespace %s, which is a metric; want another name", m.name, prefix)
			}
		}
	}
}
