package report

import (
	"testing"
	"time"

	"tandem/ops"
)

// Whether a job is due, by its runs that are on the record.
func TestDue(t *testing.T) {
	end := time.Date(2025, 6, 6, 16, 0, 0, 0, time.UTC)
	ran := func(ago time.Duration, exit int) ops.JobRun {
		return ops.JobRun{Job: "ndw-etl", Side: ops.Green, Started: end.Add(-ago - time.Minute), Ended: end.Add(-ago), Exit: exit}
	}
	none := ops.JobRun{Job: "ndw-etl", Side: ops.Green} // made anew, not run since
	daily, whenever := ops.Job{Name: "ndw-etl", MaxAge: 26 * time.Hour, Only: ops.Green}, ops.Job{Name: "ndw-etl"}
	const run = ": tandem run job green ndw-etl"
	for _, test := range []struct {
		name string
		job  ops.Job
		runs []ops.JobRun
		want string
	}{
		{"not recorded", daily, nil, "was not run while the containers were down, and it has to run every 26h: see whether it is due"},
		{"recorded of the peer alone", whenever, []ops.JobRun{{Job: "ndw-etl", Side: ops.Blue}}, "was not run while the containers were down: see whether it is due"},
		{"in time", daily, []ops.JobRun{ran(25*time.Hour, 0), none}, ""},
		{"late", daily, []ops.JobRun{ran(26*time.Hour, 0), none}, "is due, it ended last at 2025-06-05 14:00:00Z and has to run every 26h" + run},
		{"failed", daily, []ops.JobRun{ran(time.Hour, 3), none}, "is due, it ended with exit code 3 at 2025-06-06 15:00:00Z" + run},
		{"run since", daily, []ops.JobRun{ran(30*time.Hour, 3), ran(time.Hour, 0)}, ""},
		{"stopped half-way", daily, []ops.JobRun{{Job: "ndw-etl", Side: ops.Green, Started: end.Add(-time.Hour)}, none}, "is due, it was stopped half-way" + run},
		{"never", daily, []ops.JobRun{none, none}, "is due, it never ran" + run},
		{"never here, maybe on the peer", whenever, []ops.JobRun{none}, ""},
		{"no age given", whenever, []ops.JobRun{ran(time.Hour, 0), none}, "ended last at 2025-06-06 15:00:00Z: see whether it is due"},
	} {
		m := maker{run: &ops.Run{Told: ops.Told{Jobs: test.runs}}, last: end}
		if got := m.due(test.job, ops.Green); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
