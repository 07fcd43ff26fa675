package record

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/fibersess/sess/internal/ident"
)

func TestHeaderSaysWhatKindOfRecordItIs(t *testing.T) {
	longest := strings.Repeat("é", maxUser/2)
	for _, c := range []struct {
		header                        string
		live, tombstone, login, grave bool
		user                          string
		loginMS                       int64
		from, to                      string
	}{
		{header: `{}`, live: true},
		{header: `{"c":1,"e":2}`, live: true},
		{header: `{"u":"ann","l":1700000000000}`, live: true, user: "ann", loginMS: 1700000000000},
		{header: `{"l":5,"x":[],"\u0075":"a\u00e9\ud83d\ude00\"\n"}`, live: true, user: "aé😀\"\n", loginMS: 5},
		{header: `{"u":"` + longest + `","l":1,"m":"` + strings.Repeat("m", maxMAC) + `"}`, live: true, user: longest, loginMS: 1},
		{header: `{"u":"` + "\ufffd" + `"}`, live: true, user: "\ufffd"},
		{header: `{"u":"\ufffd \uFFFD"}`, live: true, user: "\ufffd \ufffd"},
		{header: `{"u":"ann","l":0}`, live: true, user: "ann"},
		{header: `{"from":"old-id","u":"ann","l":7}`, live: true, user: "ann", loginMS: 7, from: "old-id"},
		{header: `{"to":"new-id"}`, tombstone: true, to: "new-id"},
		{header: `{"to":"new-id","by":"login"}`, tombstone: true, login: true, to: "new-id"},
		{header: `{"by":"login","c":1,"to":"new-id","e":2}`, tombstone: true, login: true, to: "new-id"},
		{header: `{"g":true}`, grave: true},
		{header: `{"c":1,"e":2,"g":true}`, grave: true},
	} {
		r := mustParse(t, `{"a":1,"$":`+c.header+`}`)
		if r.Live() != c.live || r.Tombstone() != c.tombstone || r.ByLogin() != c.login || r.Grave() != c.grave {
			t.Errorf("%s: got live %v, tombstone %v, by a login %v, grave %v, want %v, %v, %v, %v", c.header,
				r.Live(), r.Tombstone(), r.ByLogin(), r.Grave(), c.live, c.tombstone, c.login, c.grave)
		}
		if r.User() != c.user || r.LoginMS() != c.loginMS {
			t.Errorf("%s: got user %q, login %d, want %q, %d", c.header, r.User(), r.LoginMS(), c.user, c.loginMS)
		}
		if id, ok := r.Provisional(); id.Value() != c.from || ok != (c.from != "") {
			t.Errorf("%s: Provisional: got %q, %v, want %q", c.header, id.Value(), ok, c.from)
		}
		if id, ok := r.Successor(); id.Value() != c.to || ok != (c.to != "") {
			t.Errorf("%s: Successor: got %q, %v, want %q", c.header, id.Value(), ok, c.to)
		}
	}
	var none *Record
	if !none.Live() || none.Tombstone() || none.ByLogin() || none.Grave() || none.User() != "" || none.LoginMS() != 0 || none.HasHeader() {
		t.Error("nil: got something of a header, want a live record of nobody")
	}
}

func TestHeaderOfAWrongTypeOrABrokenKindIsCorrupt(t *testing.T) {
	for _, header := range []string{
		`{"u":1}`, `{"u":null}`, `{"u":""}`, `{"u":["ann"]}`, `{"u":"` + strings.Repeat("x", maxUser+1) + `"}`, `{"u":"ann","u":"ann"}`,
		`{"u":"\ud800"}`, `{"u":"a\udc00b"}`, `{"u":"\ufffd\ud83d"}`, `{"u":"ann","\u0075":"bob"}`,
		`{"u":"ann","l":"1"}`, `{"u":"ann","l":-1}`, `{"u":"ann","l":1.5}`, `{"u":"ann","l":null}`, `{"u":"ann","l":253402300800000}`, `{"l":1}`,
		`{"m":"x"}`, `{"u":"ann","m":1}`, `{"u":"ann","m":""}`, `{"u":"ann","m":"` + strings.Repeat("x", maxMAC+1) + `"}`,
		`{"from":1}`, `{"from":""}`, `{"from":"a b"}`, `{"from":null}`, `{"from":"x","to":"y"}`, `{"from":"x","g":true}`,
		`{"to":"x","by":"renewal"}`, `{"to":"x","by":true}`, `{"to":"x","by":null}`, `{"by":"login"}`, `{"from":"x","by":"login"}`,
		`{"g":false}`, `{"g":1}`, `{"g":null}`, `{"g":"true"}`, `{"g":true,"to":"x"}`, `{"g":true,"by":"login"}`, `{"g":true,"g":true}`,
	} {
		if _, err := ParseRecord(`{"a":1,"$":` + header + `}`); !errors.Is(err, ErrCorrupt) {
			t.Errorf("$ is %s: got %v, want ErrCorrupt", header, err)
		}
	}
}

func TestHeaderIsWrittenAndReadAgain(t *testing.T) {
	old, next := testID(t, "old-id"), testID(t, "new-id")
	for want, h := range map[string]Header{
		`{"$":{"c":1,"e":2,"u":"a\"é\n","l":3,"m":"+/=","from":"old-id"}}`: {Created: 1, Ends: 2, User: "a\"é\n", Login: 3, MAC: "+/=", From: &old},
		`{"$":{"c":1,"e":2,"to":"new-id","by":"login"}}`:                   {Created: 1, Ends: 2, Successor: &next, ByLogin: true},
		`{"$":{"c":1,"e":2,"to":"new-id"}}`:                                {Created: 1, Ends: 2, Successor: &next},
		`{"$":{"e":2,"g":true}}`:                                           {Ends: 2, Grave: true},
		`{"$":{"c":5}}`:                                                    {Created: 5, Login: 7, MAC: "of nobody"},
		`{"$":{"u":"ann"}}`:                                                {User: "ann"},
	} {
		r := mustMerge(t, nil, nil, h)
		if r.JSON() != want {
			t.Errorf("got  %s\nwant %s", r.JSON(), want)
		}
		got := mustParse(t, r.JSON()).Header()
		if got.Ends = h.Ends; h.User == "" { // The end is decided anew, and a login of nobody is none.
			h.Login, h.MAC = 0, ""
		}
		if !equalHeaders(got, h) {
			t.Errorf("%s: got %+v, want %+v", want, got, h)
		}
	}
}

func equalHeaders(a, b Header) bool {
	return a.Created == b.Created && a.Ends == b.Ends && a.User == b.User && a.Login == b.Login && a.MAC == b.MAC &&
		idOf(a.From) == idOf(b.From) && idOf(a.Successor) == idOf(b.Successor) && a.ByLogin == b.ByLogin && a.Grave == b.Grave
}

// idOf returns what id points to, the zero ID for nil.
func idOf(id *ident.ID) ident.ID {
	if id == nil {
		return ident.ID{}
	}
	return *id
}

// TestUserAndLoginComeFromTheRecordThatIsBuiltOn: whoever saves keeps them, unless that is what he changes.
func TestUserAndLoginComeFromTheRecordThatIsBuiltOn(t *testing.T) {
	base := mustParse(t, `{"n":1,"$":{"c":1700000000000,"e":1700086400000,"u":"ann","l":1700000000001,"m":"mac","from":"old-id","x":1}}`)
	save := func(change func(h *Header)) string {
		h := base.Header()
		h.Ends = 1700086400009
		change(&h)
		return mustMerge(t, base, pending(set("n", "2")), h).JSON()
	}
	for _, c := range []struct {
		name   string
		change func(h *Header)
		want   string
	}{
		{"a save", func(*Header) {}, `{"n":2,"$":{"c":1700000000000,"e":1700086400009,"u":"ann","l":1700000000001,"m":"mac","from":"old-id","x":1}}`},
		{"its full life", func(h *Header) { h.From = nil }, `{"n":2,"$":{"c":1700000000000,"e":1700086400009,"u":"ann","l":1700000000001,"m":"mac","x":1}}`},
		{"a login", func(h *Header) { h.User, h.Login, h.MAC, h.Created = "bob", 5, "", 5 }, `{"n":2,"$":{"c":5,"e":1700086400009,"u":"bob","l":5,"from":"old-id","x":1}}`},
		{"nobody any more", func(h *Header) { h.User, h.Login, h.MAC = "", 0, "" }, `{"n":2,"$":{"c":1700000000000,"e":1700086400009,"from":"old-id","x":1}}`},
	} {
		if got := save(c.change); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
	if got := (*Record)(nil).Header(); !equalHeaders(got, Header{}) {
		t.Errorf("of no record: got %+v, want nothing", got)
	}
}

func TestMergeRefusesAHeaderThatNoRecordCanHave(t *testing.T) {
	id := testID(t, "x")
	for name, h := range map[string]Header{
		"a user that is not UTF-8":       {User: "\xff"},
		"a user that is too long":        {User: strings.Repeat("x", maxUser+1)},
		"a MAC that is too long":         {User: "ann", MAC: strings.Repeat("x", maxMAC+1)},
		"a MAC that is not UTF-8":        {User: "ann", MAC: "\xff"},
		"a tombstone and a grave":        {Successor: &id, Grave: true},
		"a tombstone that is made of it": {Successor: &id, From: &id},
		"a login's, and no tombstone":    {ByLogin: true},
		"a successor without an id":      {Successor: new(ident.ID)},
		"an origin without an id":        {From: new(ident.ID)},
	} {
		r, err := Merge(nil, nil, h, maxRecord)
		if err == nil {
			t.Errorf("%s: got %s, want an error", name, r.JSON())
		}
	}
	for user, want := range map[string]bool{"": false, "a": true, strings.Repeat("x", maxUser): true, strings.Repeat("x", maxUser+1): false, "\xff": false, "é": true} {
		err := CheckUser(user)
		if (err == nil) != want || err != nil && strings.Contains(err.Error(), "xxx") {
			t.Errorf("CheckUser of %d bytes: got %v, want it accepted %v", len(user), err, want)
		}
	}
}

func TestHeaderOfAnOrdinaryRecordIsReadWithoutAllocation(t *testing.T) {
	r := mustParse(t, `{"n":1,"$":{"c":1,"e":2,"u":"ann","l":3}}`)
	if got := testing.AllocsPerRun(100, func() {
		if r.User() != "ann" || r.LoginMS() != 3 || r.Header().Created != 1 {
			t.Error("got something else")
		}
	}); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

// TestAHeaderIsSmall: every save copies it some times, and above 128 bytes the compiler makes a loop of each copy.
func TestAHeaderIsSmall(t *testing.T) {
	if got := reflect.TypeFor[Header]().Size(); got > 128 {
		t.Errorf("a Header: got %d bytes, want at most 128", got)
	}
}
