package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/redis/rueidis"
)

// accounts keeps names and what is kept of their passwords. A real site has a database here.
type accounts interface {
	// add makes an account, unless the name is taken.
	add(ctx context.Context, name, kept string) (added bool, err error)
	// find returns what is kept of the password, "" if there is no such account.
	find(ctx context.Context, name string) (kept string, err error)
	// change gives an account another password.
	change(ctx context.Context, name, kept string) error
}

// memoryAccounts are those of this process.
type memoryAccounts struct {
	mu   sync.Mutex
	kept map[string]string
}

func (a *memoryAccounts) add(_ context.Context, name, kept string) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept[name] != "" {
		return false, nil
	}
	a.kept[name] = kept
	return true, nil
}

func (a *memoryAccounts) find(_ context.Context, name string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.kept[name], nil
}

func (a *memoryAccounts) change(_ context.Context, name, kept string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept[name] = kept
	return nil
}

// redisAccounts are one hash in Redis.
type redisAccounts struct{ client rueidis.Client }

const (
	accountsKey     = "login:accounts"
	accountsTimeout = time.Second // without a deadline rueidis tries for ever
)

func (a redisAccounts) add(ctx context.Context, name, kept string) (bool, error) {
	added, err := a.do(ctx, a.client.B().Hsetnx().Key(accountsKey).Field(name).Value(kept).Build()).AsBool()
	return added, unavailable(err)
}

func (a redisAccounts) find(ctx context.Context, name string) (string, error) {
	kept, err := a.do(ctx, a.client.B().Hget().Key(accountsKey).Field(name).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		return "", nil
	}
	return kept, unavailable(err)
}

func (a redisAccounts) change(ctx context.Context, name, kept string) error {
	return unavailable(a.do(ctx, a.client.B().Hset().Key(accountsKey).FieldValue().FieldValue(name, kept).Build()).Error())
}

func (a redisAccounts) do(ctx context.Context, command rueidis.Completed) rueidis.RedisResult {
	ctx, cancel := context.WithTimeout(ctx, accountsTimeout)
	defer cancel()
	return a.client.Do(ctx, command)
}

// unavailable has Fiber answer a failing Redis with 503.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(fiber.ErrServiceUnavailable, fmt.Errorf("accounts: %w", err))
}
