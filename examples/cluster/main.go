// Command cluster is one web site of two processes, a and b, that share their sessions through one Redis:
//
//	go run ./examples/cluster
//
// logs a user in on one node, reads the session on the other, ends it on either and shows when the other one knows.
// Then it listens, for a browser or curl; with -once it ends. node.go is what such a process is made of.
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
	"sync/atomic"
	"syscall"
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

	nodes, err := startSite(ctx, procs)
	if err != nil {
		return err
	}
	go func() { fail(http.Serve(l, balance(nodes))) }()
	site := "http://" + l.Addr().String()
	if err := printTranscript(ctx, site); err != nil || once {
		return err
	}
	fmt.Printf("\nclick at %s/ or, with curl -b jar -c jar, go on as above; ctrl-c ends it\n", site)
	<-ctx.Done()
	return context.Cause(ctx)
}

// startSite starts a Redis, if there is none, and two nodes on it, and returns the addresses of the nodes.
func startSite(ctx context.Context, procs *children) (nodes []string, err error) {
	redis := os.Getenv("REDIS_URL")
	if redis == "" {
		addr, err := procs.start(ctx, "redis")
		if err != nil {
			return nil, err
		}
		redis = "redis://" + addr
	} else if _, err := redisOption(redis); err != nil {
		return nil, err
	}
	// A real site reads both from where it keeps its secrets. What matters is that all nodes have the same ones.
	procs.env = []string{"REDIS_URL=" + redis, "SESSION_KEY=" + cmp.Or(os.Getenv("SESSION_KEY"), rand.Text())}
	for _, name := range []string{"a", "b"} {
		addr, err := procs.start(ctx, "node", name)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, addr)
	}
	return nodes, nil
}

// balance sends each request to the next node, and answers the page itself.
func balance(nodes []string) http.Handler {
	var turn atomic.Uint64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page) })
	mux.Handle("/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		n := turn.Add(1) - 1
		r.SetURL(&url.URL{Scheme: "http", Host: nodes[n%uint64(len(nodes))]})
		r.SetXForwarded() // and drops what the client says of itself
	}})
	return mux
}
