package ops

import (
	"encoding/json"
	"fmt"
	"time"
)

// Op is an operation.
type Op string

// The operations.
const (
	OpDrain    Op = "drain"
	OpPutBack  Op = "put-back"
	OpRestart  Op = "restart"
	OpRecover  Op = "recover"
	OpRollback Op = "rollback" // of services to an earlier image; a run's rollback keeps the run's op
	OpCanary   Op = "canary"
	OpJob      Op = "job"
	OpPatch    Op = "patch"
)

// Request is what an operator asks for.
type Request struct {
	Op       Op                `json:"op"`
	Side     Side              `json:"side"`
	Services []string          `json:"services,omitempty"` // empty: all of the side; for OpJob the one job
	NoDrain  bool              `json:"no_drain,omitempty"` // restart without taking the side out first
	Images   map[string]string `json:"images,omitempty"`   // for OpRollback: service -> image id or tag present on the host
	// Packages are for OpPatch: package -> version, empty for one that shall not be installed.
	// Rolling versions back is a patch, too: to those that the last patch of the side recorded
	// before it changed them.
	Packages map[string]string `json:"packages,omitempty"`
	// For OpRecover: Side first, then its peer; what is left out (see the Part words); how
	// services are started; and whether the peer's part begins without asking.
	Both       bool     `json:"both,omitempty"`
	Without    []string `json:"without,omitempty"`
	Start      StartWay `json:"start,omitempty"`
	StraightOn bool     `json:"straight_on,omitempty"`
	Accept     []Risk   `json:"accept,omitempty"`
	Reason     string   `json:"reason,omitempty"`
	// Prior is the balancer state recorded when the side was taken out, where a journal
	// knows it: put-back restores exactly it.
	Prior json.RawMessage `json:"prior,omitempty"`
}

// Parts of a recovery that can be left out.
const (
	PartReboot  = "reboot"
	PartPools   = "pools"
	PartPutBack = "put-back"
)

// StartWay is how services are started anew.
type StartWay string

// The ways to start services. Compose: by compose on the host; API: through the engine,
// from what was recorded of each container.
const (
	StartAuto    StartWay = "" // by compose where the containers came from it
	StartCompose StartWay = "compose"
	StartAPI     StartWay = "api"
)

// PlannedStep is a step in its place.
type PlannedStep struct {
	ID    string   // unique in the plan: "03-restart-tcs"
	Needs []string // IDs that must be done before; steps that do not need each other may run together
	Side  Side     // whom it is about; empty: the pair
	// Service is the only one that it is about, if it is about one: a risk accepted when it
	// does not succeed is then about that one.
	Service string
	Step    Step
	Skip    string // not needed, and why; shown, never carried out
	Pause   string // asked before it begins, in words: the run waits for "continue"; empty: it does not
}

// Plan is an ordered list of steps with a reason, made from one snapshot and nothing else.
type Plan struct {
	ID      string
	Pair    string
	Request Request
	Made    time.Time // when the snapshot was taken
	Title   string    // "restart 13 services of GREEN"
	// Headline is what happens to traffic, consequence first: one sentence an entry.
	Headline []string
	// Checks are the guards of all steps evaluated against the snapshot, each guard once.
	Checks []Check
	// OnlyHere are services and jobs that exist on the side alone.
	OnlyHere []string
	// UndoText says what undo can and cannot take back.
	UndoText string
	Steps    []PlannedStep
	// Patient plans wait where others stop: for guards that do not hold any more once
	// something was changed, and for hosts that cannot be reached for a while.
	Patient bool
	// Basis identifies what the plan relies on: same basis, same plan. It is compared
	// when the operator confirms.
	Basis string
}

// Risk is the highest risk of the plan's steps.
func (p Plan) Risk() Level {
	level := Harmless
	for _, s := range p.Steps {
		if s.Skip != "" {
			continue
		}
		switch s.Step.Risk() {
		case Destructive:
			return Destructive
		case Disruptive:
			level = Disruptive
		}
	}
	return level
}

// Refusal is why the plan may not be started now; nil if it may.
func (p Plan) Refusal() *Refusal {
	var failed []Check
	hint := ""
	for _, c := range p.Checks {
		if !c.Allows() {
			failed = append(failed, c)
			if hint == "" {
				hint = c.Hint
			}
		}
	}
	if failed == nil {
		return nil
	}
	return &Refusal{What: p.Title, Checks: failed, Hint: hint}
}

// PlanDoc is a plan as data: what `tandem plan --json` prints, the journal begins with,
// and both hosts keep beside the lock.
type PlanDoc struct {
	Schema   int       `json:"schema"`
	ID       string    `json:"id"`
	Pair     string    `json:"pair"`
	Op       Op        `json:"op"`
	Side     Side      `json:"side,omitempty"`
	Made     time.Time `json:"made"`
	Title    string    `json:"title"`
	Headline []string  `json:"headline"`
	Checks   []Check   `json:"checks"`
	OnlyHere []string  `json:"only_here"`
	Undo     string    `json:"undo"`
	Risk     Level     `json:"risk"`
	Refused  bool      `json:"refused"`
	Basis    string    `json:"basis"`
	Patient  bool      `json:"patient,omitempty"`
	Request  Request   `json:"request"`
	Steps    []StepDoc `json:"steps"`
}

// StepDoc is a step as data.
type StepDoc struct {
	ID      string          `json:"id"`
	Side    Side            `json:"side,omitempty"`
	Service string          `json:"service,omitempty"`
	Needs   []string        `json:"needs"`
	Kind    string          `json:"kind"`
	Title   string          `json:"title"`
	Effects []string        `json:"effects"`
	Risk    Level           `json:"risk"`
	Guards  []string        `json:"guards"`
	Undo    string          `json:"undo,omitempty"` // title of what takes it back
	Skip    string          `json:"skip,omitempty"`
	Pause   string          `json:"pause,omitempty"`
	Data    json.RawMessage `json:"data"`
}

// Doc turns the plan into data.
func (p Plan) Doc() (PlanDoc, error) {
	d := PlanDoc{
		Schema: 1, ID: p.ID, Pair: p.Pair, Op: p.Request.Op, Side: p.Request.Side, Made: p.Made.UTC(), Title: p.Title,
		Headline: orEmpty(p.Headline), Checks: orEmpty(p.Checks), OnlyHere: orEmpty(p.OnlyHere), Undo: p.UndoText,
		Risk: p.Risk(), Refused: p.Refusal() != nil, Basis: p.Basis, Patient: p.Patient, Request: p.Request, Steps: []StepDoc{},
	}
	for _, s := range p.Steps {
		data, err := json.Marshal(s.Step)
		if err != nil {
			return PlanDoc{}, fmt.Errorf("encoding step %s: %w", s.ID, err)
		}
		guards := []string{}
		for _, g := range s.Step.Guards() {
			guards = append(guards, g.ID)
		}
		d.Steps = append(d.Steps, StepDoc{
			ID: s.ID, Side: s.Side, Service: s.Service, Pause: s.Pause, Needs: orEmpty(s.Needs), Kind: s.Step.Kind(), Title: s.Step.Title(), Effects: orEmpty(s.Step.Effects()),
			Risk: s.Step.Risk(), Guards: guards, Undo: s.Step.Back().Title, Skip: s.Skip, Data: data,
		})
	}
	return d, nil
}

// Plan rebuilds the plan from its data.
func (d PlanDoc) Plan(decode Decoder) (Plan, error) {
	p := Plan{
		ID: d.ID, Pair: d.Pair, Request: d.Request, Made: d.Made, Title: d.Title, Headline: d.Headline,
		Checks: d.Checks, OnlyHere: d.OnlyHere, UndoText: d.Undo, Basis: d.Basis, Patient: d.Patient,
	}
	for _, s := range d.Steps {
		step, err := decode(s.Kind, s.Data)
		if err != nil {
			return Plan{}, fmt.Errorf("decoding step %s of run %s: %w", s.ID, d.ID, err)
		}
		p.Steps = append(p.Steps, PlannedStep{ID: s.ID, Side: s.Side, Service: s.Service, Needs: s.Needs, Step: step, Skip: s.Skip, Pause: s.Pause})
	}
	return p, nil
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
