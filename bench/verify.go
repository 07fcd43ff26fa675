package main

import (
	"fmt"
	"strconv"
)

// verify reports why c does not do its work, and nil if it does. Nothing is timed that did not pass.
func verify(c contestant, d driver) error {
	cookie, err := login(d, "/login")
	if err != nil {
		return fmt.Errorf("bench: %s: %w", c.id, err)
	}
	for _, step := range []struct{ path, cookie, want string }{
		{"/read", cookie, readAnswer},
		{"/anonymous", "", "ok"},
		{"/anonymous", foreignCookies, "ok"},
	} {
		if err := expect(d, step.path, step.cookie, step.want); err != nil {
			return fmt.Errorf("bench: %s: %w", c.id, err)
		}
	}
	if c.isBare() {
		return nil
	}
	if err := verifySession(d, cookie); err != nil {
		return fmt.Errorf("bench: %s: %w", c.id, err)
	}
	return nil
}

// verifySession checks what only a session layer does: it counts, keeps sessions apart and makes new ones.
func verifySession(d driver, cookie string) error {
	const counts = 3
	for range counts {
		if err := expect(d, "/count", cookie, "ok"); err != nil {
			return err
		}
	}
	if err := expect(d, "/peek", cookie, strconv.Itoa(counts)); err != nil {
		return err
	}
	if err := expect(d, "/read", "", "\n"); err != nil {
		return err
	}
	if err := expect(d, "/create", "", "ok"); err != nil {
		return err
	}
	created := d.cookie()
	if created == "" || created == cookie {
		return fmt.Errorf("/create: no session of its own")
	}
	return expect(d, "/read", created, profileName+"\n")
}

// verifySizes checks that a contestant keeps sessions of all sizes, and finds its own among foreign cookies.
func verifySizes(d driver) error {
	for path := range logins() {
		cookie, err := login(d, path)
		if err != nil {
			return err
		}
		for _, among := range []func(string) (string, bool){around, between} {
			if header, ok := among(cookie); ok {
				if err := expect(d, "/peek", header, "0"); err != nil {
					return fmt.Errorf("among foreign cookies: %w", err)
				}
			}
		}
		for _, step := range []struct{ path, want string }{{"/peek", "0"}, {"/count", "ok"}, {"/peek", "1"}} {
			if err := expect(d, step.path, cookie, step.want); err != nil {
				return fmt.Errorf("after %s: %w", path, err)
			}
		}
	}
	return nil
}

// login makes the session of a path of logins and returns the Cookie header of its owner.
func login(d driver, path string) (cookie string, err error) {
	if err := expect(d, path, "", "ok"); err != nil {
		return "", err
	}
	if cookie = d.cookie(); cookie == "" {
		return "", fmt.Errorf("%s: no cookie", path)
	}
	return cookie, nil
}

// expect asks for path and reports an answer other than 200 and want.
func expect(d driver, path, cookie, want string) error {
	if status, body := d.get(path, cookie); status != 200 || string(body) != want {
		return fmt.Errorf("%s: got %d %q, want 200 %q", path, status, body, want)
	}
	return nil
}
