package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/valyala/fasthttp"
)

// A driver sends one contestant requests, one after the other, from one goroutine.
type driver interface {
	// get asks for path with this Cookie header; none is sent if cookie is empty. The body is valid until the next
	// get.
	get(path, cookie string) (status int, body []byte)

	// cookie returns the Cookie header with which a browser would go on after the last answer; empty if it set none.
	cookie() string
}

// fasthttpDriver calls a handler as fasthttp's server would, with one RequestCtx for all requests. The header is
// parsed anew for each, so that no contestant finds its cookies already taken apart.
type fasthttpDriver struct {
	handler fasthttp.RequestHandler
	ctx     fasthttp.RequestCtx
	text    []byte
	source  bytes.Reader
	reader  *bufio.Reader
}

func newFasthttpDriver(handler fasthttp.RequestHandler) *fasthttpDriver {
	d := &fasthttpDriver{handler: handler}
	d.ctx.Init(&fasthttp.Request{}, nil, nil)
	d.reader = bufio.NewReader(&d.source)
	return d
}

func (d *fasthttpDriver) get(path, cookie string) (int, []byte) {
	d.text = append(append(append(d.text[:0], "GET "...), path...), " HTTP/1.1\r\nHost: localhost\r\n"...)
	if cookie != "" {
		d.text = append(append(append(d.text, "Cookie: "...), cookie...), "\r\n"...)
	}
	d.text = append(d.text, "\r\n"...)
	d.source.Reset(d.text)
	d.reader.Reset(&d.source)

	d.ctx.ResetUserValues()
	d.ctx.Request.Reset()
	d.ctx.Response.Reset()
	if err := d.ctx.Request.Header.Read(d.reader); err != nil {
		panic(fmt.Sprintf("bench: own request: %v", err))
	}
	d.handler(&d.ctx)
	return d.ctx.Response.StatusCode(), d.ctx.Response.Body()
}

func (d *fasthttpDriver) cookie() string {
	var pairs []string
	for _, v := range d.ctx.Response.Header.Cookies() {
		var c fasthttp.Cookie
		if c.ParseBytes(v) == nil {
			pairs = append(pairs, string(c.Key())+"="+string(c.Value()))
		}
	}
	return strings.Join(pairs, "; ")
}

// httpDriver calls a net/http handler with one request and one response for all.
type httpDriver struct {
	handler http.Handler
	fresh   map[string]*http.Request // by path
	request http.Request             // handlers may write to it: a copy of the fresh one each time
	sent    [1]string
	answer  recorder
}

func newHTTPDriver(handler http.Handler) *httpDriver {
	return &httpDriver{handler: handler, fresh: map[string]*http.Request{}, answer: recorder{header: http.Header{}}}
}

func (d *httpDriver) get(path, cookie string) (int, []byte) {
	fresh := d.fresh[path]
	if fresh == nil {
		r, err := http.NewRequest(http.MethodGet, path, nil)
		if err != nil {
			panic(fmt.Sprintf("bench: own request: %v", err))
		}
		r.Host, r.RequestURI, fresh = "localhost", path, r
		d.fresh[path] = r
	}
	if cookie == "" {
		delete(fresh.Header, "Cookie")
	} else {
		d.sent[0] = cookie
		fresh.Header["Cookie"] = d.sent[:]
	}
	d.request = *fresh
	clear(d.answer.header)
	d.answer.status, d.answer.body = http.StatusOK, d.answer.body[:0]
	d.handler.ServeHTTP(&d.answer, &d.request)
	return d.answer.status, d.answer.body
}

func (d *httpDriver) cookie() string { return cookiePairs(d.answer.header) }

// recorder is a ResponseWriter that keeps the answer. It is reused, as httptest's cannot be.
type recorder struct {
	header http.Header
	status int
	body   []byte
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) { r.status = status }

func (r *recorder) Write(p []byte) (int, error) {
	r.body = append(r.body, p...)
	return len(p), nil
}

func (r *recorder) WriteString(s string) (int, error) {
	r.body = append(r.body, s...)
	return len(s), nil
}

// wireDriver sends requests to a server that listens on this machine.
type wireDriver struct {
	address string // host:port
	client  http.Client
	answer  *http.Response
}

func (d *wireDriver) get(path, cookie string) (int, []byte) {
	r, err := http.NewRequest(http.MethodGet, "http://"+d.address+path, nil)
	if err != nil {
		return 0, []byte(err.Error())
	}
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	if d.answer, err = d.client.Do(r); err != nil {
		d.answer = nil
		return 0, []byte(err.Error())
	}
	defer d.answer.Body.Close()
	body, err := io.ReadAll(d.answer.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return d.answer.StatusCode, body
}

func (d *wireDriver) cookie() string {
	if d.answer == nil {
		return ""
	}
	return cookiePairs(d.answer.Header)
}

// cookiePairs is the Cookie header that answers the Set-Cookie lines of header.
func cookiePairs(header http.Header) string {
	var pairs []string
	for _, line := range header["Set-Cookie"] {
		pair, _, _ := strings.Cut(line, ";")
		pairs = append(pairs, pair)
	}
	return strings.Join(pairs, "; ")
}
