package tui

import (
	"strconv"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
)

// Shell is an open shell on a host or in a container. Run joins it with the terminal, which the
// console gives up meanwhile.
type Shell interface {
	tea.ExecCommand
	Title() string // "shell on BLUE"
	Exit() int     // its status, once it has run
	Close()        // without running it
}

// shellMsg brings a shell that has been opened.
type shellMsg struct{ Shell }

// whenShell refuses shells: nothing guards what is typed there, and nothing masks what is shown.
func whenShell(e *env) string {
	switch {
	case e.backend.ReadOnly():
		return "read-only"
	case e.present:
		return "presenting: what a shell shows cannot be masked"
	}
	return ""
}

func whenExec(e *env) string {
	if why := whenShell(e); why != "" {
		return why
	}
	if why := whenService(e); why != "" {
		return why
	}
	if len(e.snap.On(e.side).Containers(e.service)) == 0 {
		return e.service + " is not on " + string(e.side)
	}
	return ""
}

// shell opens a shell; while a run is under way it asks first.
func (a *App) shell(side ops.Side, service string) tea.Cmd {
	e, title := &a.env, "shell on "+side.Upper()
	if service != "" {
		title = "shell in " + service + " on " + side.Upper()
	}
	join := func() tea.Msg {
		sh, err := e.backend.Shell(e.ctx, side, service)
		if err != nil {
			return noticeMsg{title, err}
		}
		return shellMsg{sh}
	}
	if r := a.run; r != nil && r.Live() {
		text := "A run is under way: " + r.Plan.Title + ". It does not know of what is done in a shell meanwhile, and may trip over it."
		box := newAsk(e, "Open a "+title+"?", text, "open", join)
		return a.open(box)
	}
	a.say(style.Soft, "opening a "+title+" "+style.Ellipsis)
	return e.await(title, join)
}

// join hands the terminal to a shell, unless the operator has gone elsewhere in the meantime, or
// may no longer have one.
func (a *App) join(msg shellMsg) tea.Cmd {
	why := whenShell(&a.env)
	if why == "" && a.top().Scope() != inPair {
		why = "another screen is open"
	}
	if why != "" {
		msg.Close()
		return a.say(style.Warn, msg.Title()+": not now, "+why)
	}
	a.said = sayMsg{}
	return tea.Sequence(a.link.rest, tea.Exec(msg.Shell, func(err error) tea.Msg {
		msg.Close()
		a.link.wake()
		if err != nil {
			return noticeMsg{msg.Title(), err}
		}
		return sayMsg{style.Focus, msg.Title() + " closed, exit status " + strconv.Itoa(msg.Exit())}
	}))
}
