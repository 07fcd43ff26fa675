package draft_test

import (
	"math"
	"testing"
	"time"

	"github.com/fibersess/sess/internal/draft"
	"github.com/fibersess/sess/internal/record"
)

func TestTheEndFollowsFromTheTermsInTheirOrder(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	for name, c := range map[string]struct {
		terms draft.Terms
		want  time.Duration
	}{
		"nothing set":                     {draft.Terms{}, 24 * time.Hour},
		"TTL":                             {draft.Terms{TTL: time.Hour, MaxAge: time.Minute}, time.Hour},
		"Life before TTL":                 {draft.Terms{Life: 30 * time.Hour, TTL: time.Hour}, 30 * time.Hour},
		"MaxAge":                          {draft.Terms{MaxAge: time.Minute}, time.Minute},
		"Expires before MaxAge":           {draft.Terms{Expires: now.Add(time.Hour), MaxAge: time.Minute}, time.Hour},
		"Expires that is past":            {draft.Terms{Expires: now.Add(-time.Hour)}, 0},
		"Expires in the year 9999":        {draft.Terms{Expires: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}, draft.MaxTTL},
		"a negative TTL":                  {draft.Terms{TTL: -time.Hour}, 0},
		"a huge TTL":                      {draft.Terms{TTL: math.MaxInt64}, draft.MaxTTL},
		"less than a millisecond":         {draft.Terms{TTL: time.Nanosecond}, time.Millisecond},
		"Lifetime":                        {draft.Terms{TTL: time.Hour, Lifetime: time.Minute, Begin: now.UnixMilli()}, time.Minute},
		"Lifetime that is over":           {draft.Terms{Lifetime: time.Minute, Begin: now.Add(-time.Hour).UnixMilli()}, 0},
		"Lifetime from an unknown begin":  {draft.Terms{TTL: time.Hour, Lifetime: time.Minute}, time.Minute},
		"Lifetime from before the epoch":  {draft.Terms{Lifetime: time.Minute, Begin: -5}, 0},
		"Lifetime longer than everything": {draft.Terms{TTL: time.Hour, Lifetime: draft.MaxTTL, Begin: now.UnixMilli()}, time.Hour},
	} {
		got := c.terms.Span(now)
		if got.TTL != c.want {
			t.Errorf("%s: got a TTL of %v, want %v", name, got.TTL, c.want)
		}
		if got.TTL > 0 && got.Ends != now.Add(got.TTL).UnixMilli() {
			t.Errorf("%s: got an end %d ms from now, want its TTL %v", name, got.Ends-now.UnixMilli(), got.TTL)
		}
	}
}

func TestAnEndInTheYear9999LeavesATTLThatIsOne(t *testing.T) {
	r, err := record.ParseRecord(`{"$":{"c":1,"e":253402300799999}}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := draft.Rest(time.UnixMilli(1_800_000_000_000), r).TTL; got != draft.MaxTTL {
		t.Errorf("got %v, want %v", got, draft.MaxTTL)
	}
}

func TestASessionIsMovedOnceEnoughHasPassed(t *testing.T) {
	s := draft.Span{Ends: 1000_000, TTL: 100 * time.Second}
	for name, c := range map[string]struct {
		ends      int64
		threshold float64
		want      bool
	}{
		"an unknown end":                   {0, 0.1, true},
		"less than the threshold":          {s.Ends - 9_999, 0.1, false},
		"the threshold":                    {s.Ends - 10_000, 0.1, true},
		"always, in the same millisecond":  {s.Ends, 0, true},
		"a later end":                      {s.Ends + 1, 0, false},
		"not always, the same millisecond": {s.Ends, 0.1, false},
	} {
		if got := s.Due(c.ends, c.threshold); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	if (draft.Span{Ends: 5}).Due(0, 0) {
		t.Error("a span that is over: got it due, want not")
	}
}
