package tui

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
	"tandem/tui/widget"
)

// riskBox asks for the reason why a run that stopped half-way is to go on without what it
// stopped at, and for the side's name. Keys typed before it could be read are swallowed.
type riskBox struct {
	*env
	what   string // is done with the step
	risks  []ops.Risk
	resume func([]ops.Risk) tea.Cmd
	form   acceptForm
	since  time.Time
}

func newRisk(e *env, run *ops.Run, resume func([]ops.Risk) tea.Cmd) screen {
	b := &riskBox{env: e, resume: resume, since: e.now()}
	for _, guard := range risksOf(run) {
		b.risks = append(b.risks, run.Bind(ops.Risk{Guard: guard})...)
	}
	if s := failedStep(run); s != nil {
		b.what = "Go on: " + s.Doc.Title
		if s.Phase == ops.Failed {
			b.what = "Skip: " + s.Doc.Title
		}
	}
	request := run.Plan.Request
	if request.Side == "" {
		request.Side = run.Plan.Side
	}
	b.form.begin(typedName(run.Plan.Pair, &request))
	return b
}

func (b *riskBox) Update(msg tea.Msg) (screen, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg: // it may have been out of sight
		b.since = b.now()
	case tea.PasteMsg:
		b.form.paste(msg.Content)
	case pressed:
		switch {
		case msg.Action == actBack:
			return b, b.leave(b)
		case b.now().Sub(b.since) < quiet:
		case msg.Action == actField, msg.Action == actAccept: // enter: never a confirmation
			b.form.next()
		case msg.Action == "":
			if b.form.key(msg.Key) {
				b.leave(b)
				return b, b.resume(b.accepted())
			}
		}
	}
	return b, nil
}

func (b *riskBox) accepted() []ops.Risk {
	list := slices.Clone(b.risks)
	for i := range list {
		list[i].Reason = b.form.reason()
	}
	return list
}

func (b *riskBox) View(area Size) []string {
	width := min(area.W, 76)
	p := b.sheet.Page(width - 4)
	p.Blank(1)
	var risks, services []string
	for _, r := range b.risks {
		risks = append(risks, r.String())
		if r.Guard == servicesReady && r.Service != "" {
			services = append(services, r.Service)
		}
	}
	text := "The run goes on although this does not hold: " + strings.Join(risks, ", ") + "."
	if len(services) == len(risks) {
		text = "The run goes on without " + strings.Join(services, ", ") + ": what comes after is started, and the side is put back all the same. " +
			"The next service that does not get ready stops the run again."
	}
	p.Put(style.WarnStrong, style.WarnMark).Space(1).Wrap(style.Text, text, 6)
	p.Put(style.Soft, "accepted as a risk:").Space(1).Put(style.Strong, strings.Join(risks, ", ")).End()
	p.Blank(1)
	b.form.put(p)
	p.Blank(1).Put(style.Key, "esc").Space(1).Put(style.Muted, "cancel").Right(style.Soft, " Cancel ").End()
	return widget.Box(b.sheet, width, style.Danger, func(p *style.Page) { p.Put(style.Strong, b.what) }, "", p.Fit(min(p.Len(), max(area.H-2, 1))))
}

func (*riskBox) Scope() Scope { return inTyped }
func (*riskBox) Modal() bool  { return true }
