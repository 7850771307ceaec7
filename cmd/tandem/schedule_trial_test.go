package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tandem/ops"
	"tandem/ops/journal"
	"tandem/ops/lab"
	"tandem/ops/plans"
	"tandem/ops/steps"
)

// runLimit is how long a run may take, and how often the operator tries to bring it to its
// end. Both are far more than any schedule needs.
const (
	runLimit = time.Hour
	// impatience is by how much longer the operator waits before each further attempt.
	impatience = 20 * time.Second
	attempts   = 10
)

// trial is one schedule being played, in a bubble of testing/synctest: time passes only when
// everybody waits, so that the timeouts are the real ones and cost nothing.
type trial struct {
	schedule
	lab     *lab.Lab
	loop    *lab.Loop
	config  string
	began   time.Time
	offices [2]*office
	pids    int
	before  map[ops.Side]*hostState
	faults  sync.WaitGroup

	mu      sync.Mutex
	all     []*actor
	counts  map[string]int // of events and changes
	story   []string       // what happened, in words
	end     string         // how it ended
	wrong   []string       // promises that were broken
	changes []change
}

// office is a machine with an operator.
type office struct {
	name string
	dir  string
	net  *uplink
}

// actor is a runner.
type actor struct {
	trial   *trial
	office  *office
	pid     int
	wire    *wire
	journal *journal.Journal
	asks    chan journal.Request
	gone    chan struct{} // closed when it was killed
	ended   chan struct{} // closed when it has ended, or nothing is left of a killed one
	outcome ops.Outcome
	err     error
	owns    time.Time // when it took the lock; zero: it did not
	said    bool      // its last word
	killed  bool
}

// change is a request that changed something, as it arrived.
type change struct {
	lab.Request
	by *actor // nil: not a runner's
}

// play plays the schedule and returns what was wrong, in words.
func (s schedule) play(t *testing.T, root string, total tally) (bad string) {
	dir, err := os.MkdirTemp(root, "s")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	tr := &trial{schedule: s, counts: map[string]int{}, before: map[ops.Side]*hostState{}}
	synctest.Test(t, func(*testing.T) {
		if err := tr.run(dir); err != nil {
			tr.breaks("%v", err)
		}
	})
	total["schedules"]++
	total[tr.end]++
	if len(tr.wrong) == 0 {
		return ""
	}
	return strings.Join(tr.wrong, "\n") + "\n\nwhat happened:\n" + strings.Join(tr.story, "\n")
}

func (tr *trial) run(dir string) (err error) {
	tr.loop, tr.began = lab.NewLoop(), time.Now()
	tr.lab, err = lab.Start(lab.Options{
		Dir: dir, Services: []string{"keycloak", "sync", "generic-upload", "apache", "ndw-etl"}, Loop: tr.loop, OnChange: tr.onChange,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tr.lab.Close()) }()
	if err := tr.furnish(dir); err != nil {
		return err
	}
	for _, side := range ops.Sides {
		tr.before[side] = tr.observe(side)
	}
	defer tr.settle()
	tr.carryThrough()
	return nil
}

// furnish prepares the scene that the schedule begins with.
func (tr *trial) furnish(dir string) error {
	tr.config = tr.lab.ConfigPath()
	if tr.Pools == "cut-off" {
		text, err := os.ReadFile(tr.config)
		if err != nil {
			return err
		}
		with := strings.NewReplacer("10.200.0.0/16", "10.0.7.0/24", "10.0.0.0/17", "10.99.0.0/16").Replace(string(text))
		if err := os.WriteFile(tr.config, []byte(with), 0o600); err != nil {
			return err
		}
	}
	if tr.Upgrade {
		for _, side := range lab.Sides {
			if err := tr.lab.World().Host(side).Upgrade("26.1.5"); err != nil {
				return err
			}
		}
	}
	for i := range tr.offices {
		name := fmt.Sprintf("desk%d", i+1)
		tr.offices[i] = &office{name: name, dir: filepath.Join(dir, name), net: newUplink(tr.loop)}
	}
	return nil
}

// tell notes what happened, with its time.
func (tr *trial) tell(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.story = append(tr.story, fmt.Sprintf("%9.3f ", time.Since(tr.began).Seconds())+fmt.Sprintf(format, args...))
}

// breaks notes a broken promise.
func (tr *trial) breaks(format string, args ...any) {
	tr.tell("WRONG: "+format, args...)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.wrong = append(tr.wrong, fmt.Sprintf(format, args...))
}

// at opens a session at an office, over a wire.
func (tr *trial) at(o *office, w *wire) (*session, error) {
	return openAt(&globals{config: tr.config}, links{}, station{state: o.dir, user: "ops", machine: o.name, dial: w.dial})
}

// carryThrough is the operator: starts the run, and brings it to an end.
func (tr *trial) carryThrough() {
	p, err := tr.start()
	if err != nil {
		tr.breaks("the run cannot be started: %v", err)
		return
	}
	for n := 0; ; n++ {
		if p != nil && tr.over(p) {
			tr.finish(p.office, p.outcome)
			return
		}
		if n == attempts {
			tr.breaks("promise 3: no end after %d attempts", n)
			return
		}
		next := tr.Then[min(n, len(tr.Then)-1)]
		time.Sleep(next.Wait + time.Duration(n)*impatience) // what did not help at once is tried later
		again, err := tr.goOn(next)
		switch {
		case err == nil:
			p = again
		case tr.nothingLeft(err):
			tr.tell("nothing is left to do: %v", err)
			at, outcome := tr.recorded()
			if outcome == "" { // somebody was killed before the last word: that is said where he was
				if again, err = tr.goOnAt(at, turn{}); err == nil {
					p = again
					continue
				}
			}
			tr.finish(at, outcome)
			return
		default:
			tr.tell("%s: not begun: %v", next, err)
			p = tr.present() // perhaps another is at work
			time.Sleep(15 * time.Second)
		}
	}
}

// over waits until a process needs somebody, and tells whether its run came to its end.
func (tr *trial) over(p *actor) bool {
	limit, patience := time.NewTimer(runLimit), time.NewTimer(runLimit/2)
	defer limit.Stop()
	defer patience.Stop()
	for {
		out := p.office.net.away()
		away := make(chan struct{})
		if out != nil {
			close(away)
		}
		tick := time.NewTimer(5 * time.Second)
		select {
		case <-p.gone:
			return false
		case <-away:
			return false
		case <-p.ended:
			tick.Stop()
			tr.tell("%s says %s: %v", p, p.outcome, p.err)
			switch p.outcome {
			case ops.OutcomeDone, ops.OutcomeRefused, ops.OutcomeRolledBack:
				return true
			case ops.OutcomeFailed:
				return !tr.locked()
			}
			return false
		case <-patience.C: // it waits for something that will not come by itself, and has said so
			tr.tell("%s is asked to roll back", p)
			go func() {
				select {
				case p.asks <- journal.Request{Ask: ops.AskRollback}:
				case <-p.ended:
				case <-p.gone:
				}
			}()
		case <-limit.C:
			tr.breaks("promise 3: %s takes more than %s\n%s", p, runLimit, tr.last(p, 12))
			p.kill()
			return false
		case <-tick.C:
		}
	}
}

// present is the latest process that is still alive.
func (tr *trial) present() *actor {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for i := len(tr.all) - 1; i >= 0; i-- {
		p := tr.all[i]
		select {
		case <-p.ended:
		default:
			if !p.killed {
				return p
			}
		}
	}
	return nil
}

// recorded is where and how the run ended by the journals of all offices.
func (tr *trial) recorded() (at *office, _ ops.Outcome) {
	var last ops.Run
	at = tr.offices[0]
	for _, o := range tr.offices {
		runs, err := journal.List(o.dir, "tis")
		if err == nil && len(runs) > 0 && runs[0].Events > last.Events {
			at, last = o, runs[0]
		}
	}
	return at, last.Outcome
}

// copied tells whether a host has a copy that somebody else could go on from.
func (tr *trial) copied() bool {
	for _, side := range lab.Sides {
		if tr.lab.World().Host(side).File("/var/lib/tandem/lock/journal.jsonl") != nil {
			return true
		}
	}
	return false
}

func (tr *trial) locked() bool {
	for _, side := range lab.Sides {
		if tr.lab.World().Host(side).File("/var/lib/tandem/lock/run") != nil {
			return true
		}
	}
	return false
}

// nothingLeft tells whether an operator is told, rightly, that there is no run to go on with.
func (tr *trial) nothingLeft(err error) bool {
	var code *codeError
	return errors.As(err, &code) && !tr.locked() && (strings.Contains(err.Error(), "stopped half-way") || strings.Contains(err.Error(), "nothing to take back") || strings.Contains(err.Error(), "has come to its end"))
}

// command runs what the operator's own process does, before a runner is started.
func (tr *trial) command(o *office, f func(ctx context.Context, s *session) error) error {
	w := o.net.wire()
	s, err := tr.at(o, w)
	if err != nil {
		return err
	}
	defer w.die()
	defer s.close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	return f(ctx, s)
}

func (tr *trial) request() ops.Request {
	req := ops.Request{Op: ops.OpRecover, Both: true, StraightOn: true, Start: tr.Start}
	switch tr.Pools {
	case "":
		req.Without = []string{ops.PartPools}
	case "cut-off":
		for _, side := range ops.Sides {
			req.Accept = append(req.Accept, ops.Risk{Guard: steps.GuardPoolsFree, Side: side, Reason: "a schedule wants it"})
		}
	}
	return req
}

func (tr *trial) start() (p *actor, err error) {
	o := tr.offices[0]
	err = tr.command(o, func(ctx context.Context, s *session) error {
		plan, err := s.plan(ctx, tr.request())
		if err != nil {
			return err
		}
		if r := plan.Refusal(); r != nil {
			return r
		}
		doc, err := plan.Doc()
		if err != nil {
			return err
		}
		p, err = tr.spawn(o, plan.ID, modeStart, order{Plan: &doc})
		return err
	})
	return p, err
}

// goOn is `tandem resume` or `tandem rollback`.
func (tr *trial) goOn(next turn) (p *actor, err error) {
	o := tr.offices[0]
	switch away := o.net.away(); {
	case tr.copied() && (away != nil || next.Elsewhere):
		o = tr.offices[1]
	case away != nil: // nobody else can know what to go on with
		<-away
	}
	return tr.goOnAt(o, next)
}

func (tr *trial) goOnAt(o *office, next turn) (p *actor, err error) {
	err = tr.command(o, func(ctx context.Context, s *session) error {
		mode := modeResume
		find := s.halfWay
		if next.Back {
			mode, find = modeRollback, s.toTakeBack
		}
		run, err := find(ctx, nil)
		if err != nil {
			return err
		}
		if next.Back {
			plan, err := s.planUndo(ctx, run.Run)
			if errors.Is(err, plans.ErrNothing) && tr.locked() {
				p, err = tr.spawn(o, run.ID, modeResume, order{Left: run.marks}) // only a lock is left
				return err
			}
			if err != nil {
				return err
			}
			if r := plan.Refusal(); r != nil {
				return r
			}
		}
		if pid, live := journal.Owner(s.runDir(run.ID)); live {
			return fmt.Errorf("process %d is at it", pid)
		}
		p, err = tr.spawn(o, run.ID, mode, order{Left: run.marks})
		return err
	})
	if err == nil {
		tr.tell("%s: %s", next, p)
	}
	return p, err
}

// spawn starts a runner.
func (tr *trial) spawn(o *office, id, mode string, handed order) (*actor, error) {
	tr.pids++
	p := &actor{
		trial: tr, office: o, pid: tr.pids, wire: o.net.wire(), asks: make(chan journal.Request), gone: make(chan struct{}), ended: make(chan struct{}),
	}
	s, err := tr.at(o, p.wire)
	if err != nil {
		return nil, err
	}
	if p.journal, err = s.journal(id, mode); err != nil {
		s.close()
		return nil, err
	}
	cfg := s.runnerConfig(id, p.pid, p.journal, handed)
	cfg.Requests, cfg.OnEvent = p.asks, p.onEvent
	cfg.Env.Poll = 2 * time.Second // looks cost more than time
	tr.mu.Lock()
	tr.all = append(tr.all, p)
	tr.mu.Unlock()
	go func() {
		defer close(p.ended)
		p.outcome, p.err = s.carryOut(context.Background(), mode, handed, cfg)
		p.journal.Close()
		s.close()
		p.wire.die()
	}()
	return p, nil
}

func (p *actor) String() string { return fmt.Sprintf("runner %d at %s", p.pid, p.office.name) }

// kill is kill -9: nothing more is written or sent, and what was sent arrives. What is left of
// it in this process unwinds without being able to do anything.
func (p *actor) kill() {
	p.trial.mu.Lock()
	was := p.killed
	p.killed = true
	p.trial.mu.Unlock()
	if was {
		return
	}
	p.wire.die()
	p.journal.Close()
	close(p.gone)
}

func (p *actor) onEvent(e ops.Event) {
	tr := p.trial
	tr.mu.Lock()
	dead := p.killed
	if e.Kind == ops.EvRecord && e.Step == "" && e.Text == ops.OwnerKey {
		p.owns = time.Now()
		tr.checkTaking(p)
	}
	p.said = p.said || e.Kind == ops.EvEnded
	tr.mu.Unlock()
	if dead {
		return
	}
	tr.happens("event", p, fmt.Sprintf("%s %s %s", e.Kind, e.Step, firstWords(e.Text)))
}

func firstWords(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	if len(text) > 100 {
		text = text[:100] + "..."
	}
	return text
}

// onChange is called by the lab with a lock held.
func (tr *trial) onChange(r lab.Request) {
	if strings.Contains(r.What, "kept.$5") { // signs of life and copies
		return
	}
	r.At = time.Now()
	tr.mu.Lock()
	var by *actor
	for _, p := range tr.all {
		if p.wire.is(r.From) {
			by = p
		}
	}
	tr.changes = append(tr.changes, change{r, by})
	tr.mu.Unlock()
	if by != nil {
		tr.happens("change", by, strings.TrimSpace(r.Side+" "+firstWords(r.What)))
	}
}

// happens counts, and lets the faults happen whose time has come.
func (tr *trial) happens(what string, p *actor, words string) {
	tr.mu.Lock()
	tr.counts[what]++
	n := tr.counts[what]
	tr.mu.Unlock()
	if os.Getenv("TANDEM_SCHEDULES_STORY") != "" {
		tr.tell("%s %d of %s: %s", what, n, p, words)
	}
	for _, f := range tr.Faults {
		if f.On != what || f.Count != n {
			continue
		}
		tr.tell("%s %d of %s: %s", what, n, p, words)
		if f.After == 0 && f.What == "kill" {
			tr.tell("%s", f)
			p.kill()
			continue
		}
		tr.faults.Go(func() {
			time.Sleep(f.After)
			tr.tell("%s", f)
			tr.befall(f, p)
		})
	}
}

// befall lets a fault happen and takes it back when its time is over.
func (tr *trial) befall(f fault, p *actor) {
	h := tr.lab.World().Host(string(f.Side))
	switch f.What {
	case "kill":
		p.kill()
	case "balancer":
		tr.lab.HAProxy().Reload()
	case "power":
		h.PowerLoss(0)
		time.Sleep(f.For)
		h.PowerOn()
	case "cable":
		h.CutCable()
		time.Sleep(f.For)
		h.RestoreCable()
	case "engine":
		h.StopEngine()
		time.Sleep(f.For)
		h.StartEngine()
	case "apart":
		p.office.net.cut()
		time.Sleep(f.For)
		p.office.net.mend()
	}
	if f.For > 0 {
		tr.tell("over: %s", f)
	}
}

// last are the last events of a process.
func (tr *trial) last(p *actor, n int) string {
	events := p.journal.Events()
	var b strings.Builder
	for _, e := range events[max(0, len(events)-n):] {
		fmt.Fprintf(&b, "    %9.3f %s %s %s\n", e.At.Sub(tr.began).Seconds(), e.Kind, e.Step, e.Text)
	}
	return b.String()
}

// settle waits until nothing is left of anybody.
func (tr *trial) settle() {
	tr.faults.Wait()
	for _, o := range tr.offices {
		o.net.mend()
	}
	tr.mu.Lock()
	all := tr.all
	tr.mu.Unlock()
	for _, p := range all {
		p.kill()
		<-p.ended
	}
}
