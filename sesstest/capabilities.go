package sesstest

import "github.com/fibersess/sess"

// A type with exactly the capabilities of another has to be spelled out for every set of them.

func (w *wrapper) withoutIndex(swaps, refreshes, watches bool) sess.Store {
	switch {
	case swaps && refreshes && watches:
		return struct {
			sess.Store
			sess.Swapper
			sess.Ender
			sess.Refresher
			sess.Watcher
		}{w, w, w, w, w}
	case swaps && refreshes:
		return struct {
			sess.Store
			sess.Swapper
			sess.Ender
			sess.Refresher
		}{w, w, w, w}
	case swaps && watches:
		return struct {
			sess.Store
			sess.Swapper
			sess.Ender
			sess.Watcher
		}{w, w, w, w}
	case refreshes && watches:
		return struct {
			sess.Store
			sess.Refresher
			sess.Watcher
		}{w, w, w}
	case swaps:
		return struct {
			sess.Store
			sess.Swapper
			sess.Ender
		}{w, w, w}
	case refreshes:
		return struct {
			sess.Store
			sess.Refresher
		}{w, w}
	case watches:
		return struct {
			sess.Store
			sess.Watcher
		}{w, w}
	}
	return struct {
		sess.Store
	}{w}
}

func (w *wrapper) withIndex(swaps, refreshes, watches bool) sess.Store {
	switch {
	case swaps && refreshes && watches:
		return w
	case swaps && refreshes:
		return struct {
			sess.Store
			sess.Swapper
			sess.Ender
			sess.Refresher
			userStore
		}{w, w, w, w, w}
	case swaps && watches:
		return struct {
			sess.Store
			sess.Swapper
			sess.Ender
			sess.Watcher
			userStore
		}{w, w, w, w, w}
	case refreshes && watches:
		return struct {
			sess.Store
			sess.Refresher
			sess.Watcher
			userStore
		}{w, w, w, w}
	case swaps:
		return struct {
			sess.Store
			sess.Swapper
			sess.Ender
			userStore
		}{w, w, w, w}
	case refreshes:
		return struct {
			sess.Store
			sess.Refresher
			userStore
		}{w, w, w}
	case watches:
		return struct {
			sess.Store
			sess.Watcher
			userStore
		}{w, w, w}
	}
	return struct {
		sess.Store
		userStore
	}{w, w}
}
