package main

import (
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
)

// guesses bounds the attempts a minute of one address that fail. It counts in this process alone.
type guesses struct {
	max int

	mu     sync.Mutex
	since  time.Time
	failed map[string]int
}

func (g *guesses) handle(c *fiber.Ctx) error {
	from := strings.Clone(c.IP())
	if g.add(from, 1) > g.max { // before the attempt, so that many at once are many
		return fiber.NewError(fiber.StatusTooManyRequests, "Too many attempts. Wait a minute.")
	}
	err := c.Next()
	if err == nil && c.Response().StatusCode() < fiber.StatusBadRequest {
		g.add(from, -1)
	}
	return err
}

// add adds n to the count of an address, and returns it.
func (g *guesses) add(from string, n int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); now.Sub(g.since) >= time.Minute {
		g.since, g.failed = now, map[string]int{}
	}
	g.failed[from] = max(0, g.failed[from]+n)
	return g.failed[from]
}
