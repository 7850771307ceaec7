package findings

import "tandem/ops"

// sourcesSilent: package sources gave no answer when they were last asked. Nothing that runs
// suffers from it; that they are mended in a hurry is how an upgrade was typed for an update.
func sourcesSilent(v view) []ops.Finding {
	return alike(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Care) || len(s.Upkeep.Silent) == 0 {
			return nil
		}
		return []ops.Finding{{
			ID: "sources-silent", Severity: ops.Note, Side: side, Title: count(len(s.Upkeep.Silent), "package source") + " gave no answer: " + names(s.Upkeep.Silent),
			Hint: "mend /etc/apt/sources.list, then sudo apt-get update, never upgrade",
		}}
	})
}
