// Command cluster is one web site of two processes, a and b, that share their sessions through one Redis:
//
//	go run ./examples/cluster
//
// logs a user in on one node, reads the session on the other, ends it on either and shows when the other one knows.
// Then it listens, for a browser or curl; with -once it ends. node.go is what such a process is made of. The page draws
// what each node says of the session, ten times a second, from memory and by sess.Strict; link.go can make node b hear late.
//
// It needs redis-server, unless REDIS_URL names a Redis. SESSION_KEY is the key that signs the cookies; without it, it is a
// random one of this run.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/fibersess/sess/examples/web"
)

//go:embed page.html
var page string

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`host:port` to listen on")
	once := flag.Bool("once", false, "end after the transcript")
	flag.Parse()
	switch flag.Arg(0) { // the program starts itself with these
	case "redis":
		runChild(serveRedis)
		return
	case "node":
		runChild(func(ctx context.Context) error { return serveNode(ctx, flag.Arg(1)) })
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *once); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "examples/cluster:", err)
		os.Exit(1)
	}
}

// run starts everything, prints the transcript and serves until ctx ends or a process does. All that it started has
// ended when it returns.
func run(ctx context.Context, addr string, once bool) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("%w; want an -addr that is free", err)
	}
	defer l.Close()
	ctx, fail := context.WithCancelCause(ctx)
	procs := &children{fail: fail}
	defer procs.all.Wait()
	defer fail(nil)

	nodes, toB, err := startSite(ctx, procs)
	if err != nil {
		return err
	}
	if toB != nil {
		defer toB.Close()
	}
	go func() { fail(http.Serve(l, balance(nodes, toB))) }()
	site := "http://" + l.Addr().String()
	if err := printTranscript(ctx, site); err != nil || once {
		return err
	}
	fmt.Printf("\nclick at %s/ or, with curl -b jar -c jar, go on as above; ctrl-c ends it\n", site)
	<-ctx.Done()
	return context.Cause(ctx)
}

// startSite starts a Redis, if there is none, and two nodes on it, and returns the addresses of the nodes. Node b has a link
// to that Redis, nil if the Redis was there before.
func startSite(ctx context.Context, procs *children) (nodes []string, toB *link, err error) {
	redis := os.Getenv("REDIS_URL")
	urls := map[string]string{"a": redis, "b": redis}
	if redis == "" {
		addr, err := procs.start(ctx, "redis")
		if err != nil {
			return nil, nil, err
		}
		if toB, err = newLink(addr); err != nil {
			return nil, nil, err
		}
		urls["a"], urls["b"] = "redis://"+addr, "redis://"+toB.Addr().String()
	} else if _, err := redisOption(redis); err != nil {
		return nil, nil, err
	}
	// A real site reads both from where it keeps its secrets. What matters is that all nodes have the same ones.
	key := "SESSION_KEY=" + cmp.Or(os.Getenv("SESSION_KEY"), rand.Text())
	for _, name := range []string{"a", "b"} {
		procs.env = []string{"REDIS_URL=" + urls[name], key}
		addr, err := procs.start(ctx, "node", name)
		if err != nil {
			return nil, toB, err
		}
		nodes = append(nodes, addr)
	}
	return nodes, toB, nil
}

// balance sends each request to the next node, or to the one that it names by ?node=, and answers the page itself.
func balance(nodes []string, toB *link) http.Handler {
	var turn atomic.Uint64
	mux := http.NewServeMux()
	web.Handle(mux)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page) })
	if toB != nil {
		mux.HandleFunc("POST /slow", func(_ http.ResponseWriter, r *http.Request) { toB.slow.Store(r.URL.Query().Get("on") == "true") })
	}
	mux.Handle("/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		n := slices.Index([]string{"a", "b"}, r.In.URL.Query().Get("node"))
		if n < 0 {
			n = int((turn.Add(1) - 1) % uint64(len(nodes)))
		}
		r.SetURL(&url.URL{Scheme: "http", Host: nodes[n]})
		r.SetXForwarded() // and drops what the client says of itself
	}})
	return mux
}
