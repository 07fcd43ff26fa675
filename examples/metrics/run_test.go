package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/redis/rueidis"
)

var picture = flag.String("picture", "", "draw the dashboard of a run of three minutes into this `file`")

// node is one of those that serve the users of the run.
type node struct {
	site     string
	numbers  string
	sessions *sess.Manager
}

func startNode(t *testing.T, option rueidis.ClientOption, config sess.RueidisConfig) node {
	t.Helper()
	store, err := sess.NewRueidisStore(option, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s, err := newSite(sess.Config{Store: store, Keys: sess.Keys("a key of this test, 32 bytes ...")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	public, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.app.Listener(public) }()
	t.Cleanup(func() { _ = s.app.Shutdown() })
	private := httptest.NewServer(s.metrics)
	t.Cleanup(private.Close)
	return node{"http://" + public.Addr().String(), private.Listener.Addr().String(), s.sessions}
}

// watcher is a Prometheus that scrapes the nodes once a second and evaluates the alerts.
type watcher struct{ url string }

func startPrometheus(t *testing.T, nodes ...node) watcher {
	t.Helper()
	requirePrometheus(t)
	rules, err := filepath.Abs(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n- job_name: site\n  static_configs:\n", rules)
	for i, n := range nodes {
		config += fmt.Sprintf("  - {targets: [%q], labels: {instance: node %c}}\n", n.numbers, 'a'+i)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	cmd := exec.Command("prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr, "--log.level=error")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	w := watcher{"http://" + addr}
	within(t, 20*time.Second, "Prometheus answers", func() bool {
		res, err := http.Get(w.url + "/-/ready")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == 200
	})
	within(t, 20*time.Second, "Prometheus has scraped each node", func() bool {
		var found struct{ Result []any }
		w.ask(t, "query", url.Values{"query": {"up == 1"}}, &found)
		return len(found.Result) == len(nodes)
	})
	return w
}

func within(t *testing.T, limit time.Duration, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v, want it", what, limit)
		}
	}
}

// ask decodes into data what Prometheus answers.
func (w watcher) ask(t *testing.T, path string, query url.Values, data any) {
	t.Helper()
	res, err := http.Get(w.url + "/api/v1/" + path + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Status != "success" {
		t.Fatalf("Prometheus, %s: got %q, %q and the error %v, want success", query.Get("query"), answer.Status, answer.Error, err)
	}
}

// curve is a series of a panel: a value for each second, NaN where there is none.
type curve struct {
	label  string
	values []float64
}

// curves are the series of a panel between two instants.
func (w watcher) curves(t *testing.T, p panel, from, to time.Time) (all []curve) {
	t.Helper()
	fill := strings.NewReplacer("$__rate_interval", "10s", "$job", ".+", "$instance", ".+")
	for _, target := range p.Targets {
		var found struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
		w.ask(t, "query_range", url.Values{
			"query": {fill.Replace(target.Expr)}, "step": {"1"},
			"start": {fmt.Sprint(from.Unix())}, "end": {fmt.Sprint(to.Unix())},
		}, &found)
		for _, series := range found.Result {
			c := curve{target.LegendFormat, make([]float64, to.Unix()-from.Unix()+1)}
			for name, value := range series.Metric {
				c.label = strings.ReplaceAll(c.label, "{{"+name+"}}", value)
			}
			for i := range c.values {
				c.values[i] = math.NaN()
			}
			for _, v := range series.Values {
				at, _ := v[0].(float64)
				text, _ := v[1].(string)
				if value, err := strconv.ParseFloat(text, 64); err == nil {
					c.values[int64(at)-from.Unix()] = value
				}
			}
			all = append(all, c)
		}
	}
	return all
}

// user visits the nodes in turn until stop is closed: logs in, visits, logs out, each time with so many requests. To a browser the two nodes are one host, so its
// cookie goes to both.
func user(t *testing.T, name string, requests int, nodes []node, stop <-chan struct{}) {
	browser := newBrowser(t)
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-pace.C:
		}
		n := nodes[i%len(nodes)]
		var res *http.Response
		var err error
		switch at := i % requests; {
		case at == 0:
			if res, err = browser.PostForm(n.site+"/login", url.Values{"user": {name}}); err == nil {
				hold(n, res)
			}
		case at == requests-1:
			res, err = browser.Post(n.site+"/logout", "", nil)
		case at%10 == 5:
			res, err = browser.Get(n.site + "/?count=1")
		default:
			res, err = browser.Get(n.site + "/")
		}
		if err == nil {
			res.Body.Close()
		}
	}
}

// hold opens a Live on the session of the cookie that a login has answered, as a socket would. It ends with the session.
func hold(n node, login *http.Response) {
	for _, cookie := range login.Cookies() {
		if id, err := sess.ParseID(cookie.Value); err == nil && cookie.Name == "koa.sid" {
			_, _ = n.sessions.Open(context.Background(), id)
		}
	}
}

// forge presents ids without a good signature, as fast as a user works.
func forge(nodes []node, stop <-chan struct{}) {
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-pace.C:
		}
		r, err := http.NewRequest("GET", nodes[i%len(nodes)].site+"/", nil)
		if err != nil {
			return
		}
		r.Header.Set("Cookie", fmt.Sprintf("koa.sid=a-guess-of-somebody-%012d; koa.sid.sig=AAAAAAAAAAAAAAAAAAAAAAAAAAA", i))
		if res, err := http.DefaultClient.Do(r); err == nil {
			res.Body.Close()
		}
	}
}

// A whole run with a real Prometheus: Redis killed and back without its data, and somebody who guesses cookies. Of the three nodes
// node b has a near cache that is too small, and node c may not have reports of changes.
func TestDashboardAndAlertsTellWhatHappened(t *testing.T) {
	requirePrometheus(t)
	server := redistest.Start(t, "--user", "unreported", "on", ">password", "~*", "&*", "+@all", "-client|tracking")
	second, requests := time.Second/10, 40
	if *picture != "" {
		second, requests = time.Second, 150
	}
	option := rueidis.ClientOption{InitAddress: []string{server.Addr}}
	nodes := []node{startNode(t, option, sess.RueidisConfig{}), startNode(t, option, sess.RueidisConfig{NearCacheBytes: 2 << 10})}
	option.Username, option.Password = "unreported", "password"
	nodes = append(nodes, startNode(t, option, sess.RueidisConfig{}))
	w := startPrometheus(t, nodes...)
	stop := make(chan struct{})
	var load sync.WaitGroup
	defer load.Wait()
	defer close(stop)
	for i := range 12 {
		load.Go(func() { user(t, fmt.Sprintf("user %d", i), requests, nodes, stop) })
	}

	began := time.Now()
	var events []event
	note := func(what string) { events = append(events, event{time.Since(began), what}) }
	time.Sleep(40 * second)
	note("Redis is killed")
	server.Kill()
	time.Sleep(15 * second)
	note("it is back, without its data")
	server.Restart()
	time.Sleep(45 * second)
	note("somebody guesses cookies")
	guessing := make(chan struct{})
	load.Go(func() { forge(nodes, guessing) })
	time.Sleep(20 * second)
	close(guessing)
	note("the guessing ends")
	time.Sleep(40 * second)
	ended := time.Now()

	most := map[string]float64{}
	var shown []drawn
	for _, p := range panels(t) {
		curves := w.curves(t, p, began, ended)
		shown = append(shown, drawn{p, curves})
		for _, c := range curves {
			for _, v := range c.values {
				if !math.IsNaN(v) {
					most[p.Title] = max(most[p.Title], v)
				}
			}
		}
	}
	for _, title := range []string{"Store errors", "Rejected", "Sessions found", "Writes", "Ends and renewals", "Open Lives", "Time of a store's call",
		"Calls of the store", "Reads served from memory", "Near cache reporting", "Evictions and flushes", "Size", "Changes reported"} {
		if most[title] == 0 {
			t.Errorf("the panel %s: got nothing above 0 in the run, want something", title)
		}
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError, State string }
		}
	}
	w.ask(t, "rules", nil, &rules)
	for _, rule := range rules.Groups[0].Rules {
		if rule.Health != "ok" {
			t.Errorf("%s: got %s, %q, want ok", rule.Name, rule.Health, rule.LastError)
		}
		if rule.Name == "SessionNearCacheOff" && rule.State == "inactive" {
			t.Errorf("%s: got %s while node c has no reports, want pending", rule.Name, rule.State)
		}
	}
	if *picture != "" {
		if err := os.WriteFile(*picture, []byte(draw(shown, events, ended.Sub(began))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
