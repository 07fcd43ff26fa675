package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/fibersess/sess/internal/redistest"
)

// running starts the program, and returns what it says of its addresses.
func running(t *testing.T, redis string) (site, numbers string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	said, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, "127.0.0.1:0", "127.0.0.1:0", redis, out)
		out.Close()
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: got the error %v, want none", err)
		}
	})
	lines := bufio.NewScanner(said)
	address := func(before string) string {
		lines.Scan()
		at, ok := strings.CutPrefix(lines.Text(), before)
		if !ok {
			t.Fatalf("the program says: got %q, want %q first", lines.Text(), before)
		}
		return at
	}
	return address("the site: "), address("its numbers: ")
}

// scrape is what Prometheus does: the values of all series, by their text.
func scrape(t *testing.T, numbers string) map[string]float64 {
	t.Helper()
	res, err := http.Get(numbers)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 {
		t.Fatalf("GET /metrics: got the status %d, want 200", res.StatusCode)
	}
	series := map[string]float64{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if name, value, ok := cutLast(lines.Text()); ok && !strings.HasPrefix(name, "#") {
			if series[name], err = strconv.ParseFloat(value, 64); err != nil {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
	return series
}

func cutLast(line string) (before, after string, ok bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return "", "", false
	}
	return line[:i], line[i+1:], true
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport}
}

func wantText(t *testing.T, want string, res *http.Response, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); strings.TrimSpace(string(body)) != want {
		t.Errorf("the site: got %d %q, want %q", res.StatusCode, body, want)
	}
}

func TestPrometheusIsToldOfTheSessionsOfTheSite(t *testing.T) {
	server := redistest.Start(t)
	for redis, own := range map[string][]string{
		"":          {`sess_memory_limit{sess_store_name="memory"}`},
		server.Addr: {`sess_near_cache_enabled{sess_store_name="redis"}`, `sess_near_cache_reporting{sess_store_name="redis"}`},
	} {
		site, numbers := running(t, redis)
		ann := newBrowser(t)
		res, err := ann.PostForm(site+"/login", url.Values{"user": {"ann"}})
		wantText(t, "hello ann", res, err)
		res, err = ann.Get(site + "/?count=1")
		wantText(t, "hello ann, visit 1", res, err)
		res, err = ann.Get(site + "/")
		wantText(t, "hello ann", res, err)
		res, err = ann.Post(site+"/logout", "", nil)
		wantText(t, "logged out", res, err)

		got := scrape(t, numbers)
		for series, want := range map[string]float64{
			`sess_session_loads_total{sess_name="koa.sid"}`:                                       3,
			`sess_session_writes_total{sess_name="koa.sid",sess_write="create"}`:                  1,
			`sess_session_writes_total{sess_name="koa.sid",sess_write="change"}`:                  1,
			`sess_session_ends_total{sess_name="koa.sid",sess_reason="destroyed"}`:                1,
			`sess_store_errors_total{sess_name="koa.sid"}`:                                        0,
			`sess_store_operation_duration_seconds_bucket{sess_store_operation="swap",le="+Inf"}`: got[`sess_store_operation_duration_seconds_count{sess_store_operation="swap"}`],
			`sess_session_rejections_total{sess_name="koa.sid",sess_reason="signature"}`:          0,
		} {
			if got[series] != want {
				t.Errorf("%s: got %v, want %v", series, got[series], want)
			}
		}
		for _, series := range own {
			if got[series] < 1 {
				t.Errorf("%s: got %v, want 1 or more", series, got[series])
			}
		}
	}
}

func TestNoIDStandsInTheNumbers(t *testing.T) {
	site, numbers := running(t, "")
	ann := newBrowser(t)
	res, err := ann.PostForm(site+"/login", url.Values{"user": {"a-name-to-look-for"}})
	wantText(t, "hello a-name-to-look-for", res, err)
	at, _ := url.Parse(site)
	secret := regexp.MustCompile(regexp.QuoteMeta(ann.Jar.Cookies(at)[0].Value) + "|a-name-to-look-for")
	for series := range scrape(t, numbers) {
		if secret.MatchString(series) {
			t.Errorf("%s: got an id or a user's name in a label, want none", series)
		}
	}
}
