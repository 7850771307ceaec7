package ops

import "time"

// VersionsKey, JobsKey and ServedKey are the keys under which steps put on the record, for reports,
// what a side runs ([Versions]), the latest run of each of its jobs ([]JobRun), and what the
// balancer has counted of both sides (map[Side][Served]). Before an act and after it: two records tell what became of it.
const (
	VersionsKey = "versions"
	JobsKey     = "jobs"
	ServedKey   = "served"
)

// Versions are what a side runs, as it says itself; empty: it does not say.
type Versions struct {
	Side    Side   `json:"side"`
	Engine  string `json:"engine"`
	Compose string `json:"compose"`
}

// JobRun is the latest run of a job on a side.
type JobRun struct {
	Job     string    `json:"job"`
	Side    Side      `json:"side"`
	Started time.Time `json:"started,omitzero"` // zero: it never ran
	Ended   time.Time `json:"ended,omitzero"`   // zero: it had not ended
	Exit    int       `json:"exit"`
}

// Served is what the balancer has counted of a side since the balancer's start.
type Served struct {
	Requests uint64  `json:"requests"`
	Failed   *uint64 `json:"failed,omitempty"` // nil: not counted
}

// Served is what the balancer has counted, of the sides of which it counts.
func (b *BalancerStatus) Served() map[Side]Served {
	served := map[Side]Served{}
	for _, side := range Sides {
		if t := b.On(side); t.Requests != nil {
			served[side] = Served{Requests: *t.Requests, Failed: t.Failed}
		}
	}
	return served
}
