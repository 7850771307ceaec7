package tui

import (
	"slices"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"tandem/ops"
	"tandem/tui/style"
)

// option is something of the plan that can be switched, with its state in words. The keys
// of the options are digits: no side has one in its name, so that they work while the name
// is being typed.
type option struct {
	name, state string
	usual       bool // as it is where nothing was asked for
	change      func(*ops.Request)
}

// options are the switches of the request that was last asked for.
func (d *confirmDialog) options() []option {
	r := &d.wish
	if d.start != nil {
		return nil
	}
	switch r.Op {
	case ops.OpRestart, ops.OpRollback:
		return []option{{"drain first", yes(!r.NoDrain), !r.NoDrain, func(r *ops.Request) { r.NoDrain = !r.NoDrain }}}
	case ops.OpRecover:
		return recoverOptions(r)
	}
	return nil
}

func recoverOptions(r *ops.Request) []option {
	sides := r.Side.Upper() + " only"
	if r.Both {
		sides = r.Side.Upper() + ", then " + r.Side.Peer().Upper()
	}
	start := string(r.Start)
	switch r.Start {
	case ops.StartAuto:
		start = "auto"
	case ops.StartAPI:
		start = "API"
	}
	list := []option{
		{"sides", sides, !r.Both, func(r *ops.Request) { r.Both, r.StraightOn = !r.Both, false }},
		part(r, "reboot", "yes", ops.PartReboot),
		part(r, "address pools", "move", ops.PartPools),
		part(r, "put back", "yes", ops.PartPutBack),
		{"start by", start, r.Start == ops.StartAuto, func(r *ops.Request) { r.Start = nextStart[r.Start] }},
	}
	if r.Both {
		between := "ask"
		if r.StraightOn {
			between = "go straight on"
		}
		list = append(list, option{"between", between, !r.StraightOn, func(r *ops.Request) { r.StraightOn = !r.StraightOn }})
	}
	return list
}

var nextStart = map[ops.StartWay]ops.StartWay{ops.StartAuto: ops.StartCompose, ops.StartCompose: ops.StartAPI, ops.StartAPI: ops.StartAuto}

// part is the switch of a part of a recovery that can be left out.
func part(r *ops.Request, name, words, word string) option {
	out := slices.Contains(r.Without, word)
	if out {
		words = "leave out"
	}
	return option{name, words, !out, func(r *ops.Request) {
		r.Without = slices.DeleteFunc(slices.Clone(r.Without), func(w string) bool { return w == word })
		if !out {
			r.Without = append(r.Without, word)
		}
	}}
}

func yes(on bool) string {
	if on {
		return "yes"
	}
	return "no"
}

// toggle changes an option and makes the plan anew at once. While a plan is being made
// the next switch takes its place: several may be set without waiting.
func (d *confirmDialog) toggle(i int) tea.Cmd {
	options := d.options()
	if d.phase != asking && d.phase != lookingAgain || i < 0 || i >= len(options) {
		return nil
	}
	request := d.wish
	options[i].change(&request)
	d.switched = true
	return d.replan(request)
}

// putOptions draws the switches, each whole, on as many lines as they take.
func (d *confirmDialog) putOptions(p *style.Page) {
	for i, o := range d.options() {
		if p.At() > 0 && p.Measure(o.name)+p.Measure(o.state)+4 > p.Left() {
			p.End()
		}
		ink := style.Strong
		if !o.usual {
			ink = style.WarnStrong
		}
		if d.focus == i+1 {
			ink = style.FocusChip
		}
		p.Put(style.Key, strconv.Itoa(i+1)).Space(1).Put(style.Soft, o.name+": ").Put(ink, o.state).Space(3)
	}
	p.End()
}

// partTwo is the index of the step at which the part of the peer begins; the number of
// steps where there is none. kind and side are those of the i-th step.
func partTwo(r *ops.Request, steps int, about func(i int) (kind string, side ops.Side)) int {
	for i := 0; r.Both && i < steps; i++ {
		if kind, side := about(i); kind == "preflight" && side == r.Side.Peer() {
			return i
		}
	}
	return steps
}

// partName says which part of a recovery of both sides it is.
func partName(p *style.Page, side ops.Side, second bool) *style.Page {
	words := "first"
	if second {
		words = "then"
	}
	return p.Put(sideInk(side), side.Upper()).Space(1).Put(style.Soft, words)
}
