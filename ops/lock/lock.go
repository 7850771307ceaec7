package lock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tandem/ops"
)

// Base is the directory on the hosts.
const Base = "/var/lib/tandem"

// DeadAfter is how long an owner may give no sign of life before it counts as dead.
const DeadAfter = time.Minute

// Dead tells whether the owner of a mark seems to have died without a word: it neither
// stopped the run nor gave a sign of life within DeadAfter. now should be by a clock that
// agrees with the owner's; a dead owner's mark is shown as such and never taken over.
func Dead(info ops.LockInfo, now time.Time) bool {
	return !info.Stopped && !info.Beat.IsZero() && now.Sub(info.Beat) > DeadAfter
}

// Options of a Lock; zero values mean the defaults.
type Options struct {
	Base    string           // directory on the hosts
	Now     func() time.Time // time.Now
	Beat    time.Duration    // between two signs of life: 5 s
	Timeout time.Duration    // of one script on one host: 10 s
}

// Lock is the lock of a pair. It implements ops.Locker.
type Lock struct {
	opt   Options
	hosts map[ops.Side]ops.Host
	gates map[ops.Side]gate // one script of ours at a time on a host

	mu      sync.Mutex
	missing map[ops.Side]bool // did not answer when the lock was taken last
	marked  map[ops.Side]bool // have the mark of this process, as far as it knows
	owner   ops.LockInfo      // who took it last; zero: not taken by this process
	copies
}

// gate lets one in at a time. Scripts wait for hosts: a mutex is not for that.
type gate chan struct{}

// enter waits until nobody is inside and returns what leaves again.
func (g gate) enter() (leave func()) {
	g <- struct{}{}
	return func() { <-g }
}

// New makes the lock of a pair. Nothing is sent before it is used.
func New(hosts map[ops.Side]ops.Host, opt Options) *Lock {
	if opt.Base == "" {
		opt.Base = Base
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Beat == 0 {
		opt.Beat = 5 * time.Second
	}
	if opt.Timeout == 0 {
		opt.Timeout = 10 * time.Second
	}
	l := &Lock{opt: opt, hosts: hosts, gates: map[ops.Side]gate{}, missing: map[ops.Side]bool{}, marked: map[ops.Side]bool{}}
	for side := range hosts {
		l.gates[side] = make(gate, 1)
	}
	return l
}

var _ ops.Locker = (*Lock)(nil)

// Take implements ops.Locker. The lock is never taken on no host at all. A mark of the same
// run is the caller's when Take returns, whoever of info.Former carried out the run before.
func (l *Lock) Take(ctx context.Context, info ops.LockInfo, allowMissing bool) ([]ops.Side, error) {
	if info.Run == "" || strings.ContainsAny(info.Run, "/\n") {
		return nil, fmt.Errorf("taking the lock: %q is no run id", info.Run)
	}
	l.mu.Lock()
	l.owner = info
	l.mu.Unlock()
	// Looking first leaves nothing to give back in the ordinary refusal, and tells whether
	// the run holds the lock already: then a failure here must not give it up. What is replaced
	// is what was seen here: a mark that changes hands meanwhile is not.
	seen := l.read(ctx)
	first := true
	for _, side := range ops.Sides {
		at := seen[side]
		if at.last != nil && cutShort(seen, *at.last) {
			at.last = nil
		}
		if err := against(side, at, info); err != nil {
			return nil, err
		}
		first = first && at.mark == nil
	}
	var taken, missing []ops.Side
	defer func() { l.leaveOut(missing) }()
	for _, side := range ops.Sides {
		host := l.hosts[side]
		if host == nil {
			continue
		}
		err := seen[side].err
		if err == nil {
			err = l.takeOn(ctx, side, host, info, seen[side].text)
		}
		if err == nil {
			taken = append(taken, side)
			continue
		}
		if unreachable(ctx, host, err) {
			missing = append(missing, side)
			if allowMissing {
				continue
			}
		}
		if first {
			err = errors.Join(err, l.giveBack(ctx, info))
		}
		return missing, err
	}
	if len(taken) == 0 {
		return missing, &ops.Problem{Doing: "taking the lock", Err: fmt.Errorf("no host answers: %w", ops.ErrUnreachable),
			Hint: "the lock needs at least one of the two hosts"}
	}
	return missing, nil
}

func (l *Lock) leaveOut(missing []ops.Side) {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.missing)
	for _, side := range missing {
		l.missing[side] = true
	}
}

// lately is more than there is between two signs of life.
const lately = 20 * time.Second

// cutShort tells whether whoever released the mark of a run on one host has left it on another,
// where it gave its signs of life to the end: the release was cut short, and the run has not come
// to its end. One that had not heard of the other host for long has ended without it.
func cutShort(seen map[ops.Side]sight, last ops.LockInfo) bool {
	for _, at := range seen {
		if at.mark != nil && at.mark.Run == last.Run && at.mark.Owner() == last.Owner() && last.Beat.Sub(at.mark.Beat) < lately {
			return true
		}
	}
	return false
}

// takeOn makes the mark on one host, or replaces the one with the owner.json that was seen.
func (l *Lock) takeOn(ctx context.Context, side ops.Side, host ops.Host, info ops.LockInfo, seen string) error {
	defer l.gates[side].enter()()
	owner, err := l.describe(info)
	if err != nil {
		return err
	}
	word, rest, err := l.script(ctx, host, true, nil, takeScript, info.Run, owner, signature(info.Owner()), seen)
	if err != nil {
		return ops.AsProblem(err, "taking the lock", side)
	}
	switch word {
	case "taken", "again":
		l.mu.Lock()
		defer l.mu.Unlock()
		l.marked[side] = true
		return nil
	case "gone":
		err = errors.New("it was removed just now: someone broke it, or the run was ended elsewhere")
	case "held":
		there := mark(rest)
		if there.Run == info.Run {
			return moved(side, *there, false)
		}
		return heldBy(side, *there)
	default:
		err = fmt.Errorf("unexpected answer %q", word)
	}
	return &ops.Problem{Doing: "taking the lock", Side: side, Err: err}
}

func moved(side ops.Side, info ops.LockInfo, over bool) error {
	return &ops.Problem{Doing: "taking the lock", Side: side, Err: &ops.MovedError{Side: side, Info: info, Over: over},
		Hint: "follow it there, or stop it there before it is resumed here"}
}

func heldBy(side ops.Side, info ops.LockInfo) error {
	return &ops.Problem{Doing: "taking the lock", Side: side, Err: &ops.HeldError{Side: side, Info: info},
		Hint: "wait for that run, or resume or roll it back; `tandem lock show` tells more"}
}

// giveBack releases what an attempt to take the lock may have taken, also where the answer
// was lost or the mark only half made, even when ctx is over.
func (l *Lock) giveBack(ctx context.Context, info ops.LockInfo) error {
	var errs []error
	for side, host := range l.hosts {
		// A host that does not answer has most likely not been marked, and the caller says
		// already that it does not answer.
		if err := l.releaseOn(context.WithoutCancel(ctx), side, host, info.Run, false, []string{signature(info.Owner())}); err != nil && !unreachable(ctx, host, err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Release implements ops.Locker. A side that did not answer Take is tried, but need not answer:
// the mark of a former owner of the run may be there. Elsewhere only a mark of whoever took it
// through this Lock goes: the run may have been resumed from another machine.
func (l *Lock) Release(ctx context.Context, run string) error {
	var errs []error
	for _, side := range ops.Sides {
		host := l.hosts[side]
		if host == nil {
			continue
		}
		if err := l.releaseOn(ctx, side, host, run, true, l.whose(side, run)); err != nil && !(l.leftOut(side) && unreachable(ctx, host, err)) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// whose are the signatures of which a mark to be released must have one; none: any will do.
func (l *Lock) whose(side ops.Side, run string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner.Run != run {
		return nil
	}
	whose := []string{signature(l.owner.Owner())}
	if l.missing[side] {
		for _, f := range l.owner.Former {
			whose = append(whose, signature(f.Owner()))
		}
	}
	return whose
}

// releaseOn removes the mark from one host; over tells that the run comes to its end by that.
func (l *Lock) releaseOn(ctx context.Context, side ops.Side, host ops.Host, run string, over bool, whose []string) error {
	defer l.gates[side].enter()()
	l.mu.Lock()
	delete(l.marked, side)
	l.mu.Unlock()
	if _, _, err := l.script(ctx, host, true, nil, releaseScript, append([]string{run, strconv.FormatBool(over)}, whose...)...); err != nil {
		return ops.AsProblem(err, "releasing the lock", side)
	}
	return nil
}

// Held implements ops.Locker: a side is in the map if it could be read, with nil where there
// is no mark. Sides that could not be read make an error, but for those that Take left out.
func (l *Lock) Held(ctx context.Context) (map[ops.Side]*ops.LockInfo, error) {
	held := map[ops.Side]*ops.LockInfo{}
	var left []error
	seen := l.read(ctx)
	for _, side := range ops.Sides {
		at, ok := seen[side]
		switch {
		case !ok:
		case at.err == nil:
			held[side] = at.mark
		case !l.leftOut(side):
			left = append(left, at.err)
		}
	}
	return held, errors.Join(left...)
}

// Released implements ops.Locker: the hosts keep who it was until the next run releases its lock.
func (l *Lock) Released(ctx context.Context, run string) *ops.LockInfo {
	var by *ops.LockInfo
	seen := l.read(ctx)
	for _, side := range ops.Sides {
		switch at := seen[side]; {
		case at.mark != nil && at.mark.Run == run:
			return nil
		case at.last != nil && at.last.Run == run:
			by = at.last
		}
	}
	return by
}

func (l *Lock) leftOut(side ops.Side) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.missing[side]
}

// sight is what a host shows.
type sight struct {
	mark *ops.LockInfo // nil: none
	text string        // its owner.json as it stands there
	last *ops.LockInfo // where there is no mark: the last one that was released
	err  error
}

// read looks at both hosts at once.
func (l *Lock) read(ctx context.Context) map[ops.Side]sight {
	var mu sync.Mutex
	seen := map[ops.Side]sight{}
	var wg sync.WaitGroup
	for side, host := range l.hosts {
		wg.Go(func() {
			at := l.readOn(ctx, side, host.Exec)
			mu.Lock()
			defer mu.Unlock()
			seen[side] = at
		})
	}
	wg.Wait()
	return seen
}

func (l *Lock) readOn(ctx context.Context, side ops.Side, exec execFunc) (at sight) {
	word, rest, err := l.scriptBy(ctx, exec, false, nil, showScript)
	var last ops.LockInfo
	switch {
	case err != nil:
		at.err = ops.AsProblem(err, "reading the lock", side)
	case word != "free":
		_, owner, _ := strings.Cut(rest, "\n")
		at.mark, at.text = mark(rest), strings.TrimRight(owner, "\n")
	case json.Unmarshal([]byte(rest), &last) == nil:
		at.last = &last
	}
	return at
}

// Fence is for a host through which a run acts, see [remote.Fence]: once this process has taken
// the lock, nothing is changed there where the mark is somebody else's or gone, or somebody else has
// brought the run to its end. The other host is asked, too, and may stay silent.
func (l *Lock) Fence(side ops.Side) func(context.Context, execFunc) error {
	return func(ctx context.Context, exec execFunc) error {
		return l.stands(ctx, side, exec)
	}
}

// Stands is the same for what is no host, such as the balancer: one host has to answer.
func (l *Lock) Stands(ctx context.Context) error { return l.stands(ctx, "", nil) }

// patience is how long the second answer is waited for: what is to be done was looked at before.
const patience = 500 * time.Millisecond

func (l *Lock) stands(ctx context.Context, must ops.Side, exec execFunc) error {
	l.mu.Lock()
	taken := l.owner.Run != ""
	l.mu.Unlock()
	if !taken {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		side ops.Side
		sight
	}
	answers := make(chan answer, len(l.hosts))
	for side, host := range l.hosts {
		by := host.Exec
		if side == must {
			by = exec
		}
		go func() { answers <- answer{side, l.readOn(ctx, side, by)} }()
	}
	var errs []error
	var enough <-chan time.Time
	for range l.hosts {
		var at answer
		select {
		case at = <-answers:
		case <-enough:
			return nil
		}
		switch {
		case at.err == nil:
			if err := l.against(at.side, at.sight); err != nil {
				return err
			}
			if enough == nil && (must == "" || must == at.side) {
				enough = time.After(patience)
			}
		case at.side == must:
			return at.err
		default:
			errs = append(errs, at.err)
		}
	}
	if enough == nil {
		return errors.Join(errs...)
	}
	return nil
}

// against is what a host shows that stands against this process as the owner.
func (l *Lock) against(side ops.Side, at sight) error {
	l.mu.Lock()
	owner, marked := l.owner, l.marked[side]
	if l.missing[side] { // the last sign of life of a former owner there is not known
		owner.Former = slices.Clone(owner.Former)
		for i := range owner.Former {
			owner.Former[i].Beat = time.Time{}
		}
	}
	l.mu.Unlock()
	if err := against(side, at, owner); err != nil {
		return err
	}
	if at.mark == nil && marked {
		return &ops.Problem{Doing: "reading the lock", Side: side, Err: ops.ErrLockGone,
			Hint: "see `tandem lock show`; when nobody else is at work, resume or roll back"}
	}
	return nil
}

// against is what a host shows that stands against an owner.
func against(side ops.Side, at sight, owner ops.LockInfo) error {
	switch {
	case at.mark != nil && at.mark.Run != owner.Run:
		return heldBy(side, *at.mark)
	case at.mark != nil && !owner.Replaces(*at.mark):
		return moved(side, *at.mark, false)
	case at.last != nil && at.last.Run == owner.Run && !owner.Replaces(*at.last):
		return moved(side, *at.last, true)
	}
	return nil
}

// mark reads a run id and owner.json. The id counts: the rest may be missing or torn, as in
// a directory made by hand, and is a mark all the same.
func mark(text string) *ops.LockInfo {
	run, owner, _ := strings.Cut(text, "\n")
	info := ops.LockInfo{By: "someone unknown", From: "a place unknown"}
	if err := json.Unmarshal([]byte(owner), &info); err != nil {
		info = ops.LockInfo{By: "someone unknown", From: "a place unknown"}
	}
	info.Run = run
	return &info
}

// signature is what in owner.json tells one owner from another: the machine and the process,
// as describe writes them. Inside a text, JSON would have its quotes escaped.
func signature(owner ops.Owner) string {
	from, err := json.Marshal(owner.From)
	if err != nil { // of a string: never
		return "no machine"
	}
	return fmt.Sprintf(`"from":%s,"pid":%d,`, from, owner.PID)
}

// describe is owner.json at this moment.
func (l *Lock) describe(info ops.LockInfo) (string, error) {
	info.Beat = l.opt.Now().UTC()
	text, err := json.Marshal(info)
	if err != nil {
		return "", fmt.Errorf("encoding the lock: %w", err)
	}
	return string(text), nil
}

// unreachable tells whether the host, rather than the caller, gave up.
func unreachable(ctx context.Context, host ops.Host, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	link, _ := host.Link()
	return errors.Is(err, ops.ErrUnreachable) || errors.Is(err, context.DeadlineExceeded) || link == ops.LinkDown
}

// Break removes the marks, whoever holds them, and writes into broken.log of each host who
// did so and why. What lay beside a mark is kept under broken/. It returns the marks that
// were broken; hosts that could not be reached make an error and keep theirs.
func (l *Lock) Break(ctx context.Context, reason, by string) (map[ops.Side]ops.LockInfo, error) {
	if strings.TrimSpace(reason) == "" {
		return nil, &ops.Problem{Doing: "breaking the lock", Err: errors.New("no reason given"), Hint: "say why: it goes on the record of both hosts"}
	}
	seen := l.read(ctx)
	broken := map[ops.Side]ops.LockInfo{}
	var left []error
	for _, side := range ops.Sides {
		if err := seen[side].err; err != nil {
			left = append(left, err)
		}
		if info := seen[side].mark; info != nil {
			if err := l.breakOn(ctx, side, *info, reason, by); err != nil {
				left = append(left, err)
				continue
			}
			broken[side] = *info
		}
	}
	return broken, errors.Join(left...)
}

func (l *Lock) breakOn(ctx context.Context, side ops.Side, info ops.LockInfo, reason, by string) error {
	defer l.gates[side].enter()()
	now := l.opt.Now().UTC()
	line, err := json.Marshal(struct {
		At     time.Time    `json:"at"`
		By     string       `json:"by"`
		Reason string       `json:"reason"`
		Lock   ops.LockInfo `json:"lock"`
	}{now, by, reason, info})
	if err != nil {
		return fmt.Errorf("encoding the lock: %w", err)
	}
	word, _, err := l.script(ctx, l.hosts[side], true, nil, breakScript, info.Run, string(line), now.Format("20060102T150405.000000000Z"))
	if err == nil && word == "changed" {
		err = errors.New("it has changed hands meanwhile and was left alone")
	}
	if err != nil {
		return ops.AsProblem(err, "breaking the lock", side)
	}
	return nil
}
