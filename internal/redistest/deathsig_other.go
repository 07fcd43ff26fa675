//go:build !linux

package redistest

import "syscall"

// dieWithParent can do nothing here: a child outlives a test binary that is killed.
func dieWithParent() *syscall.SysProcAttr { return nil }
