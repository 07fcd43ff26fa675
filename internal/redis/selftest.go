package redis

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fibersess/sess/internal/near"
	"github.com/redis/rueidis"
)

const (
	// probeTimeout is how long the server may take to report the change that the self-test makes.
	probeTimeout = time.Second

	// probeTTL is how long a key of the self-test lives if it is not removed.
	probeTTL = 10 * time.Second
)

// selfTest does to a key of its own what the store does to records, on every master that it knows of, so that what a
// server refuses is known at start-up and not when a user logs out. What a full server refuses, or one that lacks its
// replicas or its disk, passes; it is a warning. A master of a cluster that does not answer costs its own users only.
func (s *Store) selfTest(ctx context.Context, client rueidis.Client) error {
	var trials []*trial
	var all sync.WaitGroup
	for _, key := range s.probeKeys() {
		t := &trial{s: s, ctx: ctx, client: client, key: key}
		trials = append(trials, t)
		all.Go(t.run)
	}
	all.Wait()
	var away error
	answered := false
	refusals := make(map[string]bool)
	for _, t := range trials {
		switch {
		case t.err == nil:
			answered = true
		case t.away:
			away = t.err
		default:
			return t.err
		}
		for _, r := range t.refusals {
			refusals[r] = true
		}
	}
	if !answered {
		return away
	}
	for r := range refusals {
		s.Logger.Warn(fmt.Sprintf("sess: redis start: the server takes no changes at present: it replied %q. "+
			"Sessions are read; what changes them fails until that has passed", r))
	}
	return nil
}

// probeKeys returns a key for each master, one if they are not known. No id holds a space: they are nobody's.
func (s *Store) probeKeys() []string {
	key := func() string { return s.Prefix + "self test " + rand.Text() }
	o := s.slots.owners.Load()
	if o == nil {
		return []string{key()}
	}
	var keys []string
	found := make(map[slot]bool)
	for tries := 0; len(found) < len(o.bounds) && tries < 1000*len(o.bounds); tries++ {
		k := key()
		if b := s.slots.of(k); !found[b] {
			found[b] = true
			keys = append(keys, k)
		}
	}
	return keys
}

// trial is a self-test on one key.
type trial struct {
	s        *Store
	ctx      context.Context
	client   rueidis.Client
	key      string
	refusals []string // the server's words for what will pass
	err      error    // why it was given up
	away     bool     // because the server did not answer
}

// step is one thing that a store does, and the permissions that it takes.
type step struct {
	need string
	try  func(t *trial) error
}

// The values of the key, in the order in which the self-test expects them. The last is what no session may look like.
const (
	probeFirst  = `{"v":1}`
	probeSecond = `{"v":2}`
	probeGrave  = `{"$":{"g":true}}`
)

// steps is what a store does. Each works also where the steps before were refused for a reason that passes.
var steps = []step{
	{"+set", func(t *trial) error { return t.set(probeFirst) }},
	{"+getex", func(t *trial) error { return t.do(t.b().Getex().Key(t.key).Build()) }},
	{"+pttl", func(t *trial) error { return t.do(t.b().Pttl().Key(t.key).Build()) }},
	{"+evalsha +get +getex +set", func(t *trial) error {
		return t.known(t.s.swap.evalsha(t.b(), t.key, probeFirst, t.ttl(), probeSecond))
	}},
	{"+eval +get +set", func(t *trial) error {
		t.prepare(probeFirst)
		return t.do(t.s.swap.eval(t.b(), t.key, probeFirst, t.ttl(), probeSecond))
	}},
	{"+eval +getex +pttl", func(t *trial) error { return t.do(t.s.swap.eval(t.b(), t.key, "another", t.ttl())) }},
	{"+pexpire", func(t *trial) error { return t.do(t.s.swap.eval(t.b(), t.key, probeSecond, t.ttl())) }},
	{"+eval +del", func(t *trial) error { return t.do(t.s.swap.eval(t.b(), t.key, probeSecond)) }},
	{"+evalsha +getex +del", func(t *trial) error { return t.known(t.s.ending.evalsha(t.b(), t.key)) }},
	{"+eval +getex +del", func(t *trial) error {
		t.prepare(probeFirst)
		return t.do(t.s.ending.eval(t.b(), t.key))
	}},
	{"+eval +getex +pttl", func(t *trial) error {
		t.prepare(probeGrave)
		return t.do(t.s.ending.eval(t.b(), t.key))
	}},
	{"+del", func(t *trial) error { return t.do(t.b().Del().Key(t.key).Build()) }},
}

// indexSteps are those of the index of users' sessions, which stands under a key of its own. They come last: the key holds
// nothing any more.
var indexSteps = []step{
	{"+eval +time +zadd +zincrby +pttl +pexpire", func(t *trial) error {
		return t.do(t.s.users.enter.eval(t.b(), t.key, "0000000000000 self", t.ttl(), t.ttl()))
	}},
	{"+eval +time +zscore +zadd", func(t *trial) error {
		return t.do(t.s.users.admit.eval(t.b(), t.key, "self", t.ttl(), "0", "0"))
	}},
	{"+eval +time +zscore +zadd", func(t *trial) error { return t.do(t.s.users.mark.eval(t.b(), t.key, t.ttl())) }},
	{"+eval +zrem +zscan +zscore", func(t *trial) error { return t.do(t.s.users.entries.eval(t.b(), t.key, "0", "10")) }},
	{"+eval +zrem", func(t *trial) error { return t.do(t.s.users.leave.eval(t.b(), t.key, "0", "0000000000000 self")) }},
}

// run takes every step, up to the first one that the server refuses for good or does not answer.
func (t *trial) run() {
	defer func() { _ = t.do(t.b().Del().Key(t.key).Build()) }() // what a step has left
	for _, st := range slices.Concat(steps, indexSteps) {
		if err := st.try(t); err != nil {
			if t.err = t.judge(st, err); t.err != nil {
				return
			}
		}
	}
}

// b returns a builder of commands.
func (t *trial) b() rueidis.Builder { return t.client.B() }

func (t *trial) ttl() string { return fmt.Sprint(probeTTL.Milliseconds()) }

func (t *trial) set(value string) error {
	return t.do(t.b().Set().Key(t.key).Value(value).Px(probeTTL).Build())
}

// prepare is set, which was tried before.
func (t *trial) prepare(value string) { _ = t.set(value) }

// do runs a command, for its error.
func (t *trial) do(command rueidis.Completed) error {
	err := t.client.Do(t.ctx, command).Error()
	if rueidis.IsRedisNil(err) {
		return nil
	}
	return err
}

// known is do for a script by its hash: the server need not know it yet.
func (t *trial) known(command rueidis.Completed) error {
	err := t.do(command)
	if code, _ := errorCode(err); code == "NOSCRIPT" {
		return nil
	}
	return err
}

// judge returns what an error means that a step met, nil if it will pass.
func (t *trial) judge(st step, err error) error {
	code, text, ok := replied(err)
	t.away = !ok
	if !ok || slices.Contains(passingCodes, code) {
		return err
	}
	text = sentence(text, nil)
	switch {
	case slices.Contains(hinderingCodes, code):
		t.refusals = append(t.refusals, text)
		return nil
	case code == "NOPERM" || strings.Contains(text, "can't run this command"): // the latter of what a script does
		return t.denied(st, text)
	case strings.Contains(strings.ToLower(text), "unknown"):
		return refused("sess: redis start: the server replied %q; want the commands GET, SET, GETEX, PTTL, PEXPIRE, DEL, EVAL "+
			"and EVALSHA under these names", text)
	}
	return err
}

// hinderingCodes are the errors of a server that has room, disk or replicas to get before it takes changes again.
var hinderingCodes = []string{"OOM", "MISCONF", "NOREPLICAS"}

// denied is the error for a permission that is missing.
func (t *trial) denied(st step, text string) error {
	want := permission(text)
	switch {
	case want != "":
	case strings.Contains(text, " key"):
		want = "~" + t.s.Prefix + "*"
	default:
		want = st.need
	}
	return refused("%w: the server replied %q; want the permission %s", ErrAuth, text, want)
}

// hearsOfChanges checks that a change made on another connection is reported on the one that read: some managed servers
// and proxies accept the command that asks for it, and then never report anything. The error is an *unreported if so.
func (s *Store) hearsOfChanges(ctx context.Context, client rueidis.Client) error {
	p := &probe{key: s.Prefix + "self test " + rand.Text(), seen: make(chan struct{}, 1)}
	s.probe.Store(p)
	defer s.probe.Store(nil)

	set := func(c rueidis.CoreClient, value string) error {
		return c.Do(ctx, c.B().Set().Key(p.key).Value(value).Px(probeTTL).Build()).Error()
	}
	err := set(client, "1")
	if code, _ := errorCode(err); slices.Contains(hinderingCodes, code) {
		return nil // Nothing can be changed. The server has accepted to report.
	}
	if err != nil {
		return err
	}
	defer client.Do(ctx, client.B().Del().Key(p.key).Build())
	read := client.B().Get().Key(p.key).Cache().ToStaticTTL()
	if err := client.DoCache(ctx, read, near.TTL).Error(); err != nil {
		return err
	}
	other, release := client.Dedicate()
	defer release()
	defer other.Close() // it would idle in a pool for ever
	if err := set(other, "2"); err != nil {
		return err
	}
	select {
	case <-p.seen:
		return nil
	case <-time.After(probeTimeout):
	case <-ctx.Done():
		return ctx.Err()
	}
	// The client does not tell what the server replies to this, which it sends before every such read.
	if code, text, ok := replied(other.Do(ctx, other.B().ClientCaching().Yes().Build()).Error()); ok && code == "NOPERM" {
		return refusedReports(text)
	}
	return &unreported{"it accepts CLIENT TRACKING and says nothing. Use a server that supports it, with no proxy before it"}
}
