package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem/ops"
	"tandem/ops/rig"
)

// checked is what `tandem check --json` prints.
type checked struct {
	Status   string
	Findings []ops.Finding
}

// check looks at the pair and returns the findings, whatever they are.
func (e *e2e) check(args ...string) (int, checked) {
	e.Helper()
	code, out := e.tandem(append([]string{"check", "--json"}, args...)...)
	// A canary tells its progress before the object.
	_, object, found := strings.Cut("\n"+out, "\n{")
	var doc checked
	if !found {
		e.Fatalf("tandem check: exit code %d: %s", code, out)
	}
	if err := json.NewDecoder(strings.NewReader("{" + object)).Decode(&doc); err != nil {
		e.Fatalf("tandem check: exit code %d: %v: %s", code, err, out)
	}
	return code, doc
}

// finding is the first of an id on a side.
func (c checked) finding(id string, side ops.Side) *ops.Finding {
	for i, f := range c.Findings {
		if f.ID == id && f.Side == side {
			return &c.Findings[i]
		}
	}
	return nil
}

// TestE2ECheckCalm: on a healthy pair check says nothing above note, every time.
// TANDEM_LOOKS says how often.
func TestE2ECheckCalm(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t)
	looks := 10
	if n, err := strconv.Atoi(os.Getenv("TANDEM_LOOKS")); err == nil {
		looks = n
	}
	for i := range looks {
		code, doc := e.check()
		// The load that a host of the rig tells is that of the machine under it.
		var above []string
		for _, f := range doc.Findings {
			if f.Severity != ops.Note && f.ID != "load-high" {
				above = append(above, fmt.Sprintf("%s %s %s: %s (%s)", f.Severity, f.ID, f.Side, f.Title, f.Detail))
			}
		}
		if above != nil {
			e.Fatalf("look %d of a calm pair: exit code %d: %s", i+1, code, strings.Join(above, "\n"))
		}
	}
}

// TestE2ECheckIncident: the upgrade is known as soon as it has happened, with its cause, and
// that nothing new can start while everything that runs is well.
func TestE2ECheckIncident(t *testing.T) {
	if !rig.Wanted(t) {
		return
	}
	e := newE2E(t)
	green := e.rig.Side(rig.Green)
	e.must(e.rig.Offer(t.Context(), rig.Green, "docker.io"))
	c := e.console()
	c.see("8/8 ready", "2 of 2 in service")
	e.must(green.Upgrade(t.Context()))
	upgraded := time.Now()

	code, doc := e.check()
	f := doc.finding("engine-installed", ops.Green)
	if f == nil || code != exitWarn && code != exitBlock {
		e.Fatalf("right after the upgrade: exit code %d, %+v", code, doc.Findings)
	}
	text := f.Title + " " + f.Detail
	for _, want := range []string{"20.10.24", "26.1.5", "apt-get", "upgrade"} {
		if !strings.Contains(text, want) {
			e.Errorf("the finding does not say %q: %s", want, text)
		}
	}
	t.Logf("known %s after the upgrade: %s", time.Since(upgraded).Round(time.Second), text)
	c.see("26.1.5 installed")
	c.press("f")
	c.see("findings", "26.1.5", "apt-get")
	if took := time.Since(upgraded); took > time.Minute {
		e.Errorf("the console took %s to say so", took.Round(time.Second))
	}
	c.press("esc")

	_, err := green.Exec(t.Context(), "systemctl", "restart", "docker")
	e.must(err)
	e.eventually("green to be healthy again", slow, func() error { return e.ready(ops.Green) })
	e.isServer(ops.Green, "UP")
	code, doc = e.check("--canary")
	if code != exitBlock {
		e.Errorf("with a compose that does not work: exit code %d, %+v", code, doc.Findings)
	}
	misfit := doc.finding("compose-misfit", ops.Green)
	if misfit == nil || !strings.Contains(misfit.Title+misfit.Detail, "1.29.2") || !strings.Contains(misfit.Title+misfit.Detail, "ContainerConfig") {
		e.Fatalf("the compose that does not fit, and its failed proof, are not named: %+v", doc.Findings)
	}
	e.must(e.ready(ops.Green)) // and all the while everything is ready
	if now := e.server(ops.Green); now != "UP" {
		e.Errorf("HAProxy says %s", now)
	}
	c.see("compose 1.29.2 cannot recreate")
	c.press("f")
	e.eventually("a way out", patience, func() error {
		if screen, _ := c.text(); !strings.Contains(screen, "do ") {
			return errors.New("the screen says nothing to do")
		}
		return nil
	})
}
