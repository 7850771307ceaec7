package tui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// chooser asks what to roll back: the selected service to an earlier image on this side,
// the packages of the side to where its last patch began, or an earlier run. Choosing opens the dialog of the plan; nothing is changed here.
type chooser struct {
	*env
	side                 ops.Side
	service              string
	images               []ImageChoice
	versions             []VersionChoice
	runs                 []ops.Run
	imgErr               error
	runErr               error
	waitImages, waitRuns bool
	window               widget.Window // over the entries
	lines                widget.Window // over the lines that they and the headings take
	since                time.Time     // the last change of the lists
	asked                bool
}

func newChoose(e *env, side ops.Side, service string) screen {
	return &chooser{env: e, side: side, service: service, since: e.now(), waitRuns: true, waitImages: service != ""}
}

type (
	imagesMsg struct {
		of     *chooser
		images []ImageChoice
		err    error
	}
	pastMsg struct {
		of       *chooser
		runs     []ops.Run
		versions []VersionChoice
		err      error
	}
)

// load fetches what can be chosen from.
func (c *chooser) load() tea.Cmd {
	past := func() tea.Msg {
		ctx, cancel := context.WithTimeout(c.ctx, planTime)
		defer cancel()
		runs, err := c.backend.Past(ctx)
		if err != nil {
			return pastMsg{of: c, err: err}
		}
		versions, err := c.backend.Versions(ctx, c.side, true)
		return pastMsg{c, runs, versions, err}
	}
	if c.service == "" {
		return past
	}
	return tea.Batch(past, func() tea.Msg {
		ctx, cancel := context.WithTimeout(c.ctx, planTime)
		defer cancel()
		images, err := c.backend.Images(ctx, c.side, c.service)
		return imagesMsg{c, images, err}
	})
}

func (c *chooser) Update(msg tea.Msg) (screen, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg: // the first message a screen gets
		if !c.asked {
			c.asked = true
			return c, c.load()
		}
	case imagesMsg:
		if msg.of == c {
			c.images, c.imgErr, c.waitImages = msg.images, msg.err, false
			c.since = c.now()
		}
	case pastMsg:
		if msg.of == c {
			c.runs, c.versions, c.runErr, c.waitRuns = msg.runs, msg.versions, msg.err, false
			c.since = c.now()
		}
	case pressed:
		return c, c.press(msg.Action)
	}
	return c, nil
}

// count is how many entries there are to choose from: none before both lists are there, so
// that no entry moves under the cursor.
func (c *chooser) count() int {
	if c.waitImages || c.waitRuns {
		return 0
	}
	return len(c.images) + len(c.versions) + len(c.runs)
}

func (c *chooser) press(action Action) tea.Cmd {
	switch action {
	case actBack:
		return c.leave(c)
	case actUp:
		c.window.Move(-1, c.count())
	case actDown:
		c.window.Move(1, c.count())
	case actPageUp:
		c.window.Move(-10, c.count())
	case actPageDown:
		c.window.Move(10, c.count())
	case actAccept:
		if c.now().Sub(c.since) < quiet || c.count() == 0 {
			return nil
		}
		return c.chosen()
	}
	return nil
}

func (c *chooser) chosen() tea.Cmd {
	i := c.window.Cursor
	if i >= len(c.images)+len(c.versions) {
		r := &c.runs[i-len(c.images)-len(c.versions)]
		if why := settled(r); why != "" {
			return c.say(style.Warn, r.Plan.Title+": "+why)
		}
		return c.askRollback(r.ID)
	}
	if i >= len(c.images) {
		return c.ask(versionEntries(c.side, c.versions)[i-len(c.images)].request)
	}
	image := c.images[i]
	if image.Current {
		return c.say(style.Warn, c.service+" on "+c.side.Upper()+" runs this image already")
	}
	return c.ask(ops.Request{Op: ops.OpRollback, Side: c.side, Services: []string{c.service}, Images: map[string]string{c.service: image.ID}})
}

// settled says why there is nothing to take back of a run, as far as the run itself tells.
func settled(r *ops.Run) string {
	switch {
	case r.Live():
		return "under way"
	case r.Outcome == ops.OutcomeRefused:
		return "nothing was changed"
	case r.Outcome == ops.OutcomeRolledBack, r.Rolling && !r.Unfinished():
		return "taken back already"
	}
	return ""
}

// View draws both lists as one that scrolls.
func (c *chooser) View(area Size) []string {
	width := min(area.W, 100)
	p := c.sheet.Page(width - 4)
	at := 0 // the line of the cursor
	if c.service != "" {
		p.Put(style.Soft, c.service+" to an image that is on "+c.side.Upper()).End()
		for i, image := range c.images[:min(c.count(), len(c.images))] {
			if i == c.window.Cursor {
				at = p.Len()
			}
			c.image(p, image, i == c.window.Cursor)
		}
		c.empty(p, len(c.images), c.waitImages || c.waitRuns, c.imgErr, "no other image of "+c.service+" is on this host")
		p.Blank(1)
	}
	for i, v := range versionEntries(c.side, c.versions[:min(c.count(), len(c.versions))]) {
		if i == 0 {
			p.Put(style.Soft, "the packages of "+c.side.Upper()+", to where its last patch began").End()
		}
		here := len(c.images)+i == c.window.Cursor
		if here {
			at = p.Len()
		}
		c.mark(p, here)
		p.Put(style.Text, v.name).Space(2).Put(style.Soft, v.remark).End().Blank(1)
	}
	p.Put(style.Soft, "an earlier run, its steps taken back in reverse").End()
	for i := range c.runs[:min(c.count(), len(c.runs))] {
		here := len(c.images)+len(c.versions)+i == c.window.Cursor
		if here {
			at = p.Len()
		}
		c.past(p, &c.runs[i], here)
	}
	c.empty(p, len(c.runs), c.waitImages || c.waitRuns, c.runErr, "no run is recorded on this machine")
	lines := p.Lines()
	room := max(area.H-4-4, 1) // edges, and what stands above and below the list
	if c.window.Cursor == 0 {
		c.lines.Top = 0 // with the heading
	}
	c.lines.Set(at, len(lines))
	from, to := c.lines.Show(room, len(lines))
	remark := ""
	if to-from < len(lines) && c.count() > 0 {
		remark = count(c.window.Cursor+1, c.count())
	}
	body := c.sheet.Page(width - 4).Blank(1).Lines()
	body = append(body, lines[from:to]...)
	foot := c.sheet.Page(width - 4).Blank(1)
	foot.Put(style.Key, "enter").Space(1).Put(style.Muted, "shows the plan; nothing is changed yet").Space(3).Put(style.Key, "esc").Space(1).Put(style.Muted, "cancel").End()
	body = append(body, foot.Lines()...)
	return widget.Box(c.sheet, width, style.Focus, func(p *style.Page) {
		p.Put(style.Strong, "Roll back").Space(1).Put(sideChip(c.side), " "+c.side.Upper()+" ")
	}, remark, body)
}

// empty says why a part of the list has no entries.
func (c *chooser) empty(p *style.Page, n int, waiting bool, err error, text string) {
	switch {
	case waiting:
		p.Space(2).Put(style.Soft, "looking "+style.Ellipsis).End()
	case err != nil:
		putError(p.Space(2), err)
	case n == 0:
		p.Space(2).Put(style.Muted, text).End()
	}
}

func (c *chooser) mark(p *style.Page, here bool) {
	if here {
		p.On(style.Selected).Put(style.Focus, style.Cursor).Space(1)
		return
	}
	p.Space(2)
}

func (c *chooser) image(p *style.Page, image ImageChoice, here bool) {
	c.mark(p, here)
	tag := "no tag"
	if len(image.Tags) > 0 {
		tag = image.Tags[0]
	}
	ink := style.Text
	if image.Current {
		ink = style.Muted
	}
	made, _ := age(c.now(), image.Created)
	p.Cell(ink, tag, p.Width()-44).Space(1).Cell(style.Soft, shortID(image.ID), 8).Number(style.Soft, made, 5).Put(style.Muted, " old").Space(2)
	if image.Current {
		p.Put(style.Soft, "in use").Space(2)
	}
	if image.PeerRuns {
		p.Put(style.Soft, c.side.Peer().Upper()+" runs it")
	}
	p.End()
}

func (c *chooser) past(p *style.Page, r *ops.Run, here bool) {
	c.mark(p, here)
	begun, _ := age(c.now(), r.Started)
	outcome, ink, title := string(r.Outcome), style.Soft, style.Text
	if why := settled(r); why != "" {
		outcome, ink, title = why, style.Muted, style.Muted
	} else if r.Unfinished() {
		outcome, ink = "stopped half-way", style.Warn
	}
	by := 0
	if p.Width() > 90 {
		by = 14
	}
	p.Cell(title, r.Plan.Title, p.Width()-39-by).Space(1).Cell(ink, outcome, 20).Number(style.Soft, begun, 5).Put(style.Muted, " ago").Space(2).
		Cell(style.Muted, tailOf(r.ID), 5).Cell(style.Muted, r.By, by).End()
}

func (*chooser) Scope() Scope { return inChoose }
func (*chooser) Modal() bool  { return true }
