package tui

import (
	"context"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
)

// Size is an area in terminal cells.
type Size struct{ W, H int }

// screen fills the area between the title bar and the key bar, or floats over it.
//
// Update gets every message; keys come as [pressed]. It does no I/O: whatever has a
// context in Backend is called from a command, and its answer comes back as a message.
// View returns lines written with a style.Page of width area.W, exactly area.H of them;
// a modal screen returns at most area.H lines of one width, at most area.W, and is laid
// over the middle. View must be cheap when nothing has changed: it is called after every
// message.
type screen interface {
	Update(tea.Msg) (screen, tea.Cmd)
	View(area Size) []string
	Scope() Scope // which keys of the table work here; all others arrive as text
	Modal() bool
}

// closer is a screen that holds something: Close is called once, when it is left.
type closer interface{ Close() }

// env is what every screen sees. The App alone changes it; screens may set side and
// service.
type env struct {
	keys    KeyTable
	ctx     context.Context // ends with the console
	backend Backend
	sheet   *style.Sheet
	now     func() time.Time
	utc     bool
	watch   bool    // what is under way is only watched
	replay  *Replay // nil: what is shown is the present
	still   bool    // reduced motion
	present bool    // for an audience: hosts and addresses are hidden, states are large

	// What the backend last said, and a number that grows whenever any of it changes.
	snap     *ops.Snapshot
	run      *ops.Run // nil: none
	timeline []ops.Moment
	recent   []ops.Moment // of it what stands below the cards, oldest first
	meter    meter
	usage    usage
	version  uint64
	looks    uint64 // grows with every change of the sheet (theme, presenter mode)

	posted  []tea.Msg // for the App, before anything else
	awaited string    // see await

	side    ops.Side // the side that keys act on
	service string   // the selected service; empty: none
}

// recentMost is how many moments the pair screen looks at.
const recentMost = 200

// readTimeline takes in the timeline. A finding that has come stands above among the findings: below
// the cards it is left out.
func (e *env) readTimeline(list []ops.Moment) {
	if len(list) == len(e.timeline) && (len(list) == 0 || &list[0] == &e.timeline[0]) {
		return
	}
	e.timeline, e.recent = list, nil
	for _, m := range list[max(len(list)-recentMost, 0):] {
		if m.Finding == nil || m.Finding.Cleared {
			e.recent = append(e.recent, m)
		}
	}
}

// keyOf is the key of an action, as it is shown.
func (e *env) keyOf(action Action) string {
	for i := range e.keys {
		if e.keys[i].Action == action {
			return e.keys[i].Show
		}
	}
	return ""
}

// pace is the least time between two frames that no key asks for.
func (e *env) pace() time.Duration {
	if e.still {
		return stillFrame
	}
	return minFrame
}

// clock writes a time of day: "14:03:22Z".
func (e *env) clock(t time.Time) string {
	if e.utc {
		return t.UTC().Format("15:04:05Z")
	}
	return t.Local().Format("15:04:05")
}

// Messages by which screens ask the App for something.
type (
	openMsg  struct{ screen screen } // put a screen on top
	closeMsg struct{ screen screen } // leave that screen, wherever it is on the stack
	homeMsg  struct{}                // leave all screens but the pair
	// overMsg puts a screen on top, where the one that asks for it is on top: nobody who
	// types elsewhere is interrupted.
	overMsg struct {
		over screen
		make func() screen
	}
	// sayMsg shows a line above the key bar until the next key.
	sayMsg struct {
		ink  style.Ink
		text string
	}
	// noticeMsg shows an error, with what to do, until it is put away.
	noticeMsg struct {
		title string
		err   error
	}
	// planMsg brings a plan for confirmation. start carries it out; nil: Backend.Start.
	planMsg struct {
		plan  ops.Plan
		start func(context.Context, ops.Plan) error
	}
	// answerMsg brings the message that was awaited.
	answerMsg struct {
		what string
		msg  tea.Msg
	}
	// actMsg runs an action as if its key had been pressed.
	actMsg struct {
		action  Action
		service string // for logs, restart, details; empty: the selected one
	}
)

// Messages that the App sends to every screen on the stack.
type (
	// pressed is a key: the action that the table gives it in the screen's scope, or none.
	pressed struct {
		Action Action
		Key    tea.KeyPressMsg
	}
	changedMsg struct{} // env.version has grown
	tickMsg    struct{} // a second has gone by, or more with reduced motion
)

// post has the App take a message before anything else, so that no key comes in between. Only
// what runs within Update may post; a command returns its message. The command that comes back
// is none, for the returns of Update.
func (e *env) post(msg tea.Msg) tea.Cmd {
	e.posted = append(e.posted, msg)
	return nil
}

func (e *env) open(s screen) tea.Cmd                  { return e.post(openMsg{s}) }
func (e *env) leave(s screen) tea.Cmd                 { return e.post(closeMsg{s}) }
func (e *env) say(ink style.Ink, text string) tea.Cmd { return e.post(sayMsg{ink, text}) }
func (e *env) notice(title string, err error) tea.Cmd { return e.post(noticeMsg{title, err}) }
func (e *env) looking()                               { e.say(style.Soft, "looking at both sides afresh "+style.Ellipsis) }

// planTime bounds a look and a plan: longer than any deadline of a single look.
const planTime = 45 * time.Second

// await has a command's message come to the App, once: asked for again before it is there, it is
// not fetched again; and where something else was asked for meanwhile, only that comes.
func (e *env) await(what string, fetch tea.Cmd) tea.Cmd {
	if e.awaited == what {
		return nil
	}
	e.awaited = what
	return func() tea.Msg { return answerMsg{what, fetch()} }
}

// ask takes a fresh look, makes the plan and opens its dialog.
func (e *env) ask(request ops.Request) tea.Cmd {
	e.looking()
	return e.await(fmt.Sprintf("%+v", request), func() tea.Msg {
		ctx, cancel := context.WithTimeout(e.ctx, planTime)
		defer cancel()
		plan, err := e.backend.Plan(ctx, request)
		if err != nil {
			return noticeMsg{string(request.Op) + " " + request.Side.Upper(), err}
		}
		return planMsg{plan: plan}
	})
}

// askRollback makes the plan of taking back a run and opens its dialog.
func (e *env) askRollback(run string) tea.Cmd {
	e.looking()
	return e.await("roll back "+run, func() tea.Msg {
		ctx, cancel := context.WithTimeout(e.ctx, planTime)
		defer cancel()
		plan, err := e.backend.PlanRollback(ctx, run)
		if err != nil {
			return noticeMsg{"roll back run " + run, err}
		}
		return planMsg{plan: plan, start: func(ctx context.Context, shown ops.Plan) error { return e.backend.Rollback(ctx, run, shown) }}
	})
}
