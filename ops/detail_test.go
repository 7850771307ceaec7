package ops

import (
	"testing"
	"time"
)

func TestLoad(t *testing.T) {
	at := time.Date(2024, 5, 17, 14, 3, 22, 0, time.UTC)
	before := Sample{ID: "a", At: at, CPU: 10 * time.Second}
	for name, c := range map[string]struct {
		now   Sample
		cpus  float64
		known bool
	}{
		"half a CPU":        {Sample{ID: "a", At: at.Add(2 * time.Second), CPU: 11 * time.Second}, 0.5, true},
		"two CPUs":          {Sample{ID: "a", At: at.Add(time.Second), CPU: 12 * time.Second}, 2, true},
		"idle":              {Sample{ID: "a", At: at.Add(time.Second), CPU: 10 * time.Second}, 0, true},
		"started anew":      {Sample{ID: "a", At: at.Add(time.Second), CPU: time.Second}, 0, false},
		"another container": {Sample{ID: "b", At: at.Add(time.Second), CPU: 11 * time.Second}, 0, false},
		"the same reading":  {before, 0, false},
		"has ended":         {Sample{ID: "a"}, 0, false},
	} {
		if cpus, known := Load(before, c.now); cpus != c.cpus || known != c.known {
			t.Errorf("%s: %v %v, want %v %v", name, cpus, known, c.cpus, c.known)
		}
	}
}
