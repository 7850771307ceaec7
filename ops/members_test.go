package ops

import "testing"

func TestSumTraffic(t *testing.T) {
	for name, test := range map[string]struct {
		members []Traffic
		want    Traffic
		detail  string
	}{
		"no pool":                       {nil, Unknown, ""},
		"serves everywhere":             {[]Traffic{InService, InService}, InService, ""},
		"drains everywhere":             {[]Traffic{Draining, Draining}, Draining, ""},
		"out everywhere":                {[]Traffic{Out, Out}, Out, ""},
		"last sessions in one pool":     {[]Traffic{Out, Draining}, Draining, "partly: draining in b; out in a"},
		"fails in one pool":             {[]Traffic{InService, Down}, Down, "partly: in service in a; down in b"},
		"still serves in one pool":      {[]Traffic{Draining, InService}, Unknown, "partly: in service in b; draining in a"},
		"may serve again in one pool":   {[]Traffic{Out, Down}, Unknown, "partly: down in b; out in a"},
		"one pool does not know":        {[]Traffic{InService, Unknown}, Unknown, "partly: in service in a; unknown in b"},
		"a word that nobody has agreed": {[]Traffic{InService, "sideways"}, Unknown, "partly: in service in a; unknown in b"},
	} {
		t.Run(name, func(t *testing.T) {
			var members []Member
			for i, traffic := range test.members {
				members = append(members, Member{Pool: string(rune('a' + i)), Traffic: traffic})
			}
			if got, detail := SumTraffic(members); got != test.want || detail != test.detail {
				t.Errorf("SumTraffic = %q, %q, want %q, %q", got, detail, test.want, test.detail)
			}
		})
	}
}
