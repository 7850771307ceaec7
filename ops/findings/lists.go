package findings

import (
	"time"

	"tandem/ops"
)

// listsFresh is how long package lists are taken for current.
const listsFresh = 7 * 24 * time.Hour

// listsOld: what an upgrade would do is not known any more.
func listsOld(v view) []ops.Finding {
	return alike(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Care) || s.Upkeep.ListsAt.IsZero() || v.now.Sub(s.Upkeep.ListsAt) <= listsFresh {
			return nil
		}
		return []ops.Finding{{
			ID: "lists-old", Severity: ops.Note, Side: side, Title: "package lists are of " + clock(s.Upkeep.ListsAt, v.now),
			Hint: "sudo apt-get update, never upgrade",
		}}
	})
}
