package tui

import (
	"io"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// timelineView is what happened to the pair, the latest at the end: all of it, or what is about a
// side, of some kinds, or has a text. The cursor on the last line follows what comes.
type timelineView struct {
	*env
	input  widget.Input // the text that moments must have
	typing bool
	side   ops.Side                // whose moments; empty: of both
	kinds  map[ops.MomentKind]bool // which of them; none: all
	window widget.Window
	paused bool // the cursor stays where it is
	page   int  // lines shown the last time

	seen  timelineKey
	found []ops.Moment      // what is asked for, oldest first
	lines []ops.MomentGroup // the same, as it is shown
	stamp string            // layout of the times: with the date, unless all is of today
	seenN int               // how many were found when following ended
}

// timelineKey is what the lines are made from.
type timelineKey struct {
	first       *ops.Moment
	count       int
	text, kinds string
	side        ops.Side
	looks       uint64
	day         string
}

func newTimeline(e *env) screen {
	v := &timelineView{env: e, kinds: map[ops.MomentKind]bool{}, page: 10}
	v.refresh()
	return v
}

func (*timelineView) Modal() bool { return false }

func (v *timelineView) Scope() Scope {
	if v.typing {
		return inFilter
	}
	return inTimeline
}

// chosen are the kinds asked for, in the order of the screen; none: all.
func (v *timelineView) chosen() []ops.MomentKind {
	return slices.DeleteFunc(slices.Clone(ops.MomentKinds), func(k ops.MomentKind) bool { return !v.kinds[k] })
}

// refresh finds what is asked for, where that may have become something else. The cursor stays on
// its moment, or at the end.
func (v *timelineView) refresh() {
	key := timelineKey{count: len(v.timeline), text: v.input.Text(), side: v.side, looks: v.looks, day: v.local(v.now()).Format(time.DateOnly)}
	if len(v.timeline) > 0 {
		key.first = &v.timeline[0]
	}
	for _, k := range v.chosen() {
		key.kinds += string(k) + " "
	}
	if key == v.seen {
		return
	}
	v.seen = key
	var on ops.Moment
	if v.window.Cursor < len(v.lines) {
		on = v.lines[v.window.Cursor].Moment
	}
	v.find()
	if !v.paused {
		v.window.Set(len(v.lines), len(v.lines))
		return
	}
	i := slices.IndexFunc(v.lines, func(l ops.MomentGroup) bool { return !l.At.Before(on.At) })
	if same := slices.IndexFunc(v.lines, func(l ops.MomentGroup) bool { return l.At.Equal(on.At) && l.Text == on.Text }); same >= 0 {
		i = same
	}
	if i < 0 {
		i = len(v.lines)
	}
	v.window.Top += i - v.window.Cursor // it stays where it is on the screen
	v.window.Set(i, len(v.lines))
}

func (v *timelineView) find() {
	n := newNeedle(v.input.Text())
	y, mon, d := v.local(v.now()).Date()
	midnight := time.Date(y, mon, d, 0, 0, 0, 0, v.local(v.now()).Location())
	v.found, v.stamp = make([]ops.Moment, 0, len(v.timeline)), "15:04:05"
	for i := range v.timeline {
		m := &v.timeline[i]
		switch {
		case v.side != "" && !m.Concerns(v.side), len(v.kinds) > 0 && !v.kinds[m.Kind]:
			continue
		case n != nil && !n.in(v.sheet.Plain(strings.Join([]string{string(m.Side), string(m.Kind), m.Text, m.Who, m.Run}, " "))):
			continue
		}
		v.found = append(v.found, *m)
		if m.At.Before(midnight) {
			v.stamp = "02 Jan  15:04:05"
		}
	}
	if v.utc {
		v.stamp += "Z"
	}
	v.lines = ops.Together(v.found)
}

func (v *timelineView) Update(msg tea.Msg) (screen, tea.Cmd) {
	v.refresh()
	switch msg := msg.(type) {
	case tea.PasteMsg:
		if v.typing {
			v.input.Paste(msg.Content)
		}
	case pressed:
		cmd := v.press(msg)
		v.refresh()
		return v, cmd
	}
	v.refresh()
	return v, nil
}

func (v *timelineView) press(key pressed) tea.Cmd {
	if v.typing {
		v.typed(key)
		return nil
	}
	switch key.Action {
	case actBack:
		if v.input.Text() == "" && v.side == "" && len(v.kinds) == 0 {
			return v.leave(v)
		}
		v.input.SetText("")
		v.side = ""
		clear(v.kinds)
	case actSide:
		v.side = map[ops.Side]ops.Side{"": ops.Blue, ops.Blue: ops.Green}[v.side]
	case actKind:
		v.choose(key.Key.String())
	case actFilter:
		v.typing = true
	case actSave:
		return v.open(v.saveBox())
	case actAccept:
		return v.more()
	case actItsLog:
		return v.log()
	case actFollow:
		v.follow(v.paused)
	case actUp:
		v.move(-1)
	case actDown:
		v.move(1)
	case actPageUp:
		v.move(-max(v.page-1, 1))
	case actPageDown:
		v.move(max(v.page-1, 1))
	case actTop:
		v.move(-len(v.lines))
	case actBottom:
		v.follow(true)
	}
	return nil
}

// typed takes a key of the filter.
func (v *timelineView) typed(key pressed) {
	switch key.Action {
	case actBack:
		v.input.SetText("")
		v.typing = false
	case actAccept:
		v.typing = false
	case actUp:
		v.move(-1)
	case actDown:
		v.move(1)
	case "":
		v.input.Key(key.Key)
	}
}

// choose shows a kind, too, or not any longer; 0 shows all.
func (v *timelineView) choose(key string) {
	if key == "0" {
		clear(v.kinds)
		return
	}
	kind := ops.MomentKinds[key[0]-'1']
	if v.kinds[kind] {
		delete(v.kinds, kind)
	} else {
		v.kinds[kind] = true
	}
}

// on is the moment under the cursor, nil: there is none; and the name of the service, job or
// container that it is about, where that is still on its side.
func (v *timelineView) on() (m *ops.Moment, name string) {
	if v.window.Cursor >= len(v.lines) {
		return nil, ""
	}
	l := &v.lines[v.window.Cursor]
	if name = l.Container(); l.Names != nil || l.Side == "" || len(v.snap.On(l.Side).Containers(name)) == 0 {
		name = ""
	}
	return &l.Moment, name
}

// more opens what the moment under the cursor is about.
func (v *timelineView) more() tea.Cmd {
	m, name := v.on()
	switch {
	case m == nil:
		return nil
	case m.Kind == ops.MomentFinding:
		return v.open(newFindings(v.env))
	case m.Run != "" && v.run != nil && v.run.ID == m.Run:
		return v.open(newRunView(v.env))
	case m.Run != "":
		return v.say(style.Soft, "tandem report "+m.Run+" tells all of it")
	case name != "" && v.snap.On(m.Side).Service(name) != nil:
		return v.open(newDetail(v.env, name))
	}
	return v.say(style.Soft, "there is no more to be seen of this")
}

// before is how much of a log before the moment is read with it.
const before = time.Minute

// log opens the log of what the moment under the cursor is about, from shortly before it.
func (v *timelineView) log() tea.Cmd {
	m, name := v.on()
	if name == "" {
		return v.say(style.Soft, "this is not about one container that is there")
	}
	logs := newLogs(v.env, m.Side, name)
	logs.span.Since = m.At.Add(-before)
	return v.open(logs)
}

// saveBox asks for the file that the moments which are shown go into, as a page of Markdown: masked
// before an audience.
func (v *timelineView) saveBox() screen {
	b := &saveBox{env: v.env, title: "Export the timeline as Markdown", save: v.save}
	b.what = func() string { return some(len(v.found), "moment") + ", as they are shown" }
	b.input.SetText(v.fileName("timeline", ".md"))
	return b
}

func (v *timelineView) save(name string) tea.Cmd {
	e, pair, list := v.env, v.sheet.Plain(v.snap.Pair.Name), slices.Clone(v.found)
	for i := range list {
		m := &list[i]
		m.Text, m.Who = v.sheet.Plain(m.Text), v.sheet.Plain(m.Who)
		if m.Finding != nil {
			f := *m.Finding
			f.Title, f.Was = v.sheet.Plain(f.Title), v.sheet.Plain(f.Was)
			m.Finding = &f
		}
	}
	return func() tea.Msg {
		path, err := saveFile("the timeline", name, func(w io.Writer) error {
			_, err := io.WriteString(w, e.backend.Markdown(pair, list))
			return err
		})
		if err != nil {
			return noticeMsg{"export the timeline", err}
		}
		return sayMsg{style.Focus, some(len(list), "moment") + " saved to " + path}
	}
}

// move goes n lines down. At the end it follows what comes.
func (v *timelineView) move(n int) {
	v.window.Move(n, len(v.lines))
	if last := v.window.Cursor >= len(v.lines)-1; last == v.paused {
		v.follow(last)
	}
}

func (v *timelineView) follow(on bool) {
	if v.paused = !on; on {
		v.window.Set(len(v.lines), len(v.lines))
	}
	v.seenN = len(v.found)
}
