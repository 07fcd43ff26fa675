package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	otelsess "github.com/fibersess/sess/otel"
	client "github.com/prometheus/client_golang/prometheus"
	"github.com/redis/rueidis"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
)

const (
	dashboardFile = "../../otel/grafana/sess.json"
	alertsFile    = "../../otel/prometheus/alerts.yml"
)

// panel is what the tests want to know of a panel of the dashboard.
type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct {
		Defaults struct{ Unit string }
	}
	Targets []struct{ RefID, Expr, LegendFormat string }
}

func panels(t *testing.T) []panel {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatalf("%s: got %v, want JSON", dashboardFile, err)
	}
	return dashboard.Panels
}

var (
	notMetrics = regexp.MustCompile(`\{[^}]*\}|\b(by|on|without|ignoring) *\([^)]*\)`)
	metricName = regexp.MustCompile(`\bsess_[a-z0-9_]+`)
	alertExpr  = regexp.MustCompile(`(?ms)^        expr: (.*?)^        (for|labels):`)
)

// named returns the metrics that each query of the dashboard and of the alerts names, and where it stands.
func named(t *testing.T) map[string]string {
	t.Helper()
	names := map[string]string{}
	note := func(where, expr string) {
		found := metricName.FindAllString(notMetrics.ReplaceAllString(expr, ""), -1)
		if len(found) == 0 {
			t.Errorf("%s: got no metric of ours, want one", where)
		}
		for _, name := range found {
			names[name] = where
		}
	}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			note("the panel "+p.Title, target.Expr)
		}
	}
	text, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	rules := alertExpr.FindAllStringSubmatch(string(text), -1)
	if want := strings.Count(string(text), "- alert:"); len(rules) != want {
		t.Errorf("rules found: got %d, want %d", len(rules), want)
	}
	for _, rule := range rules {
		note("a rule", rule[1])
	}
	return names
}

func TestEachMetricOfDashboardAndAlertsIsExported(t *testing.T) {
	server := redistest.Start(t)
	redis, err := sess.NewRueidisStore(rueidis.ClientOption{InitAddress: []string{server.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	registry := client.NewRegistry()
	exporter, err := prometheus.New(prometheus.WithRegisterer(registry))
	if err != nil {
		t.Fatal(err)
	}
	provider := metric.NewMeterProvider(metric.WithReader(exporter))
	hooks, err := otelsess.Hooks(provider)
	if err != nil {
		t.Fatal(err)
	}
	memory := sess.NewMemoryStore()
	m, err := sess.NewManager(sess.Config{Store: memory, Hooks: hooks})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := otelsess.Register(provider, m, memory, redis); err != nil {
		t.Fatal(err)
	}
	hooks.Store("get", 0, nil)

	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	exported := map[string]bool{}
	for _, family := range families {
		exported[family.GetName()] = true
		if family.GetType().String() == "HISTOGRAM" {
			exported[family.GetName()+"_bucket"], exported[family.GetName()+"_count"], exported[family.GetName()+"_sum"] = true, true, true
		}
	}
	names := named(t)
	for name, where := range names {
		if !exported[name] {
			t.Errorf("%s: names %s, which is not exported", where, name)
		}
	}
	if len(names) < 15 {
		t.Errorf("metrics named: got %d, want 15 or more, or the test reads nothing", len(names))
	}
}

func TestPanelsOfTheDashboardAreExplainedAndDoNotOverlap(t *testing.T) {
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range panels(t) {
		if ids[p.ID] || p.ID == 0 {
			t.Errorf("%s: got the id %d, want one of its own", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" && (p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0) {
			t.Errorf("%s: want a description, a unit and a query", p.Title)
		}
		g := p.GridPos
		if g.X+g.W > 24 || g.W == 0 || g.H == 0 {
			t.Errorf("%s: got %d columns from %d on, want 24 at most", p.Title, g.W, g.X)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok {
					t.Fatalf("%s: lies over %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

func TestEachAlertIsExplainedInTheDocumentation(t *testing.T) {
	text, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(string(docs), "`"+m[1]+"`") {
			t.Errorf("%s: does not stand in docs/operations.md", m[1])
		}
	}
}

// Each alert fires where it should, and none on a healthy site: alerts_test.yml says what is what.
func TestAlertsFireWhereTheyShould(t *testing.T) {
	requirePrometheus(t)
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.Command("promtool", args...)
		cmd.Dir = "../../otel/prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: got %v, want success:\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// requirePrometheus skips a test where Prometheus is not installed, or fails it if the variable CI is set.
func requirePrometheus(t *testing.T) {
	t.Helper()
	for _, program := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		const missing = "%s is not in PATH; install it (Debian: apt-get install prometheus)"
		if os.Getenv("CI") != "" {
			t.Fatalf(missing, program)
		}
		t.Skipf(missing, program)
	}
}
