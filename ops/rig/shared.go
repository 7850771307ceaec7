package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Two locks, both held by an open file and so given up with the process that holds them:
// own for as long as a rig runs, use for as long as a process tests with it.
const (
	ownLock = "/run/lock/tandem-rig.own"
	useLock = "/run/lock/tandem-rig.use"
)

// tryFile takes a lock file if it is free.
func tryFile(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("taking the lock: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("taking the lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("taking the lock %s: %w", path, err)
	}
	return file, nil
}

var shared struct {
	sync.Mutex
	rig *Rig
	err error
}

// Wanted tells whether end-to-end tests were asked for, and writes into the test's log
// why they do not run where they were not.
func Wanted(t testing.TB) bool {
	t.Helper()
	if os.Getenv("TANDEM_E2E") == "1" {
		return true
	}
	t.Logf("NOT RUN: %s needs Linux, root and TANDEM_E2E=1, which is not set", t.Name())
	return false
}

// Shared is the one rig of this test process, calm: booted at the first call, or the one
// that was left running by hand; brought back to calm at every call. The test fails where
// that cannot be. Main closes it.
func Shared(t testing.TB) *Rig {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.rig == nil && shared.err == nil {
		shared.rig, shared.err = find(t.Context()) // as long as the tests may take: others may have the rig
	}
	if shared.err != nil {
		t.Fatalf("no rig: %v", shared.err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), maxReset)
	defer cancel()
	if err := shared.rig.Reset(ctx); err != nil {
		t.Fatalf("bringing the rig back to calm: %v", err)
	}
	return shared.rig
}

// find attaches to a rig that stays, or boots one.
func find(ctx context.Context) (*Rig, error) {
	if err := checkMachine(); err != nil {
		return nil, err
	}
	var use *os.File
	err := waitFor(ctx, time.Second, func() (err error) { use, err = tryFile(useLock); return err })
	if err != nil {
		return nil, fmt.Errorf("waiting for another process that tests with the rig: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var r *Rig
	err = waitFor(ctx, time.Second, func() error {
		own, err := tryFile(ownLock)
		if err == nil {
			r, err = boot(ctx, Options{}.withDefaults(), own)
			if err != nil {
				cancel() // what could not be booted is not tried again
			}
			return err
		}
		r, err = attach()
		return err
	})
	if err != nil {
		use.Close()
		return nil, err
	}
	r.use = use
	return r, nil
}

// attach finds the rig that another process booted with Options.Stay.
func attach() (*Rig, error) {
	s, err := readState("stay.json")
	if err != nil {
		return nil, errors.New("another process has a rig of its own, or is still booting one")
	}
	opts := Options{Services: s.Options.Services, Warmup: s.Options.Warmup, Check: s.Options.Check, Stay: true}.withDefaults()
	opts.Log("using the rig of process %d", s.PID)
	return newRig(opts), nil
}

// Main runs the tests and closes the shared rig:
//
//	func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }
func Main(m *testing.M) int {
	status := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.rig == nil {
		return status
	}
	if err := shared.rig.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(status, 1)
	}
	return status
}
