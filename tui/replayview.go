package tui

import (
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"tandem/tui/style"
)

// playMsg: a moment of a replay has gone by.
type playMsg struct{}

// moment is the time between two frames of a replay that plays.
const moment = 100 * time.Millisecond

// play waits for the next moment, unless that is being waited for.
func (a *App) play() tea.Cmd {
	if a.replay == nil || !a.replay.playing || a.waiting {
		return nil
	}
	a.waiting = true
	ctx, pause := a.ctx, max(moment, a.calm())
	return func() tea.Msg {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
			return playMsg{}
		case <-ctx.Done():
			return nil
		}
	}
}

// wind shows the replay where it is now.
func (a *App) wind() tea.Cmd {
	a.replay.advance()
	a.read()
	if a.present {
		a.restyle()
	}
	return tea.Batch(a.tell(changedMsg{}), a.play())
}

// handle carries out the keys of the replay itself.
func (r *Replay) handle(action Action) bool {
	switch action {
	case actPlay, actHold:
		r.toggle()
	case actStepOn:
		r.step(true)
	case actStepBack:
		r.step(false)
	case actFaster:
		r.hasten(2)
	case actSlower:
		r.hasten(0.5)
	default:
		return false
	}
	return true
}

func whilePlaying(e *env) string {
	if e.replay != nil && e.replay.playing {
		return ""
	}
	return "it is paused"
}

func whileHeld(e *env) string {
	if whilePlaying(e) == "" {
		return "it plays"
	}
	return ""
}

// strip says where the replay is, on two lines, after an empty one where there is room.
func (r *Replay) strip(e *env, width int, roomy bool) []string {
	p := e.sheet.Page(width)
	if roomy {
		p.Blank(1)
	}
	mark, ink, state := style.NowMark, style.FocusChip, "PLAYING"
	switch {
	case r.ended():
		mark, ink, state = style.OkMark, style.FocusChip, "THE END"
	case !r.playing:
		mark, ink, state = style.PauseMark, style.WarnChip, "PAUSED"
	}
	run, now := r.shown, r.Clock()
	times := span(now.Sub(run.Started)) + " of " + span(r.events[len(r.events)-1].At.Sub(run.Started))
	p.Space(1).Put(ink, " "+mark+" "+state+strings.Repeat(" ", len("PLAYING")-len(state)+1)).Space(1).Cell(style.Soft, strconv.FormatFloat(r.speed, 'g', 3, 64)+"x", 5).Space(1)
	from, to := p.At(), width-3-p.Measure(times)
	if to > from+8 {
		full := from
		if end := r.end(); end > 0 {
			full += int(int64(to-from) * int64(r.pos) / int64(end))
		}
		p.Fill(style.Focus, style.BarFull, full).Fill(style.Line, style.BarEmpty, to)
	}
	p.Limit(width-1).Right(style.Text, times).End()
	at := now.Local()
	if e.utc {
		at = now.UTC()
	}
	p.Space(1).Put(style.Soft, at.Format("Mon 2 Jan 2006")).Space(2).Put(style.Muted, "run "+run.ID)
	if real, played := r.silence(); real > 0 {
		p.Limit(width-1).Space(3).Right(style.Focus, "a silence of "+span(real)+" passes in "+strconv.FormatFloat(played.Seconds(), 'g', 3, 64)+" s")
	}
	return p.End().Lines()
}
