package redis

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

const (
	roleMaster  = "master"
	roleReplica = "replica"
)

// greeted is what a server says of itself.
type greeted struct {
	major, minor int // of the version
	role         string
}

// greeting reads the reply to HELLO.
func greeting(reply rueidis.RedisMessage) (g greeted, err error) {
	fields, err := reply.AsStrMap()
	if err != nil {
		return g, err
	}
	if _, err := fmt.Sscanf(fields["version"], "%d.%d", &g.major, &g.minor); err != nil {
		return g, ErrVersion
	}
	g.role = fields["role"]
	return g, nil
}

// roleOf returns the role of a server by its replies to HELLO and to ROLE, empty if it tells neither.
func roleOf(hello, role rueidis.RedisResult) string {
	if m, err := hello.ToMessage(); err == nil {
		if g, err := greeting(m); err == nil && g.role != "" {
			return g.role
		}
	}
	fields, err := role.ToArray()
	if err != nil || len(fields) == 0 {
		return ""
	}
	name, _ := fields[0].ToString()
	if name == "slave" {
		name = roleReplica
	}
	return name
}

// examine checks each server of the client that answers: its version, and unless others will do, its role. HELLO without
// a version of the protocol asks and switches nothing. A server without HELLO need not tell its version, and tells its
// role by ROLE, if at all: it is a replica's refusal to write that counts. It returns what the servers do when they are
// full, where they tell, and notes of how many keys they note the readers.
func (s *Store) examine(ctx context.Context, client rueidis.Client) (policies []string, err error) {
	var unreachable error
	answered, tracked := false, int64(0)
	for _, replies := range askAll(ctx, client) {
		hello, role := replies[0], replies[1]
		err := hello.Error()
		code, text, told := replied(err)
		switch {
		case err != nil && !told:
			unreachable = err
			continue
		case err != nil && !refusesHello(code, text):
			return nil, err
		case err == nil:
			if err := checkVersion(hello); err != nil {
				return nil, err
			}
		}
		if r := roleOf(hello, role); client.Mode() == rueidis.ClientModeStandalone && r != "" && r != roleMaster {
			return nil, ErrReplica
		}
		answered = true
		info, _ := replies[2].ToString()
		if policy := infoField(info, "maxmemory_policy"); policy != "" && infoField(info, "maxmemory") != "0" {
			policies = append(policies, policy)
		}
		if most := trackedAtMost(replies[3]); most > 0 && (tracked == 0 || most < tracked) {
			tracked = most
		}
	}
	if !answered {
		return nil, unreachable
	}
	s.trackedKeys.Store(tracked)
	return policies, nil
}

// trackedKeysSetting is of how many keys a server notes the readers at most, 0 for any number.
const (
	trackedKeysSetting = "tracking-table-max-keys"
	trackedKeysDefault = 1_000_000
)

// trackedAtMost returns the setting by the reply to CONFIG GET, or what it is by default where a server does not tell.
func trackedAtMost(reply rueidis.RedisResult) int64 {
	fields, err := reply.AsStrMap()
	if err != nil {
		return trackedKeysDefault
	}
	most, err := strconv.ParseInt(fields[trackedKeysSetting], 10, 64)
	if err != nil {
		return trackedKeysDefault
	}
	return most
}

// askAll asks every server of the client for HELLO, ROLE, INFO memory and how many keys it tracks, all at once: one that hangs
// must not keep the others waiting.
func askAll(ctx context.Context, client rueidis.Client) [][]rueidis.RedisResult {
	nodes := client.Nodes()
	all := make([][]rueidis.RedisResult, 0, len(nodes))
	answers := make(chan []rueidis.RedisResult)
	for _, node := range nodes {
		go func() {
			b := node.B()
			answers <- node.DoMulti(ctx, b.Hello().Build(), b.Role().Build(), b.Info().Section("memory").Build(),
				b.ConfigGet().Parameter(trackedKeysSetting).Build())
		}()
	}
	for range nodes {
		all = append(all, <-answers)
	}
	return all
}

// warnOfEviction tells the log if a server may evict any key when its memory is full.
func (s *Store) warnOfEviction(policies []string) {
	for i, policy := range policies {
		if strings.HasPrefix(policy, "allkeys-") && !slices.Contains(policies[:i], policy) {
			s.Logger.Warn(fmt.Sprintf("sess: redis start: maxmemory-policy: got %s; want volatile-ttl or noeviction: a full server "+
				"evicts any key, also the list of a user's sessions and those sessions that are read from near caches", policy))
		}
	}
}

// infoField returns a field of the reply to INFO, empty if there is none.
func infoField(info, name string) string {
	_, rest, ok := strings.Cut(info, "\n"+name+":")
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, "\r")
	return value
}

func checkVersion(hello rueidis.RedisResult) error {
	m, err := hello.ToMessage()
	if err != nil {
		return err
	}
	g, err := greeting(m)
	if err != nil {
		return err
	}
	if g.major < 6 || g.major == 6 && g.minor < 2 {
		return fmt.Errorf("%w (%d.%d)", ErrVersion, g.major, g.minor)
	}
	return nil
}

// refusesHello reports whether a server or a proxy says that there is no HELLO, or none for RESP3.
func refusesHello(code, text string) bool { return code == "NOPROTO" || noHello.MatchString(text) }

var noHello = regexp.MustCompile(`(?i)unknown command .?hello`)

// unreported says why a server reports no changes, and what helps.
type unreported struct{ why string }

func (e *unreported) Error() string { return "the server reports no changes: " + e.why }

// whyUnreported returns why no client could be made that hears of changes, nil if err is about something else.
func whyUnreported(err error) *unreported {
	var silent *unreported
	if errors.As(err, &silent) {
		return silent
	}
	if code, text, ok := replied(err); ok && refusesHello(code, text) || err == rueidis.ErrNoCache {
		return &unreported{"it, or a proxy before it, does not speak RESP3. Use one that does"}
	}
	if !errors.Is(err, rueidis.ErrNoCache) {
		return nil
	}
	// "<reply>: [CLIENT TRACKING ON OPTIN]"
	reply, _, ok := strings.Cut(err.Error(), ": [CLIENT TRACKING")
	if !ok || saysItPasses(coded(reply)) {
		return nil
	}
	return refusedReports(reply)
}

// refusedReports is what a server's refusal of CLIENT TRACKING or CLIENT CACHING means.
func refusedReports(reply string) *unreported {
	_, text := coded(reply)
	text = sentence(text, nil)
	if p := permission(text); p != "" {
		return &unreported{fmt.Sprintf("it replied %q. Give the user %s", text, p)}
	}
	return &unreported{fmt.Sprintf("it, or a proxy before it, replied %q to CLIENT TRACKING. Use one that supports it", text)}
}
