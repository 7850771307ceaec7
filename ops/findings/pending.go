package findings

import (
	"slices"
	"strings"

	"tandem/ops"
)

// upgradesPending: the next upgrade of the host takes the engine with it. On a host as it is
// delivered that is so now and then: it is more than a note only where what would come does
// not work with what is there.
func upgradesPending(v view) []ops.Finding {
	return alike(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		pending := comingBy(s)
		if len(pending) == 0 {
			return nil
		}
		f := ops.Finding{ID: "upgrades-pending", Severity: ops.Note, Side: side, Title: "an upgrade would take " + versions(pending[:1]), Detail: versions(pending)}
		if len(pending) > 1 {
			f.Title += ", and " + count(len(pending)-1, "package") + " of the engine more"
		} else {
			f.Detail = ""
		}
		wanted, why := map[string]string{}, ""
		var list []string
		for _, p := range pending {
			list = append(list, p.Name)
			if p.To != "" {
				wanted[p.Name] = p.To
			}
			if isEngine(p.Name) && why == "" {
				why = ops.ComposeMisfit(s.Facts.Compose, p.To)
			}
		}
		f.Hint, f.Do = "keep it from that: "+hold(list)+"; then move engine and compose together: P", patch(side, wanted)
		if why != "" && read(s.Host) && !slices.ContainsFunc(pending, func(p ops.VersionChange) bool { return strings.Contains(p.Name, "compose") }) {
			f.Severity, f.Title = ops.Warn, f.Title+": then "+why
			f.Do = nil
		}
		return []ops.Finding{f}
	})
}

// comingBy are the changes that an upgrade would make to the engine's packages.
func comingBy(s *ops.SideState) []ops.VersionChange {
	if !read(s.Care) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.Upkeep.Pending), func(p ops.VersionChange) bool { return slices.Contains(s.Upkeep.Held, p.Name) })
}

func hold(packages []string) string { return "sudo apt-mark hold " + strings.Join(packages, " ") }
