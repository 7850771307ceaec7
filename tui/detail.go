package tui

import (
	"strconv"
	"strings"
	"time"

	"tandem/ops"
	"tandem/tui/style"
)

// newDetail shows all there is to know of a service, side by side where there is room.
func newDetail(e *env, service string) screen {
	s := &sheetOfText{env: e}
	s.title = func(p *style.Page) { p.Put(style.Strong, service) }
	s.write = func(p *style.Page) {
		writeOrder(e, p, service)
		if p.Width() < bothWidth-4 {
			for _, side := range ops.Sides {
				p.Put(sideChip(side), " "+side.Upper()+" ").End()
				for _, line := range detailLines(e, side, service) {
					putDetail(p, line, p.Width())
					p.End()
				}
				p.End()
			}
			return
		}
		half := p.Width() / 2
		for i, side := range ops.Sides {
			p.To(i*half).Put(sideChip(side), " "+side.Upper()+" ")
		}
		p.End().End()
		blue, green := detailLines(e, ops.Blue, service), detailLines(e, ops.Green, service)
		for i := range max(len(blue), len(green)) {
			if i < len(blue) {
				putDetail(p, blue[i], half-2)
			}
			p.To(half)
			if i < len(green) {
				putDetail(p, green[i], p.Width())
			}
			p.End()
		}
	}
	return s
}

// writeOrder says what the service waits for, and how it proves that it is ready.
func writeOrder(e *env, p *style.Page, name string) {
	for i, s := range e.snap.Services {
		if s.Name != name {
			continue
		}
		p.Cell(style.Muted, "starts", 10)
		if e.snap.Order == ops.OrderUnknown {
			p.Put(style.Warn, "order not known").End()
		} else if len(s.After) == 0 {
			p.Put(style.Soft, "number "+count(i+1, len(e.snap.Services))+", waits for nothing").End()
		} else {
			p.Put(style.Soft, "number "+count(i+1, len(e.snap.Services))+", after "+strings.Join(s.After, ", ")).End()
		}
		p.Cell(style.Muted, "ready by", 10)
		switch s.Ready.Kind {
		case ops.ReadyHTTP:
			p.Put(style.Soft, "http "+s.Ready.URL)
		case ops.ReadyExec:
			p.Put(style.Soft, "exec "+strings.Join(s.Ready.Exec, " "))
		case ops.ReadyAuto:
			p.Put(style.Soft, "its health check, else running")
		default:
			p.Put(style.Soft, string(s.Ready.Kind))
		}
		p.End().End()
		return
	}
}

// detailLine is a line of the details: a name and a value, or an empty line.
type detailLine struct {
	name, value string
	ink         style.Ink
}

func putDetail(p *style.Page, line detailLine, limit int) {
	p.Limit(limit).Cell(style.Muted, line.name, 10).Put(line.ink, line.value).Free()
}

func detailLines(e *env, side ops.Side, name string) []detailLine {
	state := e.snap.On(side).Service(name)
	if state == nil || !state.Here && len(state.Containers) == 0 {
		return []detailLine{{value: style.AbsentMark + " not here", ink: style.Muted}}
	}
	peer := e.snap.On(side.Peer()).Service(name)
	mark, ink := stateLook(state)
	lines := []detailLine{{"state", mark + " " + state.State, ink}}
	add := func(name, value string, ink style.Ink) {
		if value != "" {
			lines = append(lines, detailLine{name, value, ink})
		}
	}
	for i := range state.Containers {
		c := &state.Containers[i]
		lines = append(lines, detailLine{})
		add("container", c.Name, style.Strong)
		add("id", c.ID[:min(len(c.ID), 12)], style.Soft)
		differs := style.Soft
		if peer != nil && i < len(peer.Containers) && peer.Containers[i].ImageID != c.ImageID {
			differs = style.Warn
		}
		add("image", c.Image, differs)
		add("image id", c.ImageID, differs)
		word := c.State
		if c.State == "exited" || c.State == "dead" {
			word += " " + strconv.Itoa(c.ExitCode)
		}
		if c.OOMKilled {
			word += ", out of memory"
		}
		add("engine", word, style.Soft)
		add("health", c.Health, style.Soft)
		add("created", e.when(c.CreatedAt), style.Soft)
		add("started", e.when(c.StartedAt), style.Soft)
		add("finished", e.when(c.FinishedAt), style.Soft)
		if c.Restarts > 0 {
			add("restarts", strconv.Itoa(c.Restarts), style.Warn)
		}
		add("policy", c.Policy, style.Soft)
		add("ports", strings.Join(c.Ports, ", "), style.Soft)
		add("networks", strings.Join(c.Networks, ", "), style.Soft)
	}
	return lines
}

// when writes a time with its age.
func (e *env) when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	text, _ := age(e.now(), t)
	if e.utc {
		return t.UTC().Format("2006-01-02 15:04:05Z") + ", " + text + " ago"
	}
	return t.Local().Format("2006-01-02 15:04:05") + ", " + text + " ago"
}
