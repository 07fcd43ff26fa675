package browser_test

import (
	"context"
	"testing"
	"time"

	chrome "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// minimized puts the window out of sight, or back. Tabs would not do: a headless Chromium takes each of them for seen.
func (w *window) minimized(hide bool) {
	w.t.Helper()
	state, want := chrome.WindowStateNormal, "visible"
	if hide {
		state, want = chrome.WindowStateMinimized, "hidden"
	}
	w.run(func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		frame, err := chromedp.Call(ctx, chrome.GetWindowForTarget, chrome.GetWindowForTargetParams{})
		if err == nil {
			_, err = chromedp.Call(ctx, chrome.SetWindowBounds, chrome.SetWindowBoundsParams{WindowID: frame.WindowID, Bounds: &chrome.Bounds{WindowState: state}})
		}
		return chromedp.Void{}, err
	})
	w.until(`document.visibilityState === "` + want + `"`)
}

// until waits until a condition holds on the page.
func (w *window) until(condition string) {
	w.t.Helper()
	for w.ctx.Err() == nil {
		if evaluate[bool](w, condition) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.t.Fatalf("the page: got never %s", condition)
}

// A page out of sight has no stream. It finds out when it is seen again.
func TestAPageOutOfSightSaysThatItsSessionIsOverWhenItIsSeenAgain(t *testing.T) {
	base := example(t, "login")
	w := newWindow(t) // not lookedAt, which would keep it visible
	w.open(base + "/register")
	w.fill("name", "ann")
	w.fill("password", password)
	w.press("Make the account")
	w.see("Hello ann")
	w.listens()

	w.minimized(true)
	w.until(`stream.readyState === EventSource.CLOSED`)
	w.minimized(false)
	w.listens()
	time.Sleep(300 * time.Millisecond) // longer than a page waits before it speaks
	if got := w.notice(); got != "" {
		t.Errorf("seen again, with its session: got the notice %q, want none", got)
	}

	w.minimized(true)
	w.until(`stream.readyState === EventSource.CLOSED`)
	phone := newWindow(t).lookedAt()
	phone.logIn(base, "ann")
	phone.open(base + "/sessions")
	phone.press("End all others")
	phone.see("One other session is logged out.")
	if got := w.notice(); got != "" {
		t.Errorf("out of sight: got the notice %q, want none yet", got)
	}
	w.minimized(false)
	w.see("You are not logged in any more.") // Nobody has told the page why.
}
