package tui

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// picker asks for one of a few things on a side; choosing one opens the dialog of its plan.
// Nothing is changed here.
type picker struct {
	*env
	side    ops.Side
	title   string
	none    string // said where there is nothing to choose from
	list    []entry
	err     error
	loading func(context.Context) ([]entry, error) // nil: the list is there from the beginning
	asked   bool
	window  widget.Window
	since   time.Time // the last change of the list
}

// entry is something to choose: a name, what is to be known of it, and what it asks for.
type entry struct {
	name, remark string
	why          string // why it cannot be chosen now; empty: it can
	request      ops.Request
}

type pickedMsg struct {
	of   *picker
	list []entry
	err  error
}

// newJobs asks which job to run.
func newJobs(e *env, side ops.Side) screen {
	p := &picker{env: e, side: side, title: "Run a job", none: "the config names no job that exists on " + side.Upper(), since: e.now()}
	state, peer := e.snap.On(side), e.snap.On(side.Peer())
	for i := range state.Jobs {
		j := &state.Jobs[i]
		if !j.Here {
			continue
		}
		at := entry{name: j.Name, request: ops.Request{Op: ops.OpJob, Side: side, Services: []string{j.Name}}}
		at.remark = e.lastOf(j)
		switch {
		case j.Running:
			at.why = "it runs"
		case slices.ContainsFunc(peer.Jobs, func(other ops.JobState) bool { return other.Name == j.Name && other.Running }):
			at.why = "it runs on " + side.Peer().Upper()
		}
		p.list = append(p.list, at)
	}
	return p
}

// lastOf is what became of the last run of a job: "exit 0, 3h ago".
func (e *env) lastOf(j *ops.JobState) string {
	switch {
	case j.Running && j.Last != nil:
		since, _ := age(e.now(), j.Last.StartedAt)
		return "running for " + since
	case j.Last == nil, j.Last.State == "created":
		return "never ran"
	}
	ended, _ := age(e.now(), j.Last.FinishedAt)
	return "exit " + strconv.Itoa(j.Last.ExitCode) + ", " + ended + " ago"
}

// newVersions asks to which versions the packages of the engine are brought.
func newVersions(e *env, side ops.Side) screen {
	return &picker{
		env: e, side: side, title: "Patch", none: "no other version of the engine is on offer on " + side.Upper(), since: e.now(),
		loading: func(ctx context.Context) ([]entry, error) {
			choices, err := e.backend.Versions(ctx, side, false)
			return versionEntries(side, choices), err
		},
	}
}

// versionEntries are choices of versions as one picks them.
func versionEntries(side ops.Side, choices []VersionChoice) []entry {
	var list []entry
	for _, c := range choices {
		name := c.Name
		if c.Back {
			name = "back to " + name
		}
		var parts []string
		for _, pkg := range slices.Sorted(maps.Keys(c.Packages)) {
			parts = append(parts, pkg+" "+orNothing(c.Packages[pkg]))
		}
		list = append(list, entry{name: name, remark: strings.Join(parts, ", "), why: c.Why, request: ops.Request{Op: ops.OpPatch, Side: side, Packages: c.Packages}})
	}
	return list
}

func orNothing(version string) string {
	if version == "" {
		return "removed"
	}
	return version
}

func (p *picker) Update(msg tea.Msg) (screen, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg: // the first message a screen gets
		if p.loading != nil && !p.asked {
			p.asked = true
			return p, p.load()
		}
	case pickedMsg:
		if msg.of == p {
			p.list, p.err, p.loading, p.since = msg.list, msg.err, nil, p.now()
		}
	case pressed:
		return p, p.press(msg.Action)
	}
	return p, nil
}

func (p *picker) load() tea.Cmd {
	loading := p.loading
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(p.ctx, planTime)
		defer cancel()
		list, err := loading(ctx)
		return pickedMsg{p, list, err}
	}
}

func (p *picker) press(action Action) tea.Cmd {
	switch action {
	case actBack:
		return p.leave(p)
	case actUp:
		p.window.Move(-1, len(p.list))
	case actDown:
		p.window.Move(1, len(p.list))
	case actPageUp:
		p.window.Move(-10, len(p.list))
	case actPageDown:
		p.window.Move(10, len(p.list))
	case actItsLog:
		if len(p.list) > 0 && p.list[p.window.Cursor].request.Op == ops.OpJob {
			return p.open(newLogs(p.env, p.side, p.list[p.window.Cursor].name))
		}
	case actAccept:
		if len(p.list) == 0 || p.now().Sub(p.since) < quiet {
			return nil
		}
		at := p.list[p.window.Cursor]
		if at.why != "" {
			return p.say(style.Warn, at.name+": not now, "+at.why)
		}
		return p.ask(at.request)
	}
	return nil
}

func (p *picker) View(area Size) []string {
	width := min(area.W, 100)
	body := p.sheet.Page(width - 4).Blank(1)
	switch {
	case p.loading != nil:
		body.Put(style.Soft, "looking "+style.Ellipsis).End()
	case p.err != nil:
		putError(body, p.err)
	case len(p.list) == 0:
		body.Put(style.Muted, p.none).End()
	}
	name := 0
	for _, at := range p.list {
		name = max(name, body.Measure(at.name))
	}
	from, to := p.window.Show(max(area.H-6, 1), len(p.list))
	for i := from; i < to; i++ {
		p.put(body, p.list[i], i == p.window.Cursor, min(name, (width-8)/2))
	}
	remark := ""
	if to-from < len(p.list) {
		remark = count(p.window.Cursor+1, len(p.list))
	}
	body.Blank(1).Put(style.Key, "enter").Space(1).Put(style.Muted, "shows the plan; nothing is changed yet").Space(3)
	if len(p.list) > 0 && p.list[0].request.Op == ops.OpJob {
		body.Put(style.Key, "l").Space(1).Put(style.Muted, "its log").Space(3)
	}
	body.Put(style.Key, "esc").Space(1).Put(style.Muted, "cancel").End()
	return widget.Box(p.sheet, width, style.Focus, func(page *style.Page) {
		page.Put(style.Strong, p.title).Space(1).Put(sideChip(p.side), " "+p.side.Upper()+" ")
	}, remark, body.Lines())
}

func (p *picker) put(page *style.Page, at entry, here bool, name int) {
	mark, ink := " ", style.Text
	if here {
		mark = style.Cursor
		page.On(style.Selected)
	}
	if at.why != "" {
		ink = style.Muted
	}
	page.Put(style.Focus, mark).Space(1).Cell(ink, at.name, name).Space(2)
	if at.why != "" {
		page.Put(style.Warn, at.why).Space(2)
	}
	page.Put(style.Soft, at.remark).End()
}

func (*picker) Scope() Scope { return inChoose }
func (*picker) Modal() bool  { return true }
