package report

import (
	"fmt"
	"strings"
	"time"

	"tandem/ops"
)

// Markdown is the report as a page (CommonMark with the tables of GitHub).
func (r Report) Markdown() string {
	p := page{}
	p.line("# Incident report: %s", md(r.Title))
	p.line("Run %s of the pair %s, %s", md(r.Run), md(r.Pair), r.Outcome)
	p.line("## Summary")
	p.line("%s", md(r.Summary))

	p.line("## Timeline (UTC)")
	p.table("time", "side", "what")
	for _, e := range r.Timeline {
		what := md(e.Text)
		if e.Acts > 1 {
			what += fmt.Sprintf(" (%d, until %s)", e.Acts, clock(*e.Until))
		}
		if e.Kind == string(ops.EvUndone) {
			what = "taken back: " + what
		}
		p.row(stamp(e.At), upper(e.Side), what)
	}

	p.line("## Actions")
	for _, side := range []ops.Side{ops.Blue, ops.Green, ""} {
		p.actions(side, r.Actions)
	}

	p.line("## Checks")
	p.table("check", "side", "read", "result")
	for _, c := range r.Checks {
		result := "passed"
		if len(c.Not) > 0 {
			result = "did not always pass, see below"
		}
		p.row(md(c.Guard), upper(c.Side), times(c.Read), result+"; last: "+md(c.Last))
	}
	p.none(len(r.Checks), "None was read.")
	for _, c := range r.Checks {
		for _, not := range c.Not {
			word := string(not.State)
			if not.Accepted {
				word += ", accepted as a risk"
			}
			p.item("%s %s, before %s: %s (%s)%s", stamp(not.At), md(c.Guard), md(not.Step), md(not.Text), word, hint(not.Hint))
		}
	}

	p.line("## Risks accepted")
	for _, risk := range r.Risks {
		p.item("%s %s: %s", stamp(risk.At), md(risk.Guard), md(risk.Reason))
	}
	p.none(len(r.Risks), "None.")

	p.line("## Versions")
	p.table("side", "what", "before", "after")
	for _, v := range r.Versions {
		p.row(upper(v.Side), "engine", version(v.EngineBefore), version(v.EngineAfter))
		p.row(upper(v.Side), "compose", version(v.ComposeBefore), version(v.ComposeAfter))
	}
	p.none(len(r.Versions), "Not on the record.")

	r.changed(&p)

	p.line("## What could not be kept")
	for _, l := range r.Lost {
		p.item("%s: %s: %s", upper(l.Side), md(l.Name), md(strings.Join(l.What, ", ")))
	}
	for _, v := range r.Volumes {
		p.item("%s: anonymous volumes of %s stay on the host: %s", upper(v.Side), md(v.Container), md(strings.Join(v.Volumes, ", ")))
	}
	p.none(len(r.Lost)+len(r.Volumes), "Nothing is on the record.")

	p.line("## Still to do")
	for _, todo := range r.ToDo {
		p.item("[ ] %s", md(todo))
	}
	p.none(len(r.ToDo), "Nothing that this run knows of.")
	return p.String()
}

func (r Report) changed(p *page) {
	p.line("## What was changed, and how to take it back")
	switch {
	case len(r.Changes) == 0:
		p.line("Nothing that was changed stands.")
	case r.Undo.Command == "":
		p.line("What can be taken back is taken back.")
	default:
		p.line("On a machine that has the journal of the run:")
		p.line("```console\n$ %s\n```", r.Undo.Command)
		if r.Undo.Text != "" {
			p.line("What it can take back: %s.", md(strings.ReplaceAll(r.Undo.Text, "    ", "; ")))
		}
	}
	p.table("side", "changed", "a rollback will")
	for i := 0; i < len(r.Changes); {
		first, n := r.Changes[i], 1
		for i+n < len(r.Changes) && r.Changes[i+n].kind == first.kind && r.Changes[i+n].Side == first.Side {
			n++
		}
		last := r.Changes[i+n-1]
		what, back := md(first.What), md(first.Back)
		if n > 1 {
			what, back = fmt.Sprintf("%s ... %s (%d)", what, md(last.What), n), back+" ... "+md(last.Back)
		}
		if first.Back == "" {
			back = "not take it back"
		}
		p.row(upper(first.Side), what, back)
		i += n
	}
}

func (p *page) actions(side ops.Side, all []Act) {
	begun := false
	for _, a := range all {
		if a.Side != side {
			continue
		}
		if !begun {
			begun = true
			p.line("### %s", upper(side))
			p.table("began", "took", "action", "result")
		}
		began, took, result := "", "", a.Result
		if a.Began != nil {
			began = clock(*a.Began)
		}
		if a.Took != nil {
			took = span(time.Duration(*a.Took * float64(time.Second)))
		}
		if a.Text != "" && a.Result != ResultTakenBack {
			result += ": " + md(a.Text)
		}
		p.row(began, took, md(a.What), result)
	}
}

// page is Markdown being written: blocks with a blank line between them, the lines of a table
// or a list without.
type page struct {
	strings.Builder
	in    string   // what the last line was part of
	heads []string // of a table that has no row yet
}

func (p *page) put(part, format string, args ...any) {
	if p.Len() > 0 && (part == "" || part != p.in) {
		p.WriteByte('\n')
	}
	p.in = part
	fmt.Fprintf(p, format+"\n", args...)
}

func (p *page) line(format string, args ...any) { p.put("", format, args...) }
func (p *page) item(format string, args ...any) { p.put("list", "- "+format, args...) }

func (p *page) none(n int, text string) {
	if n == 0 {
		p.line("%s", text)
	}
}

// table begins a table. Without rows it is not there.
func (p *page) table(heads ...string) { p.in, p.heads = "", heads }

func (p *page) row(cells ...string) {
	if heads := p.heads; heads != nil {
		p.heads = nil
		p.row(heads...)
		p.row(strings.Split(strings.Repeat("--- ", len(heads)-1)+"---", " ")...)
	}
	p.put("table", "| %s |", strings.Join(cells, " | "))
}

// md escapes what Markdown and its HTML would read as more than text. An underscore within a
// word is none of that.
func md(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		inWord := c == '_' && i > 0 && i+1 < len(text) && letter(text[i-1]) && letter(text[i+1])
		if strings.IndexByte("\\`*_[]<>|~#&$", c) >= 0 && !inWord {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

func letter(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

func upper(side ops.Side) string { return side.Upper() }

func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }

func hint(text string) string {
	if text == "" {
		return ""
	}
	return ". What to do: " + md(text)
}

func version(text string) string {
	if text == "" {
		return "not on the record"
	}
	return md(text)
}
