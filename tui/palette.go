package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/sahilm/fuzzy"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// palette finds a command by its name. It offers what the key table has for the screen
// below, and the commands that take a service or a job: "logs tcs".
type palette struct {
	*env
	input  widget.Input
	all    []command
	found  []command
	window widget.Window
}

type command struct {
	text, help string
	show       string // the key that does the same
	why        string // why it does not work now
	msg        actMsg
	log        string // the job or container whose log it opens
}

func newPalette(e *env, below Scope) *palette {
	p := &palette{env: e}
	for i := range e.keys {
		b := &e.keys[i]
		if !b.In(below) || b.Help == "" || b.Group == moving || b.Group == dialogs || b.Action == actPalette {
			continue
		}
		text := b.Words
		if b.Group == operations {
			text += " " + string(e.side)
		}
		p.all = append(p.all, command{text: text, help: b.Help, show: b.Show, why: b.reason(e), msg: actMsg{action: b.Action}})
	}
	for _, s := range e.snap.Services {
		p.all = append(p.all,
			command{text: "logs " + s.Name, msg: actMsg{actLogs, s.Name}},
			command{text: "details " + s.Name, msg: actMsg{actDetail, s.Name}},
			command{text: "pin " + s.Name, msg: actMsg{actPin, s.Name}},
		)
		if below == inPair {
			p.all = append(p.all,
				command{text: "restart " + s.Name + " on " + string(e.side), why: mayOperate(e), msg: actMsg{actRestart, s.Name}},
				command{text: "roll back " + s.Name + " on " + string(e.side), why: mayOperate(e), msg: actMsg{actRollBack, s.Name}},
			)
		}
	}
	for _, name := range ofNoService(e.snap) {
		p.all = append(p.all, command{text: "logs " + name, log: name})
	}
	p.match()
	return p
}

// ofNoService are the jobs and the containers of neither that are there, each name once.
func ofNoService(snap *ops.Snapshot) []string {
	var list []string
	for _, side := range ops.Sides {
		for _, j := range snap.On(side).Jobs {
			if j.Last != nil {
				list = append(list, j.Name)
			}
		}
		for _, c := range snap.On(side).Others {
			list = append(list, c.Name)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// match orders the commands by how well they fit what has been typed. Equal ones stay in
// the order of the table.
func (p *palette) match() {
	p.window = widget.Window{}
	text := strings.TrimSpace(p.input.Text())
	if text == "" {
		p.found = p.all
		return
	}
	names := make([]string, len(p.all))
	for i := range p.all {
		names[i] = p.all[i].text
	}
	matches := fuzzy.Find(text, names)
	slices.SortStableFunc(matches, func(a, b fuzzy.Match) int {
		if a.Score != b.Score {
			return b.Score - a.Score
		}
		return a.Index - b.Index
	})
	p.found = make([]command, 0, len(matches))
	for _, m := range matches {
		p.found = append(p.found, p.all[m.Index])
	}
}

func (p *palette) Update(msg tea.Msg) (screen, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.PasteMsg:
		p.input.Paste(msg.Content)
		p.match()
	case pressed:
		switch msg.Action {
		case actBack:
			return p, p.leave(p)
		case actUp:
			p.window.Move(-1, len(p.found))
		case actDown:
			p.window.Move(1, len(p.found))
		case actPageUp:
			p.window.Move(-10, len(p.found))
		case actPageDown:
			p.window.Move(10, len(p.found))
		case actAccept:
			if len(p.found) == 0 {
				return p, nil
			}
			chosen := p.found[p.window.Cursor]
			if chosen.log != "" {
				p.leave(p)
				return p, p.open(newLogs(p.env, p.side, chosen.log))
			}
			p.leave(p)
			return p, p.post(chosen.msg)
		default:
			if msg.Key.String() == "backspace" && p.input.Text() == "" {
				return p, p.leave(p)
			}
			if p.input.Key(msg.Key) {
				p.match()
			}
		}
	}
	return p, nil
}

func (p *palette) View(area Size) []string {
	width := min(area.W, 84)
	height := max(min(area.H-6, 14), 1)
	page := p.sheet.Page(width - 4)
	p.input.Put(page.Put(style.Key, ":"), style.Strong)
	page.End().End()
	from, to := p.window.Show(height, len(p.found))
	for i := from; i < to; i++ {
		c := &p.found[i]
		ground, cursor := style.Plain, " "
		if i == p.window.Cursor {
			ground, cursor = style.Selected, style.Cursor
		}
		name, key := style.Text, style.Key
		if c.why != "" {
			name, key = style.Muted, style.Muted
		}
		page.On(ground).Put(style.Focus, cursor).Space(1).Cell(name, c.text, 30).Space(1).Cell(key, c.show, 6)
		if c.why != "" {
			page.Put(style.Warn, "not now: "+c.why)
		} else {
			page.Put(style.Muted, c.help)
		}
		page.End()
	}
	if len(p.found) == 0 {
		page.Put(style.Soft, "no command has this name").End()
	}
	remark := ""
	if len(p.found) > height {
		remark = count(p.window.Cursor+1, len(p.found))
	}
	return widget.Box(p.sheet, width, style.Focus, func(p *style.Page) { p.Put(style.Strong, "command") }, remark, page.Fit(min(height+2, area.H-2)))
}

func (*palette) Scope() Scope { return inPalette }
func (*palette) Modal() bool  { return true }
