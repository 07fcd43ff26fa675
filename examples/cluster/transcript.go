package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

// printTranscript shows by requests to the site what two nodes have in common. A line is printed when it came true; the
// error is the first that did not.
func printTranscript(ctx context.Context, site string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	t := &transcript{ctx: ctx, site: site}
	ann := &http.Client{Jar: jar}

	t.line(ann, "POST /login", "a", 200, "ann", "new id, new session")
	t.line(ann, "GET  /me", "b", 200, "ann", "the other node has it, and keeps it in memory")
	kept := t.copyOf(ann)
	t.line(ann, "POST /logout", "a", 200, "logged out", "")
	t.line(kept, "GET  /admin", "b", 401, "not logged in", "with the old cookie: out at once, by sess.Strict")

	t.line(ann, "POST /login", "a", 200, "ann", "")
	t.line(ann, "GET  /me", "b", 200, "ann", "")
	t.line(ann, "GET  /admin", "a", 200, "ann", "the same handler behind sess.Strict")
	kept = t.copyOf(ann)
	t.line(ann, "POST /logout", "b", 200, "logged out", "the other way round")
	t.lineWithin(maxStale, kept, "GET  /me", "a", 401, "not logged in", "with the old cookie: out within MaxStale, "+maxStale.String())
	return t.err
}

// transcript prints lines until one of them is not as promised.
type transcript struct {
	ctx  context.Context
	site string
	err  error
}

// answer is what a node said.
type answer struct {
	node   string
	status int
	text   string
}

// line asks for "METHOD /path" and prints the answer, which must be as told.
func (t *transcript) line(who *http.Client, request, node string, status int, text, note string) {
	want := answer{node, status, text}
	if got := t.ask(who, request); t.err == nil && got != want {
		t.err = fmt.Errorf("%s: got %v, want %v", request, got, want)
	}
	t.print(request, want, note)
}

// lineWithin is line for an answer that may take a while to become as told. Every second request meets the node.
func (t *transcript) lineWithin(d time.Duration, who *http.Client, request, node string, status int, text, note string) {
	want := answer{node, status, text}
	for start := time.Now(); t.err == nil; {
		late := time.Since(start) > d
		got := t.ask(who, request)
		if got == want {
			break
		}
		if late && got.node == node {
			t.err = fmt.Errorf("%s: got %v after %v, want %v", request, got, d, want)
		}
	}
	t.print(request, want, note)
}

func (t *transcript) print(request string, a answer, note string) {
	if t.err == nil {
		fmt.Println(strings.TrimSpace(fmt.Sprintf("%-13s node %s  %d %-14s %s", request, a.node, a.status, a.text, note)))
	}
}

// ask does one request. What is posted is the name of a user.
func (t *transcript) ask(who *http.Client, request string) (a answer) {
	if t.err != nil {
		return a
	}
	method, path, _ := strings.Cut(request, " ")
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader("user=ann")
	}
	req, err := http.NewRequestWithContext(t.ctx, method, t.site+strings.TrimSpace(path), body)
	if err != nil {
		t.err = err
		return a
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := who.Do(req)
	if err != nil {
		t.err = err
		return a
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	t.err = err
	return answer{resp.Header.Get("X-Node"), resp.StatusCode, strings.TrimSpace(string(text))}
}

// copyOf returns a client that has the cookies of who and keeps them, as somebody does who copied them.
func (t *transcript) copyOf(who *http.Client) *http.Client {
	site, err := url.Parse(t.site)
	if err != nil {
		t.err = err
		return who
	}
	return &http.Client{Jar: copied(who.Jar.Cookies(site))}
}

// copied is a jar that does not change.
type copied []*http.Cookie

func (c copied) Cookies(*url.URL) []*http.Cookie { return c }

func (copied) SetCookies(*url.URL, []*http.Cookie) {}
