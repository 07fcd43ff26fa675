package main

import (
	"fmt"
	"strconv"
)

// verify reports why c does not do its work, and nil if it does. Nothing is timed that did not pass.
func verify(c contestant, d driver) error {
	cookie, err := login(d)
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

// foreignCookies are a stranger's: what an analytics script leaves behind.
const foreignCookies = "_ga=GA1.1.1234567890.1700000000; theme=dark"

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

// login makes a session that holds the profile and returns the Cookie header of its owner.
func login(d driver) (cookie string, err error) {
	if err := expect(d, "/login", "", "ok"); err != nil {
		return "", err
	}
	if cookie = d.cookie(); cookie == "" {
		return "", fmt.Errorf("/login: no cookie")
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
