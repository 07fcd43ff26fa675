package engine

import (
	"context"
	"log/slog"
	"time"

	"github.com/fibersess/sess/internal/cookies"
	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/ident"
	"github.com/fibersess/sess/internal/sign"
	"github.com/valyala/fasthttp"
)

// Config is the root's Config, checked and with its defaults filled in. What each field means is said there; a nil function
// is none.
type Config struct {
	Store  Store
	Logger *slog.Logger
	Hooks  Hooks

	Keys                 []sign.Key // unused where the cookie is unsigned
	DangerouslyShortKeys bool
	Cookie               cookies.Cookie
	Transport            Transport
	Koa                  bool

	TTL              time.Duration // 0: what the cookie says
	TTLFunc          func(Handle) time.Duration
	Lifetime         time.Duration
	MaxPerUser       int // 0: any number
	Rolling          bool
	RollingThreshold float64
	Defer            bool
	AllowEmpty       bool
	StoreTimeout     time.Duration
	LiveSilence      time.Duration
	MaxRecordBytes   int

	GenerateID   func(*fasthttp.RequestCtx) (string, error)
	Valid        func(*fasthttp.RequestCtx, Handle) bool
	BeforeSave   func(*fasthttp.RequestCtx, Handle) error
	Adopt        func(*fasthttp.RequestCtx) (user string, values map[string]any, ok bool)
	ErrorHandler func(*fasthttp.RequestCtx, error) error
	Next         func(*fasthttp.RequestCtx) bool
}

// DefaultTTL is how long a session lives where nothing says so, and MaxTTL how long it may live at most.
const (
	DefaultTTL = draft.DefaultTTL
	MaxTTL     = draft.MaxTTL
)

// minIDBytes is how long the text of a generated id must be.
const minIDBytes = 16

// Request is the root's Request. It is an alias of an interface without a name: a Request of the root is passed on as it is,
// which a conversion between two named interfaces is not.
type Request = interface {
	Context() context.Context
	Secure() bool
}

// Transport is the root's Transport.
type Transport interface {
	Read(ctx *fasthttp.RequestCtx) []byte
	Write(ctx *fasthttp.RequestCtx, token string, ttl time.Duration)
	Expire(ctx *fasthttp.RequestCtx)
	Field() string
}

// Hooks are the root's Hooks.
type Hooks struct {
	Created, Saved, Merged, Dropped, Destroyed, Regenerated, Displaced, Rejected, Expired, StoreError func(Event)

	Store func(op string, took time.Duration, err error)
}

// Event is what a hook is told. Fields that do not apply are zero.
type Event struct {
	ID     ident.ID
	Old    ident.ID
	Reason Reason
	Err    error
}

// Reason says why a session was rejected or a change dropped. The root says what each means.
type Reason string

const (
	ReasonSignature = "signature"
	ReasonUnknown   = "unknown"
	ReasonInvalid   = "invalid"
	ReasonCorrupt   = "corrupt"
	ReasonRenewed   = "renewed"
	ReasonGone      = "gone"
	ReasonCommitted = "committed"
	ReasonReleased  = "released"
	ReasonOrphaned  = "orphaned"
)

// emit calls hook, if there is one.
func emit(hook func(Event), e Event) {
	if hook != nil {
		hook(e)
	}
}
