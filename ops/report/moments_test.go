package report

import (
	"testing"
	"time"

	"tandem/ops"
)

func TestTimelinePage(t *testing.T) {
	at := time.Date(2026, 11, 25, 23, 59, 0, 0, time.FixedZone("CET", 3600))
	got := Timeline("tis", []ops.Moment{
		{At: at, Kind: ops.MomentEngine, Side: ops.Green, Text: "tis_tcs_1 exited | 137 \x1b[2J<b>*loud*\n# not a head"},
		{At: at.Add(time.Minute), Kind: ops.MomentEngine, Side: ops.Green, Text: "tcs healthy"},
		{At: at.Add(time.Minute + time.Second), Kind: ops.MomentEngine, Side: ops.Green, Text: "sync healthy"},
		{At: at.Add(2 * time.Hour), Kind: ops.MomentNote, Who: "ada@desk1", Text: "users see old data"},
		{At: at.Add(3 * time.Hour), Kind: ops.MomentFinding, Text: "now a block: engine differs", Finding: &ops.FindingMoment{Was: "compose differs"}},
	})
	want := `# Timeline of the pair tis

2026-11-25 22:59:00Z to 2026-11-26 01:59:00Z, 5 moments

## Wednesday 25 November 2026 (UTC)

| time | side | kind | what |
| --- | --- | --- | --- |
| 22:59:00Z | GREEN | engine | tis_tcs_1 exited \| 137 \[2J\<b\>\*loud\* \# not a head |
| 23:00:01Z | GREEN | engine | 2 containers healthy: tcs, sync |

## Thursday 26 November 2026 (UTC)

| time | side | kind | what |
| --- | --- | --- | --- |
| 00:59:00Z | PAIR | note | ada@desk1: users see old data |
| 01:59:00Z | PAIR | finding | now a block: engine differs (was: compose differs) |
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
	if got, want := Timeline("tis", nil), "# Timeline of the pair tis\n\nNothing is on record.\n"; got != want {
		t.Errorf("got\n%s", got)
	}
}
