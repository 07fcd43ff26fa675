package sess

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// TestNothingOfASessionIsPrinted formats every pointer and handle that this package gives out, and what it leaves in user
// values: as they are, and in an exported and an unexported field of a struct, with every verb, and by log/slog. The id, its
// signature, the key, the user and the values must not show.
func TestNothingOfASessionIsPrinted(t *testing.T) {
	const key, value, user = "the-key-of-the-cookie-signature!", "the-value-of-ann", "the-user-ann"
	m, err := NewManager(Config{Keys: Keys(key)})
	if err != nil {
		t.Fatal(err)
	}
	var ctx fasthttp.RequestCtx
	err = m.Run(&ctx, nil, func() error {
		s := m.FromRequest(&ctx)
		s.Login(user)
		Set(s, "v", value)
		if err := s.Save(); err != nil {
			return err
		}
		id := s.ID()
		secrets := []string{key, value, user, id.Value(), strings.Trim(fmt.Sprint([]byte(id.Value())), "[]"), string(m.ring.Sign(nil, s.t.r.jar.ID()))}
		record, err := m.config.Store.Get(t.Context(), id)
		if err != nil {
			return err
		}
		things := map[string]any{
			"Session": s, "*Session": &s, "Manager": m, "Store": m.config.Store, "*Record": record, "Record": *record, "ID": id,
			"Key": m.config.Keys[0], "Keys": m.config.Keys, "Config": *m.config, "*Config": m.config, "RequestCtx's value": ctx.UserValue(frameKey{}),
		}
		for name, thing := range things {
			for form, v := range map[string]any{"alone": thing, "in a field": struct{ V any }{thing}, "hidden": struct{ v any }{thing}} {
				byValue := name == "ID" || name == "Key" || name == "Keys" || name == "Config" || name == "*Config"
				if byValue && form == "hidden" { // fmt may call no method there: documented.
					continue
				}
				for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
					wantHidden(t, name+" "+form+" by "+verb, fmt.Sprintf(verb, v), secrets)
				}
				var log bytes.Buffer
				slog.New(slog.NewTextHandler(&log, nil)).Info("", "v", v)
				slog.New(slog.NewJSONHandler(&log, nil)).Info("", "v", v)
				wantHidden(t, name+" "+form+" in a log", log.String(), secrets)
			}
		}
		for _, verb := range []string{"%v", "%+v", "%s", "%q", "%x"} {
			wantHidden(t, "a struct with a Session by "+verb, fmt.Sprintf(verb, struct{ s Session }{s}), secrets)
			wantHidden(t, "a struct with a *Record by "+verb, fmt.Sprintf(verb, struct{ r *Record }{record}), secrets)
			wantHidden(t, "a struct with a Record by "+verb, fmt.Sprintf(verb, struct{ r Record }{*record}), secrets)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%+v", err)
	}
}

func wantHidden(t *testing.T, what, text string, secrets []string) {
	t.Helper()
	for i, secret := range secrets {
		if secret != "" && (strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) || strings.Contains(text, fmt.Sprintf("%X", secret))) {
			t.Errorf("%s: shows secret %d", what, i)
		}
	}
}
