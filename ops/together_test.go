package ops

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestContainersOfOneMomentAreOneLine(t *testing.T) {
	noon := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	var list []Moment
	add := func(ago time.Duration, kind MomentKind, side Side, text string) {
		list = append(list, Moment{At: noon.Add(-ago), Kind: kind, Side: side, Text: text})
	}
	add(9*time.Minute, MomentEngine, Green, "tcs exited 137")
	add(3*time.Minute, MomentEngine, Green, "sync exited 143")
	add(3*time.Minute, MomentEngine, Green, "tcs exited 137")
	add(3*time.Minute, MomentHost, Green, "rebooted")
	add(3*time.Minute, MomentBalancer, Green, "traffic: out, was in service")
	for i, name := range []string{"keycloak", "reference", "tcs", "sync", "apache"} {
		add(time.Duration(40-8*i)*time.Second, MomentEngine, Green, name+" healthy")
		add(time.Duration(40-8*i)*time.Second, MomentNote, "", name+" healthy")
	}
	add(0, MomentEngine, Blue, "tcs healthy")
	var got []string
	for _, g := range Together(list) {
		if g.Kind != MomentNote {
			got = append(got, strings.TrimSpace(string(g.Side)+" "+g.Text+" "+strings.Join(g.Names, ",")))
		}
	}
	want := []string{
		"green tcs exited 137", "green sync exited 143", "green tcs exited 137", "green rebooted", "green traffic: out, was in service",
		"green 5 containers healthy keycloak,reference,tcs,sync,apache", "blue tcs healthy",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if n := len(Together(list)); n != len(want)+5 {
		t.Errorf("notes were put together: %d lines", n)
	}
}
