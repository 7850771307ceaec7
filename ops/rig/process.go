package rig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The rig finds its processes by their exact arguments, never by a pid file: so it also
// finds what a killed test run left, and never takes another process for its own.

func isNspawn(args []string, machine string) bool {
	return filepath.Base(args[0]) == "systemd-nspawn" && slices.Contains(args, "--machine="+machine)
}

func isLoop(args []string, machine string) bool {
	return len(args) > 4 && args[0] == "sh" && args[3] == "tandem-machine" && args[4] == machine
}

func isHAProxy(args []string, config string) bool {
	return filepath.Base(args[0]) == "haproxy" && slices.Contains(args, config)
}

// processes lists the process ids whose arguments fit; all of them where fits is nil.
func processes(fits func(args []string) bool) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if fits == nil {
			found = append(found, pid)
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err != nil || len(line) == 0 {
			continue // gone meanwhile, or a kernel thread
		}
		if fits(strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")) {
			found = append(found, pid)
		}
	}
	return found
}

type processStatus struct {
	parent int
	inner  int // process id in the innermost namespace
	zombie bool
}

// readStatus reads /proc/PID/status, see proc(5).
func readStatus(pid int) processStatus {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return processStatus{}
	}
	var status processStatus
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		words := strings.Fields(value)
		if len(words) == 0 {
			continue
		}
		switch name {
		case "State":
			status.zombie = words[0] == "Z"
		case "PPid":
			status.parent, _ = strconv.Atoi(words[0])
		case "NSpid":
			if len(words) > 1 {
				status.inner, _ = strconv.Atoi(words[len(words)-1])
			}
		}
	}
	return status
}

// killAll kills what fits, and the processes named, and waits until they are gone. The
// end of a machine's process 1 ends everything in the machine.
func killAll(fits func(args []string) bool, more ...int) error {
	pids := append(processes(fits), more...)
	pids = slices.DeleteFunc(pids, func(pid int) bool { return pid == 0 })
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("ending process %d: %w", pid, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	return waitFor(ctx, 20*time.Millisecond, func() error {
		for _, pid := range pids {
			if alive(pid) {
				return fmt.Errorf("process %d is still there", pid)
			}
		}
		return nil
	})
}

func alive(pid int) bool {
	return syscall.Kill(pid, 0) == nil && !readStatus(pid).zombie
}

// groupPaths are the places of a machine's control group: one for each controller of
// cgroup v1, or the one of v2.
func groupPaths(name string) []string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.procs"); err == nil {
		return []string{filepath.Join("/sys/fs/cgroup", name)}
	}
	controllers, err := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	if err != nil {
		return nil
	}
	var paths []string
	for _, file := range controllers {
		dir := filepath.Dir(file)
		if real, err := filepath.EvalSymlinks(dir); err == nil && real == dir { // cpu,cpuacct has links to it
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths
}

// makeGroups gives a machine a control group of its own. Without one both machines'
// systemd would manage the same tree and wait for each other's processes.
func makeGroups(name string) ([]string, error) {
	paths := groupPaths(name)
	for _, path := range paths {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, fmt.Errorf("making a control group: %w", err)
		}
		parent := filepath.Dir(path)
		if parent == "/sys/fs/cgroup" {
			// v2: hand down what the parent has. One by one: a controller that cannot be
			// handed down must not keep the others back.
			have, err := os.ReadFile(filepath.Join(parent, "cgroup.controllers"))
			if err != nil {
				return nil, fmt.Errorf("reading the controllers: %w", err)
			}
			for controller := range strings.FieldsSeq(string(have)) {
				_ = os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
			}
		}
		// v1: a new cpuset is empty, and an empty one takes no processes.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(parent, file))
			if err != nil || parent == "/sys/fs/cgroup" {
				continue
			}
			if err := os.WriteFile(filepath.Join(path, file), value, 0o644); err != nil {
				return nil, fmt.Errorf("filling a control group: %w", err)
			}
		}
	}
	return paths, nil
}

// removeGroups removes a machine's control groups, innermost first.
func removeGroups(name string) error {
	for _, path := range groupPaths(name) {
		var dirs []string
		err := filepath.WalkDir(path, func(at string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, at)
			}
			return nil // a group that vanishes meanwhile is as good as removed
		})
		if err != nil {
			return fmt.Errorf("looking for control groups: %w", err)
		}
		for _, dir := range slices.Backward(dirs) {
			if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("removing control group %s: %w", dir, err)
			}
		}
	}
	return nil
}
