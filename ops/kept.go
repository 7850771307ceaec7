package ops

import "strings"

const (
	keptMark  = ".before-"
	afterMark = ".after"
)

// KeptName is the name under which the earlier container of a service is set aside while
// another is put in its place. It keeps its labels, so that its name alone tells it from
// the containers of the service.
func KeptName(name, id string) string { return name + keptMark + id[:min(8, len(id))] }

// AfterName is the name under which the container that replaced an earlier one waits while
// the earlier one is brought back.
func AfterName(name string) string { return name + afterMark }

// Kept tells whether a container was set aside under a KeptName or an AfterName.
func Kept(name string) bool {
	if strings.HasSuffix(name, afterMark) {
		return true
	}
	_, id, found := strings.Cut(name, keptMark)
	return found && id != "" && strings.Trim(id, "0123456789abcdef") == ""
}
