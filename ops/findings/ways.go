package findings

import (
	"slices"

	"tandem/ops"
)

// The operations that hints propose.

func drain(side ops.Side) *ops.Request   { return &ops.Request{Op: ops.OpDrain, Side: side} }
func putBack(side ops.Side) *ops.Request { return &ops.Request{Op: ops.OpPutBack, Side: side} }
func canary(side ops.Side) *ops.Request  { return &ops.Request{Op: ops.OpCanary, Side: side} }

func restart(side ops.Side, services ...string) *ops.Request {
	return &ops.Request{Op: ops.OpRestart, Side: side, Services: services}
}

func job(side ops.Side, name string) *ops.Request {
	return &ops.Request{Op: ops.OpJob, Side: side, Services: []string{name}}
}

func recovery(side ops.Side) *ops.Request { return &ops.Request{Op: ops.OpRecover, Side: side} }

// withoutCompose is a recovery that starts the services through the engine.
func withoutCompose(side ops.Side) *ops.Request {
	return &ops.Request{Op: ops.OpRecover, Side: side, Start: ops.StartAPI}
}

// patch brings packages to versions; nil without any.
func patch(side ops.Side, packages map[string]string) *ops.Request {
	if len(packages) == 0 {
		return nil
	}
	return &ops.Request{Op: ops.OpPatch, Side: side, Packages: packages}
}

// gettable tells whether the host can get a package at a version now.
func gettable(s *ops.SideState, name, version string) bool {
	return read(s.Care) && (slices.Contains(s.Upkeep.Offered[name], version) || slices.Contains(s.Upkeep.Kept[name], version))
}

// wayBack are the packages of a change at the versions before it; nil unless the host can get
// all of them.
func wayBack(s *ops.SideState, c *ops.PackageChange) map[string]string {
	if c == nil {
		return nil
	}
	out := map[string]string{}
	for _, p := range c.Packages {
		if p.From == "" {
			continue
		}
		if !gettable(s, p.Name, p.From) {
			return nil
		}
		out[p.Name] = p.From
	}
	return out
}

// alignment are the engine's packages of a side at the versions of its peer; nil unless the
// host can get all of them.
func (v *view) alignment(side ops.Side) map[string]string {
	here, there := v.On(side), v.On(side.Peer())
	out := map[string]string{}
	for _, name := range ops.EnginePackages {
		mine, theirs := here.Facts.Packages[name], there.Facts.Packages[name]
		if mine == "" || theirs == "" || mine == theirs {
			continue
		}
		if !gettable(here, name, theirs) {
			return nil
		}
		out[name] = theirs
	}
	return out
}

// fittingCompose is a compose that the host can get and against which nothing is known with
// the engine; nil where there is none.
func fittingCompose(s *ops.SideState, engine string) map[string]string {
	if !read(s.Care) {
		return nil
	}
	for _, name := range []string{"docker-compose", "docker-compose-plugin", "docker-compose-v2"} {
		for _, version := range s.Upkeep.Offered[name] {
			if version != s.Facts.Packages[name] && ops.ComposeMisfit(version, engine) == "" {
				return ops.WithCommand(s, engine, map[string]string{name: version})
			}
		}
	}
	return nil
}

// newer tells whether a is a later version than b.
func newer(a, b string) bool { return ops.VersionChange{From: a, To: b}.GoesBack() }
