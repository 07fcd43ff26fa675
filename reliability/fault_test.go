package reliability

import (
	"testing"
	"time"
)

// fault is something that goes wrong under a site, and what it may cost.
type fault struct {
	name    string
	place   func(testing.TB) *site
	prepare func(s *site) // while users ask, before the fault; may be nil
	inflict func(s *site) // begins the fault and ends it
	loss    loss
	slowly  bool                          // reads get through, late, so load and commit may each wait for a StoreTimeout
	look    time.Duration                 // what it takes the client to see the end, when it has begun to look within recovery
	fails   bool                          // requests must fail, or the fault was none
	mild    bool                          // requests may fail, or none does; inflict itself sees that there is a fault
	spares  func(request) bool            // those that must not fail; nil: none are spared if the fault fails any
	proves  func(s *site) (figure string) // checks that the fault took place; may be nil
}

// loss is what a fault takes from the data.
type loss int

const (
	nothing  loss = iota
	sessions      // whole sessions
	writes        // what was acknowledged after the instant site.kept
)

func (f *fault) mayFail(r request) bool {
	return f.mild || f.fails && (f.spares == nil || !f.spares(r))
}

// mayLose reports whether the fault may have taken back what was acknowledged at the given time.
func (s *site) mayLose(at time.Time) bool {
	since := &s.began
	if s.fault.loss == writes {
		since = &s.kept
	}
	if s.fault.loss == nothing || !since.passed(time.Now()) || s.ended.passed(at) {
		return false
	}
	return s.fault.loss == sessions || s.kept.passed(at)
}

// wentBack reports whether the server may have returned to an earlier state.
func (s *site) wentBack() bool { return s.fault.loss == writes && s.kept.passed(time.Now()) }

// run lets users work through the fault and checks every answer.
func (f *fault) run(t *testing.T) {
	s := f.place(t)
	s.fault = f
	s.each((*user).open)
	stop := s.load()
	time.Sleep(300 * time.Millisecond)
	stop()
	s.connects()
	before := stand()

	stop = s.load()
	defer stop()
	time.Sleep(300 * time.Millisecond)
	if f.prepare != nil {
		f.prepare(s)
	}
	s.began.now()
	f.inflict(s)
	s.ended.now()
	time.Sleep(recovery + 500*time.Millisecond)
	stop()

	time.Sleep(maxStale + slack)
	s.each((*user).settle)
	after := s.regains(before)
	s.judge(before, after)
	if f.proves != nil {
		report(t, "%s", f.proves(s))
	}
	s.keepsSecrets()
}

func runAll(t *testing.T, faults []fault) {
	for i := range faults {
		t.Run(faults[i].name, func(t *testing.T) { faults[i].run(t) })
	}
}
