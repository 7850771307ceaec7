package findings

import (
	"strings"

	"tandem/ops"
)

// upkeepUnread: what the package manager did or would do is not known, or not all of it.
func upkeepUnread(v view) []ops.Finding {
	return eachSide(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		f := ops.Finding{ID: "upkeep-unread", Side: side}
		switch {
		case s.Care.Err != nil && s.Host.Err == nil:
			f.Severity, f.Title, f.Detail = ops.Warn, "the package manager cannot be read: "+cause(s.Care.Err), lastSeen(s.Care)
			f.Hint = hint(s.Care.Err, "what changed the engine is not known now; it is tried again by itself")
		case !read(s.Care):
			return nil
		case len(s.Upkeep.Unread) > 0:
			f.Severity, f.Title = ops.Note, "not known of the package manager: "+strings.Join(s.Upkeep.Unread, ", ")
			f.Hint = "see on the host whether " + v.user(side) + " may read it"
		case s.Upkeep.Manager == "":
			f.Severity, f.Title = ops.Note, "no package manager that tandem knows: what changes the engine is not known"
			f.Hint = "compare engine and compose with the peer before and after each change by hand"
		default:
			return nil
		}
		return []ops.Finding{f}
	})
}

// user is who tandem is on a host.
func (v *view) user(side ops.Side) string {
	if user := v.On(side).Facts.User; user != "" {
		return user
	}
	return "the user of tandem"
}
