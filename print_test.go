package sess

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/sign"
	"github.com/valyala/fasthttp"
)

// TestNothingOfASessionIsPrinted formats every pointer and handle that this package gives out, and what it leaves in user
// values: as they are, and in an exported and an unexported field of a struct, with every verb, and by log/slog. The id, its
// signature, the key, the user and the values must not show.
func TestNothingOfASessionIsPrinted(t *testing.T) {
	const key, value, user = "the-key-of-the-cookie-signature!", "the-value-of-ann", "the-user-ann"
	store, keys := NewMemoryStore(), Keys(key)
	config := Config{Store: store, Keys: keys}
	m, err := NewManager(config)
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
		secrets := []string{key, value, user, id.Value(), strings.Trim(fmt.Sprint([]byte(id.Value())), "[]"), string(sign.NewKeyring(signKeys(keys), "koa.sid", false).Sign(nil, (*ident.ID)(&id)))}
		record, err := store.Get(t.Context(), id)
		if err != nil {
			return err
		}
		things := map[string]any{
			"Session": s, "*Session": &s, "Manager": m, "Store": store, "*Record": record, "Record": *record, "ID": id,
			"Key": keys[0], "Keys": keys, "Config": config, "*Config": &config,
		}
		ctx.VisitUserValuesAll(func(_, value any) { things["RequestCtx's value"] = value })
		if things["RequestCtx's value"] == nil {
			t.Error("the session left nothing in the user values: want its ticket there")
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
