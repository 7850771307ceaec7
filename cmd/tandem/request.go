package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tandem/ops"
)

// opNames are the operations that plan and run know, in the order of the README.
var opNames = []string{string(ops.OpDrain), string(ops.OpPutBack), string(ops.OpRestart), string(ops.OpRecover), string(ops.OpRollback), string(ops.OpCanary), string(ops.OpJob), string(ops.OpPatch)}

// both is what stands for both sides, one after the other, in a recovery.
const both = "both"

// requestFlags are what an operator may say of an operation.
type requestFlags struct {
	noDrain    bool
	without    []string
	start      string
	straightOn bool
	to         []string
	versions   bool
	risks
}

// risks are what an operator accepts, with the reason for the record.
type risks struct {
	accept []string
	reason string
}

func (r *risks) register(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&r.accept, "accept", nil, "accept the named `risk` (a guard that does not pass); RISK@SIDE: for the steps of that side; needs --reason")
	cmd.Flags().StringVar(&r.reason, "reason", "", "why; kept in the journal and shown with the lock")
	offerRisks(cmd)
}

// accepted are the risks as a run takes them.
func (r *risks) accepted() ([]ops.Risk, error) {
	var list []ops.Risk
	for _, risk := range r.accept {
		if strings.TrimSpace(r.reason) == "" {
			return nil, usagef("--accept %s needs --reason: it goes on the record", risk)
		}
		at := ops.Risk{Reason: r.reason}
		guard, side, sided := strings.Cut(risk, "@")
		if at.Guard = guard; sided {
			var err error
			if at.Side, err = ops.ParseSide(side); err != nil {
				return nil, usagef("--accept %s: %v", risk, err)
			}
		}
		list = append(list, at)
	}
	return list, nil
}

func (f *requestFlags) register(cmd *cobra.Command, g *globals) {
	cmd.Flags().BoolVar(&f.noDrain, "no-drain", false, "restart or roll back services without taking the side out of traffic first")
	cmd.Flags().StringSliceVar(&f.without, "without", nil, "recover: leave out `parts`: reboot, pools, put-back")
	cmd.Flags().StringVar(&f.start, "start", "", "recover: start services by `way`: compose, or api (default: compose where it made them)")
	cmd.Flags().BoolVar(&f.straightOn, "straight-on", false, "recover both: go on with the second side without asking")
	f.registerTo(cmd)
	cmd.Flags().BoolVar(&f.versions, "versions", false, "rollback: packages back to the versions that the last patch of the side recorded")
	f.risks.register(cmd)
	cmd.ValidArgsFunction = completeOp(g)
	offer(cmd, "without", ops.PartReboot, ops.PartPools, ops.PartPutBack)
	offer(cmd, "start", string(ops.StartCompose), string(ops.StartAPI))
}

const requestUsage = `OP is one of ` + "drain, put-back, restart, recover, rollback, canary, job, patch" + `.

  drain SIDE                       take the side out of traffic, wait for its sessions
  put-back SIDE                    let it serve again, after its services, a canary and the balancer's check
  restart SIDE [SERVICE...]        restart services in start order, drained first when the side is in service
  recover SIDE|both                drain, stop all, reboot, remove and make anew containers and networks, put back
  rollback SIDE SERVICE=IMAGE...   services back to an earlier image that is present on the host
  rollback SIDE --versions         packages back to the versions from before the last patch
  canary SIDE                      prove that a new container can start, through the engine and through compose
  job SIDE NAME                    run a job to its end, with its log and its exit code
  patch SIDE --to VERSION...       engine and compose to named versions, together; see tandem patch --help`

// request turns arguments into a request.
func (f *requestFlags) request(args []string) (ops.Request, error) {
	if len(args) == 0 {
		return ops.Request{}, usagef("name an operation: %s", strings.Join(opNames, ", "))
	}
	if !slices.Contains(opNames, args[0]) {
		return ops.Request{}, usagef("%q is not an operation: use one of %s", args[0], strings.Join(opNames, ", "))
	}
	req := ops.Request{
		Op: ops.Op(args[0]), NoDrain: f.noDrain, Without: f.without, Start: ops.StartWay(f.start), StraightOn: f.straightOn, Reason: f.reason,
	}
	var rest []string
	var err error
	if req.Op == ops.OpRecover && len(args) > 1 && strings.EqualFold(args[1], both) {
		req.Both, rest = true, args[2:]
	} else if req.Side, rest, err = sideArg(req.Op, args[1:]); err != nil {
		return ops.Request{}, err
	}
	if req.Accept, err = f.accepted(); err != nil {
		return ops.Request{}, err
	}
	if req.Op != ops.OpRecover && (len(f.without) > 0 || f.start != "" || f.straightOn) {
		return ops.Request{}, usagef("--without, --start and --straight-on are for recover, not for %s", req.Op)
	}
	if len(f.to) > 0 && req.Op != ops.OpPatch {
		return ops.Request{}, usagef("--to is for patch, not for %s", req.Op)
	}
	if f.versions && req.Op != ops.OpRollback {
		return ops.Request{}, usagef("--versions is for rollback, not for %s", req.Op)
	}
	if f.straightOn && !req.Both {
		return ops.Request{}, usagef("--straight-on is for recover both: there is no second side")
	}
	switch req.Op {
	case ops.OpRestart:
		req.Services = rest
	case ops.OpRollback:
		if f.versions {
			if len(rest) > 0 {
				return ops.Request{}, usagef("rollback %s --versions takes nothing more, but got %q", req.Side, rest)
			}
			req.Op = ops.OpPatch
			break
		}
		if len(rest) == 0 {
			return ops.Request{}, usagef("rollback of services needs SERVICE=IMAGE; to take back a run use: tandem rollback RUN")
		}
		req.Images = map[string]string{}
		for _, pair := range rest {
			name, image, ok := strings.Cut(pair, "=")
			if !ok || name == "" || image == "" {
				return ops.Request{}, usagef("%q is not SERVICE=IMAGE", pair)
			}
			req.Images[name] = image
			req.Services = append(req.Services, name)
		}
	case ops.OpJob:
		if len(rest) != 1 {
			return ops.Request{}, usagef("job %s needs the name of one job", args[1])
		}
		req.Services = rest
	default:
		if len(rest) > 0 {
			return ops.Request{}, usagef("%s %s takes nothing more, but got %q", req.Op, args[1], rest)
		}
	}
	return req, nil
}

func printPlan(w io.Writer, plan ops.Plan, doc ops.PlanDoc) {
	fmt.Fprintf(w, "%s   %s   %s\n", plan.Title, plan.Pair, doc.Risk)
	for _, line := range plan.Headline {
		fmt.Fprintf(w, "  %s\n", line)
	}
	if len(plan.Checks) > 0 {
		fmt.Fprintln(w, "\nchecks")
	}
	for _, c := range plan.Checks {
		state := string(c.State)
		if c.Accepted {
			state += ", accepted"
		}
		risk := c.Guard
		if c.Side != "" {
			risk += "@" + string(c.Side)
		}
		fmt.Fprintf(w, "  %-8s %s  [%s]\n", state, c.Text, risk)
		if !c.Allows() && c.Hint != "" {
			fmt.Fprintf(w, "           → %s\n", c.Hint)
		}
	}
	fmt.Fprintln(w, "\nsteps")
	for i, s := range doc.Steps {
		if s.Pause != "" {
			fmt.Fprintf(w, "     the run waits: %s\n", s.Pause)
		}
		fmt.Fprintf(w, "  %2d %s\n", i+1, s.Title)
		if s.Skip != "" {
			fmt.Fprintf(w, "     not needed: %s\n", s.Skip)
			continue
		}
		for _, effect := range s.Effects {
			fmt.Fprintf(w, "     %s\n", effect)
		}
	}
	if plan.UndoText != "" {
		fmt.Fprintf(w, "\nundo\n  %s\n", plan.UndoText)
	}
}
