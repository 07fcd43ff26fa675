package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fibersess/sess"
	"github.com/fibersess/sess/internal/redistest"
	"github.com/redis/rueidis"
)

func TestCommandListsShowsAndEndsByHandleAndPrintsNoID(t *testing.T) {
	server := redistest.Start(t)
	store, err := sess.NewRueidisStore(rueidis.ClientOption{InitAddress: []string{server.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	const id = "an-id-that-nobody-may-see"
	parsed, err := sess.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	login, err := store.Admit(t.Context(), "ann", parsed, time.Hour, sess.LoginAttempt{Began: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	record, err := sess.ParseRecord(`{"device":"phone","$":{"c":1,"u":"ann","l":` + strconv.FormatInt(login.UnixMilli(), 10) + `}}`)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Set(t.Context(), parsed, record, time.Hour); err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) string {
		t.Helper()
		var out strings.Builder
		if err := run(t.Context(), &out, append([]string{"-redis", "redis://" + server.Addr}, args...)); err != nil {
			t.Fatalf("%s: got the error %+v, want none", args[0], err)
		}
		if strings.Contains(out.String(), id) {
			t.Errorf("%s: got the id in the output, want none", args[0])
		}
		return out.String()
	}
	lines := strings.Split(strings.TrimSpace(command("list", "ann")), "\n")
	if len(lines) != 2 {
		t.Fatalf("list: got %d lines, want a head and one session", len(lines))
	}
	handle := strings.Fields(lines[1])[0]
	if got := command("show", "ann", handle); got != "\"device\": \"phone\"\n" {
		t.Errorf("show: got %q, want the device", got)
	}
	if got := command("end", "ann"); got != "1 ended\n" {
		t.Errorf("end: got %q, want 1 ended", got)
	}
	if got := strings.Count(command("list", "ann"), "\n"); got != 1 {
		t.Errorf("list after end: got %d lines, want the head", got)
	}
	if len(command("keys")) != 44 {
		t.Error("keys: got another length, want 43 characters")
	}
}
