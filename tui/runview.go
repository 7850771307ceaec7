package tui

import (
	"context"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// runView shows the run under way, or the last one, as a checklist being ticked: the
// steps with their times, what the present ones say, and always who serves. Steps of one
// kind that follow each other, such as the restarts of all services, are one line with
// their progress, until unfolded. The view follows the present step until the cursor is
// moved; then it shows what that step checked, called and said.
type runView struct {
	*env
	window   widget.Window
	picked   bool // the cursor was moved: no longer follow the present step
	here     rowKey
	room     int // lines of the checklist when it was last drawn
	unfolded bool
	of       string // id of the run that the fields below are about
	usuals   map[string]time.Duration
	subjects map[string]subject // by step id
	await    string             // newest event of the run that must not be mistaken for the awaited one
	asked    string             // the pause whose question was asked
}

func newRunView(e *env) screen {
	v := &runView{env: e}
	v.news()
	return v
}

// newRunAwaited shows a run that has just been started or continued, and that the backend
// does not know yet: until it does, the run before it is not shown in its place.
func newRunAwaited(e *env) screen {
	v := &runView{env: e, await: newest(e.run)}
	v.news()
	return v
}

// newest names the last event of a run.
func newest(r *ops.Run) string {
	if r == nil {
		return "no run"
	}
	return r.ID + " " + strconv.Itoa(r.Events)
}

// news takes note of what the backend has said last.
func (v *runView) news() {
	if v.await != "" && v.await != newest(v.run) {
		v.await = ""
	}
	if v.run == nil || v.await != "" {
		return
	}
	if v.run.ID != v.of {
		v.of, v.usuals, v.subjects = v.run.ID, map[string]time.Duration{}, map[string]subject{}
	}
}

// usual is how long a step of this title usually takes; 0: not known.
func (v *runView) usual(title string) time.Duration {
	d, known := v.usuals[title]
	if !known {
		d = v.backend.Usual(title)
		v.usuals[title] = d
	}
	return d
}

func (*runView) Modal() bool { return false }

func (v *runView) Scope() Scope {
	if v.replay != nil {
		return inReplay
	}
	return inRun
}

// askTime bounds a request to a run: it is a file written, or a refusal.
const askTime = 10 * time.Second

// request sends a request to the run.
func (v *runView) request(ask ops.Ask) tea.Cmd {
	e, id := v.env, v.run.ID
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(e.ctx, askTime)
		defer cancel()
		if err := e.backend.Ask(ctx, id, ask); err != nil {
			return noticeMsg{askWords(ask) + " run " + id, err}
		}
		if ask == ops.AskContinue {
			return sayMsg{style.Focus, "the run goes on"}
		}
		return sayMsg{style.Focus, "asked to " + askWords(ask) + ", after the present step"}
	}
}

func (v *runView) Update(msg tea.Msg) (screen, tea.Cmd) {
	switch msg := msg.(type) {
	case changedMsg:
		v.news()
		return v, v.asks()
	case tea.WindowSizeMsg, tickMsg: // the first message a screen gets, and a while after what lay over it
		return v, v.asks()
	case pressed:
		return v, v.press(msg.Action)
	}
	return v, nil
}

// asks puts the question that the run waits with, once, and not over another screen.
func (v *runView) asks() tea.Cmd {
	if v.await != "" || v.backend.ReadOnly() || question(v.run) == "" || v.asked == sincePause(v.run) {
		return nil
	}
	return v.post(overMsg{v, v.ask})
}

// ask is the dialog of the question.
func (v *runView) ask() screen {
	v.asked = sincePause(v.run)
	text := question(v.run)
	box := newAsk(v.env, "Go on with the other side?", text, "go on", v.request(ops.AskContinue))
	box.while = func() bool { return question(v.run) == text }
	return box
}

func (v *runView) press(action Action) tea.Cmd {
	if action == actBack && v.replay == nil {
		return v.leave(v)
	}
	if v.run == nil || v.await != "" || len(v.run.Steps) == 0 {
		return nil
	}
	move := v.pick
	switch action {
	case actUp:
		move(-1)
	case actDown:
		move(1)
	case actPageUp:
		move(-10)
	case actPageDown:
		move(10)
	case actTop:
		move(-len(v.run.Steps) * 2)
	case actBottom, actBack:
		v.picked = false
	case actAccept:
		v.fold()
	case actPause:
		return v.request(ops.AskPause)
	case actContinue:
		if question(v.run) != "" {
			return v.open(v.ask())
		}
		return v.request(ops.AskContinue)
	case actStop:
		return v.open(newAsk(v.env, "Stop the run?", "It stops after the present step. "+v.run.Plan.Side.Upper()+
			" stays as it is then, and the pair stays locked until the run is resumed or taken back.", "stop after this step", v.request(ops.AskStop)))
	case actResume:
		return v.open(newAsk(v.env, "Resume the run?", "It looks at every step afresh and goes on where it stopped: "+v.run.Plan.Title+".",
			"resume", v.resume(nil)))
	case actSkip:
		return v.open(newRisk(v.env, v.run, v.resume))
	case actTakeBack:
		if v.run.Live() {
			return v.open(newAsk(v.env, "Roll back?", "After the present step, everything this run has done is taken back in reverse, each act guarded.",
				"roll back after this step", v.request(ops.AskRollback)))
		}
		return v.askRollback(v.run.ID)
	}
	return nil
}

func (v *runView) resume(accept []ops.Risk) tea.Cmd {
	e, id := v.env, v.run.ID
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(e.ctx, planTime)
		defer cancel()
		if err := e.backend.Resume(ctx, id, accept); err != nil {
			return noticeMsg{"resume run " + id, err}
		}
		return sayMsg{style.Focus, "the run goes on"}
	}
}

// fold shows the steps of a group one by one, or as a line again; the cursor stays where
// it was.
func (v *runView) fold() {
	rows := v.rows()
	v.here = rows[v.cursor(rows)].key()
	v.picked, v.unfolded = true, !v.unfolded
}

// View draws the run.
func (v *runView) View(area Size) []string {
	roomy := area.H >= 30
	p := v.sheet.Page(area.W)
	if v.run == nil || v.await != "" || len(v.run.Steps) == 0 {
		lines := v.cards(area, roomy)
		v.nothing(p.Blank(1))
		return append(lines, p.Fit(max(area.H-len(lines), 0))...)[:area.H]
	}
	banner := v.banner(area.W)
	var lines []string
	if v.replay != nil || banner == nil && v.run.Live() || roomy { // else what there is to say needs the room; the last line has the traffic
		lines = v.cards(area, roomy)
	}
	if len(lines)+len(banner) < area.H {
		lines = append(lines, banner...)
	}
	left := area.H - len(lines) - 1 // the line of who serves
	around, panel := 4, 4           // the checklist's edges, gap and bar; the least of the panel
	bar := banner == nil || roomy
	if !bar {
		around = 2
	}
	v.room = max(left-around-max(panel, left/4), 1)
	if !v.run.Live() { // its last lines, or the summary, say more
		v.room = max(min(v.room, left-around-14), min(3, v.room))
	}
	rows := v.rows()
	shown := min(len(rows), v.room)
	if roomy && left-around-shown > panel+6 {
		lines = append(lines, v.sheet.Page(area.W).Blank(1).Lines()...)
		left--
	}
	lines = append(lines, v.checklist(area.W, rows, shown, bar)...)
	if rest := left - around - shown; rest >= panel {
		lines = append(lines, v.panel(area.W, rows, rest-2)...)
	}
	v.foot(p)
	if gap := area.H - len(lines) - 1; gap > 0 {
		lines = append(lines, v.sheet.Page(area.W).Blank(gap).Lines()...)
	}
	return append(lines[:min(len(lines), area.H-1)], p.Lines()...)
}

// cards are the two sides in brief, where they leave room for the run.
func (v *runView) cards(area Size, roomy bool) []string {
	if v.replay != nil {
		return v.replay.strip(v.env, area.W, roomy)
	}
	cards, _ := headerCards(v.env, area.W)
	if len(cards) > area.H/2 {
		cards = nil
	}
	if roomy {
		return append(v.sheet.Page(area.W).Blank(1).Lines(), cards...)
	}
	return cards
}

// nothing says why there is no run to be shown, and who holds the pair.
func (v *runView) nothing(p *style.Page) {
	if v.await != "" {
		p.Space(2).Put(style.Focus, "starting "+style.Ellipsis).End()
		return
	}
	p.Space(2).Put(style.Soft, "No run is known yet.").End()
	v.lock(p.Blank(1).Space(2))
}

// lock says who holds the pair, if that is another run than the one shown.
func (v *runView) lock(p *style.Page) {
	for _, side := range ops.Sides {
		l := v.snap.On(side).Lock
		if l == nil || v.run != nil && l.Run == v.run.ID {
			continue
		}
		p.Put(style.WarnStrong, "locked for "+l.What()).Put(style.Soft, " by "+l.By+" at "+l.From+", run "+l.Run)
		if l.Step != "" {
			p.Put(style.Soft, ", at "+l.Step)
		}
		beat, _ := age(v.now(), l.Beat)
		if l.Stopped {
			p.Put(style.Warn, ", stopped half-way")
		} else if !l.Beat.IsZero() {
			p.Put(style.Soft, ", last seen "+beat+" ago")
		}
		p.End()
		return
	}
}
