package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A loadMeter tells how much of the machine others had while we measured: a table made on a busy machine says so.
type loadMeter struct {
	start time.Time
	busy  time.Duration // CPU time of all processes since boot
	own   time.Duration // of this one and of its children that have ended
}

func newLoadMeter() loadMeter {
	return loadMeter{start: time.Now(), busy: machineCPU(), own: familyCPU()}
}

// others returns how many CPUs other processes kept busy on average since the start. It is right once all children have
// ended.
func (m loadMeter) others() float64 {
	others := (machineCPU() - m.busy) - (familyCPU() - m.own)
	return max(0, float64(others)/float64(time.Since(m.start)))
}

// familyCPU is the CPU time of this process and of its descendants that have ended.
func familyCPU() time.Duration {
	var sum time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			panic(fmt.Sprintf("bench: own CPU time: %v", err))
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

// machineCPU is the CPU time of all processes since boot: user, nice, system, irq and softirq of /proc/stat's first
// line, which counts ticks of 10 ms.
func machineCPU() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		panic(fmt.Sprintf("bench: the machine's CPU time: %v", err))
	}
	var user, nice, system, idle, ioWait, irq, softIRQ int64
	fmt.Sscanf(strings.TrimSpace(string(text)), "cpu %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &ioWait, &irq, &softIRQ)
	return time.Duration(user+nice+system+irq+softIRQ) * 10 * time.Millisecond
}
