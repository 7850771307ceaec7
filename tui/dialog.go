package tui

import (
	"context"
	"errors"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// confirmDialog is the briefing before a plan is started: what happens to traffic, what
// was checked, every step with its calls, what can be taken back.
//
// What confirms: y where the plan is harmless or disruptive, the side's name typed where
// it is destructive. Enter never does, Cancel has the focus, and keys typed within quiet
// after the dialog has opened or changed are swallowed: they were meant for what was
// there before.
type confirmDialog struct {
	e        *env
	plan     ops.Plan
	wish     ops.Request                           // the request of the plan, or of the one being made
	start    func(context.Context, ops.Plan) error // of the plan shown; nil: Backend.Start
	phase    dialogPhase
	since    time.Time          // when what is shown began to be shown
	switched bool               // what is shown is new because an option was switched
	news     string             // why it is shown anew
	err      error              // why it did not start
	was      map[string]string  // by guard and side: what was seen before, where the pair has changed
	stop     context.CancelFunc // ends the command under way
	asked    int                // how many plans were asked for: only the last one counts
	focus    int                // 0: Cancel, then the options
	top      int                // first line of the middle that is shown
	name     widget.Input
	accept   acceptForm
}

type dialogPhase uint8

const (
	asking dialogPhase = iota
	accepting
	lookingAgain
	starting
)

// quiet is how long keys are swallowed after a dialog has opened or changed.
const quiet = 400 * time.Millisecond

func newConfirm(e *env, plan ops.Plan, start func(context.Context, ops.Plan) error) screen {
	return &confirmDialog{e: e, plan: plan, wish: plan.Request, start: start, since: e.now()}
}

// Messages of the dialog's commands. They name the dialog that they are for: it may have
// been left meanwhile, and another one opened.
type (
	replannedMsg struct {
		of   *confirmDialog
		n    int // which of the plans asked for
		plan ops.Plan
		err  error
	}
	startedMsg struct {
		of  *confirmDialog
		err error
	}
)

func (d *confirmDialog) Modal() bool { return true }

// Scope has y only where y confirms, and letters as text only where they are typed.
func (d *confirmDialog) Scope() Scope {
	switch {
	case d.phase == accepting:
		return inTyped
	case d.acceptable():
		return inRisky
	case !d.ready() || d.e.backend.ReadOnly():
		return inRefused
	case d.plan.Risk() == ops.Destructive:
		return inNamed
	}
	return inConfirm
}

func (d *confirmDialog) Update(msg tea.Msg) (screen, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg: // it may have been out of sight
		d.since = d.e.now()
	case pressed:
		return d, d.press(msg)
	case tea.PasteMsg:
		if d.phase == accepting {
			d.accept.paste(msg.Content)
		}
	case replannedMsg:
		if msg.of == d && msg.n == d.asked && d.phase == lookingAgain {
			d.phase, d.err = asking, msg.err
			if msg.err == nil {
				d.plan, d.news, d.was = msg.plan, "", nil
			}
			d.renew()
		}
	case startedMsg:
		if msg.of == d {
			return d, d.started(msg.err)
		}
	}
	return d, nil
}

// renew begins the quiet time anew: something else is shown now.
func (d *confirmDialog) renew() {
	d.since, d.top = d.e.now(), 0
	d.name.SetText("")
}

// Close ends what is under way for the dialog.
func (d *confirmDialog) Close() {
	if d.stop != nil {
		d.stop()
	}
}

func (d *confirmDialog) started(err error) tea.Cmd {
	var changed *ChangedError
	switch {
	case err == nil:
		d.e.post(homeMsg{})
		return d.e.open(newRunAwaited(d.e))
	case errors.As(err, &changed):
		d.was = map[string]string{}
		for _, c := range d.plan.Checks {
			d.was[risk(c).String()] = c.Text
		}
		d.phase, d.plan, d.wish, d.switched = asking, changed.Plan, changed.Plan.Request, false
		d.news = "The pair has changed since you looked. Nothing was started. Read again."
		d.renew()
	case errors.Is(err, context.Canceled):
		d.e.leave(d)
		return d.e.say(style.Soft, "cancelled: nothing was started")
	default:
		d.phase, d.err = asking, err
		d.renew()
	}
	return nil
}

func (d *confirmDialog) press(key pressed) tea.Cmd {
	if d.e.now().Sub(d.since) < quiet && key.Action != actBack && !(d.switched && key.Action == actSwitch) {
		return nil
	}
	if d.phase == starting {
		if key.Action == actBack { // it may be too late for that: the answer tells
			d.stop()
		}
		return nil
	}
	switch key.Action {
	case actBack:
		if d.phase == accepting {
			d.phase = asking
			d.renew()
			return nil
		}
		return d.e.leave(d)
	case actUp:
		d.scroll(-1)
	case actDown:
		d.scroll(1)
	case actPageUp:
		d.scroll(-10)
	case actPageDown:
		d.scroll(10)
	case actField:
		d.nextField()
	case actToggle:
		return d.toggle(max(d.focus-1, 0))
	case actSwitch:
		return d.toggle(int(key.Key.Code - '1'))
	case actAccept: // enter: never a confirmation
		switch {
		case d.phase == accepting:
			d.nextField()
		case d.phase == asking && d.focus == 0:
			return d.e.leave(d)
		default:
			return d.toggle(max(d.focus-1, 0))
		}
	case actYes:
		if d.ready() && d.plan.Risk() != ops.Destructive {
			return d.confirm()
		}
	case actRisk:
		if d.acceptable() {
			d.phase = accepting
			d.accept.begin(d.wanted())
			d.renew()
		}
	case "":
		return d.typed(key.Key)
	}
	return nil
}

// scroll moves the middle; View knows where it ends.
func (d *confirmDialog) scroll(n int) { d.top = max(0, d.top+n) }

// ready tells whether the plan shown may be confirmed.
func (d *confirmDialog) ready() bool {
	return d.phase == asking && d.err == nil && d.plan.Refusal() == nil
}

// acceptable tells whether every check that does not pass is one that may be accepted.
func (d *confirmDialog) acceptable() bool {
	if d.phase != asking || d.err != nil || d.start != nil || d.e.backend.ReadOnly() {
		return false
	}
	refusal := d.plan.Refusal()
	return refusal != nil && !slices.ContainsFunc(refusal.Checks, func(c ops.Check) bool { return c.Absolute })
}

// nextField goes to the next option, or from the reason for a risk to the name.
func (d *confirmDialog) nextField() {
	if d.phase == accepting {
		d.accept.next()
		return
	}
	d.focus = (d.focus + 1) % (1 + len(d.options()))
}

// typed takes what is typed: the side's name, or the reason for a risk.
func (d *confirmDialog) typed(key tea.KeyPressMsg) tea.Cmd {
	switch {
	case d.phase == accepting:
		if d.accept.key(key) {
			d.switched = false
			return d.replan(d.accepted())
		}
	case d.ready() && d.plan.Risk() == ops.Destructive:
		d.name.Key(key)
		if d.name.Text() == d.wanted() {
			return d.confirm()
		}
	}
	return nil
}

// wanted is the name to be typed: the side's; "both" where one follows the other; the
// pair's where none is named.
func (d *confirmDialog) wanted() string { return typedName(d.plan.Pair, &d.plan.Request) }

func typedName(pair string, r *ops.Request) string {
	switch {
	case r.Side == "":
		return pair
	case r.Both:
		return "both"
	}
	return string(r.Side)
}

// accepted is the request with every check that does not pass accepted as a risk.
func (d *confirmDialog) accepted() ops.Request {
	request := d.plan.Request
	request.Accept = slices.Clone(request.Accept)
	for _, c := range d.plan.Refusal().Checks {
		at := risk(c)
		at.Reason = d.accept.reason()
		request.Accept = append(request.Accept, at)
	}
	return request
}

// risk is what is accepted when a check is.
func risk(c ops.Check) ops.Risk { return ops.Risk{Guard: c.Guard, Side: c.Side} }

func (d *confirmDialog) confirm() tea.Cmd {
	if d.e.backend.ReadOnly() {
		return d.e.say(style.Warn, "read-only: nothing was started; ctrl+o switches it off")
	}
	d.phase, d.news, d.was = starting, "", nil
	start, plan := d.start, d.plan
	if start == nil {
		start = d.e.backend.Start
	}
	ctx, cancel := context.WithTimeout(d.e.ctx, 2*planTime)
	d.stop = cancel
	return func() tea.Msg {
		defer cancel()
		return startedMsg{d, start(ctx, plan)}
	}
}

func (d *confirmDialog) replan(request ops.Request) tea.Cmd {
	if d.phase == lookingAgain {
		d.stop()
	}
	d.phase, d.wish = lookingAgain, request
	d.asked++
	n, backend := d.asked, d.e.backend
	ctx, cancel := context.WithTimeout(d.e.ctx, planTime)
	d.stop = cancel
	return func() tea.Msg {
		defer cancel()
		plan, err := backend.Plan(ctx, request)
		return replannedMsg{d, n, plan, err}
	}
}
