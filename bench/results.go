package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// results is what one run found out: every single measurement, so that others can judge the spread.
type results struct {
	Date        string      `json:"date"`
	Options     string      `json:"options"`
	OtherCPUs   float64     `json:"otherCPUs"` // how many CPUs other processes kept busy meanwhile, on average
	Machine     machine     `json:"machine"`
	Contestants []described `json:"contestants"`
	Micro       []micro     `json:"micro,omitempty"`
	EndToEnd    []endToEnd  `json:"endToEnd,omitempty"`
	Resident    []resident  `json:"resident,omitempty"`
}

// described is a contestant as the results name it.
type described struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Bare     string   `json:"bare"`
	Redis    bool     `json:"redis,omitempty"`
	Lacks    []string `json:"lacks,omitempty"`
	Versions []string `json:"versions"`
}

// machine is where and with what the run was made.
type machine struct {
	CPU    string `json:"cpu"`
	CPUs   int    `json:"cpus"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	Node   string `json:"node"`
	Redis  string `json:"redis"`
}

func writeResults(r *results, path string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func describeMachine(redis *redisServer) (machine, error) {
	m := machine{CPU: cpuModel(), CPUs: runtime.NumCPU(), Go: runtime.Version(), Kernel: firstLine("uname", "-sr")}
	m.Node = firstLine("node", "--version")
	var err error
	m.Redis, err = redis.version()
	return m, err
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	_, model, _ := strings.Cut(string(text), "model name")
	model, _, _ = strings.Cut(strings.TrimLeft(model, "\t :"), "\n")
	if model == "" {
		return "unknown"
	}
	return model
}

// firstLine returns what a command prints, "none" if it cannot run.
func firstLine(name string, arguments ...string) string {
	out, err := exec.Command(name, arguments...).Output()
	if err != nil {
		return "none"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// versions returns the modules of c with the versions that were built or installed.
func (c contestant) versions() ([]string, error) {
	version := goVersion
	if c.node {
		lock, err := readLock("node/package-lock.json")
		if err != nil {
			return nil, err
		}
		version = lock.version
	}
	var versions []string
	for _, m := range c.modules {
		versions = append(versions, m+" "+version(m))
	}
	if len(versions) == 0 {
		versions = []string{runtime.Version()}
	}
	return versions, nil
}

// goVersion is the version of a module that this program was built with.
func goVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	i := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == path })
	if i < 0 {
		return "unknown"
	}
	if info.Deps[i].Replace != nil {
		return "this checkout"
	}
	return info.Deps[i].Version
}

// lockfile is the part of a package-lock.json that names versions.
type lockfile struct {
	Packages map[string]struct{ Version string }
}

func readLock(path string) (lockfile, error) {
	var l lockfile
	text, err := os.ReadFile(path)
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, fmt.Errorf("bench: %s: %w", path, err)
	}
	return l, nil
}

func (l lockfile) version(name string) string { return l.Packages["node_modules/"+name].Version }

// has reports whether part is to run.
func (o options) has(part string) bool { return slices.Contains(strings.Split(o.parts, ","), part) }

// String names the settings that decide what the figures mean.
func (o options) String() string {
	return fmt.Sprintf("rounds %d, duration %v, warmup %d requests, benchtime %s, sessions %d", o.rounds, o.duration, o.warmup, o.benchtime, o.sessions)
}
