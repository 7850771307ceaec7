package plans

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/ops"
	"tandem/ops/steps"
)

// How long package work may take. An apt that downloads and unpacks an engine takes a minute on
// a slow disk.
const (
	refreshTime = 5 * time.Minute
	installTime = 20 * time.Minute
)

// patch brings packages of the side to named versions: engine, containerd and compose together,
// while the side is out. What is not asked for must not change, new dependencies neither: they
// are asked for by name, too.
func patch(d *draft) error {
	changes, err := d.patchable()
	if err != nil {
		return err
	}
	r, err := d.survey("")
	if err != nil {
		return err
	}
	p := &patchOf{recoveryOf: r, changes: changes, asked: map[string]string{}, now: map[string]string{}}
	for _, c := range changes {
		p.asked[c.Name], p.now[c.Name] = c.To, c.From
	}
	d.plan.Patient = true
	d.plan.Title = p.title()
	p.say()
	for _, g := range []ops.Guard{
		steps.PackagesAtRest(d.side), steps.PackagesAsAsked(d.side, d.req.Packages), steps.WayBack(d.side, changes),
	} {
		d.ask(d.side, g)
	}

	p.last = []string{d.lock()}
	p.then(p.preflight())
	p.then(p.refresh())
	p.then(p.fetch())
	p.askPeerCanary()
	p.then(p.peerCanary())
	p.then(p.drain())
	p.down()
	p.then(p.install())
	p.then(p.restartEngine())
	p.then(p.probe())
	p.then(p.canary())
	p.up()
	p.then(p.verify())
	p.then(p.putBack())
	p.then(p.soak())
	p.then(p.holdPackages())
	d.unlock(p.last...)
	p.sayUndo()
	return nil
}

// patchOf is the patch of a side in the making: the survey of a recovery tells what runs there.
type patchOf struct {
	*recoveryOf
	changes    []ops.VersionChange
	asked, now map[string]string // of the packages that change: version; empty: not installed
}

// patchable is what would change, in order, or why nothing can be planned.
func (d *draft) patchable() ([]ops.VersionChange, error) {
	switch {
	case len(d.req.Packages) == 0:
		return nil, errors.New("patch to which versions? give at least one: --to 26.1.5, or --to PACKAGE=VERSION")
	case len(d.req.Services) > 0:
		return nil, errors.New("patch is for a whole side, not for services of it")
	case d.req.NoDrain:
		return nil, errors.New("a side is not patched while it serves: --no-drain is for restart and rollback")
	}
	var changes []ops.VersionChange
	for _, name := range sortedKeys(d.req.Packages) {
		from, version := d.installed(name), d.req.Packages[name]
		if from != version {
			changes = append(changes, ops.VersionChange{Name: name, From: from, To: version})
		}
	}
	if changes == nil {
		return nil, fmt.Errorf("%s has these versions already: %s", d.side.Upper(), and(sortedKeys(d.req.Packages)))
	}
	return changes, nil
}

// installed is the version that a package is at. Facts know the engine's packages; of others the
// simulation tells.
func (d *draft) installed(name string) string {
	if d.state.Simulated != nil {
		for _, c := range d.state.Simulated.Changes {
			if c.Name == name {
				return c.From
			}
		}
	}
	return d.state.Facts.Packages[name]
}

// back tells whether the patch takes the side back to earlier versions.
func (p *patchOf) back() bool {
	return slices.ContainsFunc(p.changes, ops.VersionChange.GoesBack)
}

func (p *patchOf) title() string {
	var words []string
	for _, c := range p.changes {
		if c.To != "" {
			words = append(words, c.Name+" "+ops.Upstream(c.To))
		}
	}
	if p.back() {
		return "patch " + p.side.Upper() + " back to " + and(words)
	}
	return "patch " + p.side.Upper() + " to " + and(words)
}

// restarts tells whether the engine has to be restarted: then no container runs meanwhile.
func (p *patchOf) restarts() bool {
	return slices.ContainsFunc(p.changes, func(c ops.VersionChange) bool { return steps.OfRuntime(c.Name) })
}

const engineStays = "neither the engine nor what it starts containers with changes"

func (p *patchOf) preflight() (ops.Step, string) {
	return steps.Preflight{Side: p.side, Run: p.plan.ID, How: ops.StartAPI, Packages: true}, ""
}

func (p *patchOf) refresh() (ops.Step, string) {
	return steps.Refresh{Side: p.side, Within: refreshTime}, ""
}

func (p *patchOf) fetch() (ops.Step, string) {
	return steps.Fetch{Side: p.side, Asked: p.asked, Was: p.now, Within: installTime}, ""
}

// down stops everything on the side in reverse start order: the engine's restart would kill it
// in no order, and what has a restart policy would come back in none.
func (p *patchOf) down() {
	hold, skip := p.hold()
	if !p.restarts() {
		skip = engineStays
	}
	p.then(hold, skip)
	if skip == "" {
		p.stopAll()
	}
}

func (p *patchOf) install() (ops.Step, string) {
	step := steps.Install{Side: p.side, Asked: p.asked, Was: p.now, Within: installTime, Engine: p.limits().Start}
	for _, c := range p.changes {
		if slices.Contains(p.state.Upkeep.Held, c.Name) {
			step.Held = append(step.Held, c.Name)
		}
	}
	return step, ""
}

func (p *patchOf) restartEngine() (ops.Step, string) {
	step := steps.RestartEngine{Side: p.side, Versions: p.asked, Within: p.limits().Start}
	if !p.restarts() {
		return step, engineStays
	}
	return step, ""
}

func (p *patchOf) probe() (ops.Step, string) {
	step := p.probeStep()
	step.Found = slices.ContainsFunc(p.changes, func(c ops.VersionChange) bool { return slices.Contains(ops.ComposePackages, c.Name) })
	switch {
	case len(step.Command) == 0:
		step.Command = []string{"docker", "compose"}
		return step, "no compose was found on " + p.side.Upper()
	case p.accepts(steps.GuardComposeFits):
		return step, steps.GuardComposeFits + " is accepted as a risk"
	}
	return step, ""
}

// up starts again what was stopped, in start order.
func (p *patchOf) up() {
	if !p.restarts() {
		return
	}
	l, from := p.limits(), p.ids[steps.KindHold]
	unready := p.unready(nil)
	p.last = p.inOrder(p.before, func(s part) ops.Step {
		return steps.Wake{
			Side: p.side, Service: s.Service, Containers: s.was(), From: from, Stop: l.Stop, Within: within(s.Service, l),
			Unready: slices.Contains(unready, s.Name),
		}
	})
	p.proves(steps.GuardServicesReady)
	p.then(p.unhold())
}

func (p *patchOf) verify() (ops.Step, string) { return p.verifyStep(p.unready(nil)), "" }

func (p *patchOf) putBack() (ops.Step, string) {
	return p.putBackStep(p.ids[steps.KindDrain], p.unready(nil)), p.stays()
}

func (p *patchOf) soak() (ops.Step, string) { return p.soakStep(), p.stays() }

// stays says why the side is not put back; empty: it is. A side that was out stays out.
func (p *patchOf) stays() string {
	if p.traffic(p.side) == ops.Out {
		return p.side.Upper() + " was out before and stays out"
	}
	return ""
}

// holdPackages holds what was patched: the others keep the hold that they have.
func (p *patchOf) holdPackages() (ops.Step, string) {
	step := steps.HoldPackages{Side: p.side}
	for _, c := range p.changes {
		if c.To != "" {
			step.Packages = append(step.Packages, c.Name)
		}
	}
	if step.Packages == nil {
		return step, "nothing is installed that could be held"
	}
	return step, ""
}

// say tells what happens, the traffic first.
func (p *patchOf) say() {
	side := p.side.Upper()
	if p.stays() != "" {
		p.draft.say("%s is out and stays out: traffic does not change.", side)
	} else {
		p.sayDrained("until " + side + " is back")
	}
	for _, c := range p.changes {
		switch {
		case c.From == "":
			p.draft.say("%s %s is installed anew.", c.Name, c.To)
		case c.To == "":
			p.draft.say("%s %s is removed.", c.Name, c.From)
		case c.GoesBack():
			p.draft.say("%s goes back from %s to %s.", c.Name, c.From, c.To)
		default:
			p.draft.say("%s goes from %s to %s.", c.Name, c.From, c.To)
		}
	}
	if p.restarts() {
		p.draft.say("The engine restarts: %s of %s stop before and start afterwards, in start order; nothing is made anew.", count(len(p.ours()), "container"), side)
		if len(running(p.others)) > 0 {
			p.draft.say("Not ours, stopped meanwhile and started again: %s.", and(names(was(running(p.others)))))
		}
	} else {
		p.draft.say("The engine stays as it is: no container stops.")
	}
	p.draft.say("Afterwards these packages are on hold.")
	for _, c := range p.changes {
		if from, to := ops.Major(c.From), ops.Major(c.To); steps.OfRuntime(c.Name) && c.GoesBack() && from > to {
			p.draft.say("Whether %s %d reads what %d has written to disk is not certain.", c.Name, to, from)
		}
	}
	if c := steps.WayBack(p.side, p.changes).Eval(p.snap, p.snap.At); c.State != ops.Pass {
		p.draft.say("%s.", strings.ToUpper(c.Text[:1])+c.Text[1:])
	}
}

// sayUndo tells what a rollback can take back.
func (p *patchOf) sayUndo() {
	versions := "versions: yes, the present ones are kept on " + p.side.Upper()
	c := steps.WayBack(p.side, p.changes).Eval(p.snap, p.snap.At)
	switch {
	case strings.HasPrefix(c.Text, "no way back"):
		versions = "versions: no" + strings.TrimPrefix(c.Text, "no way back")
	case c.State != ops.Pass:
		versions = "versions: yes, but not for certain: " + steps.UncertainBack(p.changes)
	}
	undo := []string{versions, "holds: yes"}
	if p.stays() == "" {
		undo = append([]string{"traffic: yes"}, undo...)
	}
	p.plan.UndoText = strings.Join(undo, "    ")
}

// patchBasis is what a patch relies on beyond what every plan does.
type patchBasis struct {
	Packages map[string]string
	Changes  []ops.VersionChange
	Refused  string
}

func patchBasisOf(s *ops.SideState) *patchBasis {
	b := patchBasis{Packages: s.Facts.Packages}
	if s.Simulated != nil {
		b.Changes, b.Refused = s.Simulated.Changes, s.Simulated.Err
	}
	return &b
}
