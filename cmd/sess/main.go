// Command sess is for who operates a site with sessions in Redis.
//
//	sess keys                                   makes a key for Config.Keys
//	sess -redis URL list USER                   the sessions of a user, by handle
//	sess -redis URL show USER HANDLE            what one of them holds
//	sess -redis URL end USER [HANDLE]           ends one, or all
//
// It prints handles, which are hashes, and never an id. -prefix is that of the store.
package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/fibersess/sess"
	"github.com/redis/rueidis"
)

func main() {
	if err := run(context.Background(), os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%+v\n", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: sess keys | sess -redis URL [-prefix PREFIX] list USER | show USER HANDLE | end USER [HANDLE]")

func run(ctx context.Context, out io.Writer, args []string) error {
	flags := flag.NewFlagSet("sess", flag.ContinueOnError)
	url := flags.String("redis", "", "URL of the Redis server: redis://user:password@host:port/database")
	prefix := flags.String("prefix", "", "prefix of the keys, if it is not that of Koa")
	if err := flags.Parse(args); err != nil {
		return err
	}
	args = flags.Args()
	if len(args) == 1 && args[0] == "keys" {
		fmt.Fprintln(out, newKey())
		return nil
	}
	if *url == "" || len(args) < 2 {
		return errUsage
	}
	option, err := rueidis.ParseURL(*url)
	if err != nil {
		return errors.New("sess: -redis: the URL cannot be read; want redis://user:password@host:port/database")
	}
	store, err := sess.NewRueidisStore(option, sess.RueidisConfig{Prefix: *prefix, NoNearCache: true})
	if err != nil {
		return err
	}
	defer store.Close()
	m, err := sess.NewManager(sess.Config{Store: store, Keys: sess.Keys(newKey())}) // No cookie is signed here.
	if err != nil {
		return err
	}
	user := m.User(args[1])
	switch {
	case args[0] == "list" && len(args) == 2:
		return list(ctx, out, user)
	case args[0] == "show" && len(args) == 3:
		return show(ctx, out, user, args[2])
	case args[0] == "end" && len(args) == 2:
		n, err := user.EndAll(ctx)
		fmt.Fprintf(out, "%d ended\n", n)
		return err
	case args[0] == "end" && len(args) == 3:
		return user.End(ctx, args[2])
	}
	return errUsage
}

// newKey returns 32 random bytes in base64url.
func newKey() string {
	secret := make([]byte, 32)
	rand.Read(secret) // Never fails: it ends the program instead.
	return base64.RawURLEncoding.EncodeToString(secret)
}

func list(ctx context.Context, out io.Writer, user sess.User) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "HANDLE\tLOGIN\tEXPIRES\tBYTES")
	for info, err := range user.Sessions(ctx) {
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", info.Handle, info.Login.UTC().Format(time.RFC3339), info.Expires.UTC().Format(time.RFC3339), info.Record.Size())
	}
	return w.Flush()
}

func show(ctx context.Context, out io.Writer, user sess.User, handle string) error {
	for info, err := range user.Sessions(ctx) {
		if err != nil {
			return err
		}
		if info.Handle != handle {
			continue
		}
		for key := range info.Record.Keys() {
			raw, _ := info.Record.Raw(key)
			fmt.Fprintf(out, "%q: %s\n", key, raw)
		}
		return nil
	}
	return errors.New("sess: show: no session of this user has this handle; want one of list")
}
