package main

import (
	"fmt"
	"maps"
	"net"
	"regexp"
	"strings"

	"github.com/valyala/fasthttp"
)

// A contestant is one session layer, or one bare framework, doing the same work as all the others.
type contestant struct {
	id      string   // stands in flags, benchmark names and the results: "scs-redis"
	name    string   // stands in tables and plots: "scs, redisstore"
	bare    string   // id of its framework without sessions; its own for such a framework
	modules []string // what its figures depend on: Go modules, npm packages for Node
	redis   bool     // it keeps its sessions in Redis
	node    bool     // node/server.js runs it; open is nil
	lacks   []string // what a rival leaves out that sess does, for the reader to weigh where the rival takes less

	// open makes its application. redis is the server's host:port and empty without need of one.
	open func(redis string) (app, error)
}

// What rivals leave out. The page explains these words above the table that has them.
const (
	noMiddleware = "middleware"
	noSignature  = "signature"
	noMerge      = "merge"
	noRefusal    = "refusal"
	noEnd        = "end"
	noIsolation  = "isolation"
)

// isBare reports whether c is a framework without sessions, there to be compared with.
func (c contestant) isBare() bool { return c.id == c.bare }

// inMemory reports whether c keeps its sessions in its own process.
func (c contestant) inMemory() bool { return !c.redis && !c.isBare() }

// An app is a contestant at work.
type app struct {
	serve  func(net.Listener) error // over TCP, as its framework's users would run it
	driver func() driver            // in this process, without a socket
}

// contestants returns all of them, in the order of the tables.
func contestants() []contestant {
	all := []contestant{bareFasthttp, bareFiber, bareFiber3, bareNetHTTP, bareKoa, bareExpress}
	all = append(all, sessContestants()...)
	return append(all,
		fiberMemory, fiberRedis,
		fiber3Memory,
		fasthttpSessionMemory, fasthttpSessionRedis,
		scsMemory, scsRedis,
		gorillaRedis,
		koaMemory, koaRedis,
		expressMemory, expressRedis,
	)
}

// find returns the contestant of that id.
func find(id string) (contestant, error) {
	for _, c := range contestants() {
		if c.id == id {
			return c, nil
		}
	}
	return contestant{}, fmt.Errorf("bench: contestant %q: unknown; want one of %s", id, strings.Join(ids(contestants()), ", "))
}

// choose returns the contestants whose whole id matches pattern, and the bare frameworks they are compared with.
func choose(pattern string) ([]contestant, error) {
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, fmt.Errorf("bench: -contestants: %w", err)
	}
	wanted := map[string]bool{}
	for _, c := range contestants() {
		if re.MatchString(c.id) {
			wanted[c.id], wanted[c.bare] = true, true
		}
	}
	var chosen []contestant
	for _, c := range contestants() {
		if wanted[c.id] {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("bench: -contestants: %q matches none; want some of %s", pattern, strings.Join(ids(contestants()), ", "))
	}
	return chosen, nil
}

func ids(cs []contestant) []string {
	var ids []string
	for _, c := range cs {
		ids = append(ids, c.id)
	}
	return ids
}

// work is what every contestant does, in its framework's own kind of handler. All are reached by GET, under the path
// that stands beside them.
type work[H any] struct {
	// login makes the handlers of the paths of logins: each sets these values in a new session.
	login     func(values []field) H
	read      H // /read: answers the session's name, a line feed, its e-mail address
	count     H // /count: adds one to the session's count, answers "ok"
	peek      H // /peek: answers the session's count
	create    H // /create: sets the name in a new session, answers "ok"
	anonymous H // /anonymous: answers "ok" and leaves the session alone

	// more has the paths that not everybody answers: /write sets one value to another one without having read it.
	more map[string]H
}

func (w work[H]) routes() map[string]H {
	routes := map[string]H{
		read.path:      w.read,
		count.path:     w.count,
		"/peek":        w.peek,
		create.path:    w.create,
		anonymous.path: w.anonymous,
	}
	maps.Copy(routes, w.more)
	for path, values := range logins() {
		routes[path] = w.login(values)
	}
	return routes
}

// fasthttpApp is an app whose handler fasthttp can call.
func fasthttpApp(handler fasthttp.RequestHandler, serve func(net.Listener) error) app {
	return app{serve: serve, driver: func() driver { return newFasthttpDriver(handler) }}
}
