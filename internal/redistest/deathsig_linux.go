package redistest

import "syscall"

// dieWithParent makes the kernel kill the child when this process ends, also when it is killed itself.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
