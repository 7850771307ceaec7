package ops

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a name stands for: a service first, then the latest container of a job, then one of neither.
func TestContainersOfAName(t *testing.T) {
	one := func(name string) Container { return Container{ID: name, Name: name} }
	last := one("etl_2")
	side := SideState{
		Services: []ServiceState{{Name: "tcs", Containers: []Container{one("tcs_1"), one("tcs_2")}}, {Name: "sync"}},
		Jobs:     []JobState{{Name: "tcs", Last: &last}, {Name: "etl", Last: &last, Container: []Container{one("etl_1"), last}}, {Name: "never"}},
		Others:   []Container{one("portainer"), one("sync")},
	}
	for name, want := range map[string][]Container{
		"tcs": {one("tcs_1"), one("tcs_2")}, "sync": nil, "etl": {last}, "never": nil, "portainer": {one("portainer")}, "elsewhere": nil,
	} {
		if diff := cmp.Diff(want, side.Containers(name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
