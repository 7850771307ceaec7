package findings

import "tandem/ops"

// engineDiffers: blue and green run different engines.
func engineDiffers(v view) []ops.Finding {
	if !v.enginesDiffer() {
		return nil
	}
	blue, green := v.Blue.Version.Running, v.Green.Version.Running
	late := ops.Blue // the side with the newer engine
	if newer(green, blue) {
		late = ops.Green
	}
	changed := changeTo(v.On(late), v.On(late).Version.Running)
	f := ops.Finding{ID: "engine-differs", Severity: ops.Warn, Detail: inFull(changed, v.now)}
	if ops.Upstream(blue) != ops.Upstream(green) {
		blue, green = ops.Upstream(blue), ops.Upstream(green)
	}
	f.Title = "engine differs: blue " + blue + ", green " + green + inShort(changed, v.now)
	if a, b := v.Blue.Version.API, v.Green.Version.API; a != b && a != "" && b != "" {
		f.Detail = sentence("api: blue "+a+", green "+b, f.Detail)
	}
	f.Hint, f.Do = v.bringTogether(late)
	if v.patching(ops.Blue) || v.patching(ops.Green) {
		f.Severity, f.Hint, f.Do = ops.Note, "a patch is under way", nil
	}
	return []ops.Finding{f}
}

// bringTogether is how two sides come to one version: the older one goes up, unless what runs
// on the newer one is known not to work.
func (v *view) bringTogether(late ops.Side) (string, *ops.Request) {
	first, second := late.Peer(), late
	s := v.On(late)
	if s.Canary != nil && !s.Canary.OK || s.Probe != nil && !s.Probe.OK || ops.ComposeMisfit(s.Facts.Compose, s.Version.Running) != "" {
		first, second = second, first
	}
	for _, side := range []ops.Side{first, second} {
		if do := patch(side, v.alignment(side)); do != nil {
			return "bring " + string(side) + " to the versions of " + string(side.Peer()) + ": P", do
		}
	}
	return "bring both to one version of engine and compose, one side at a time: P", nil
}

func (v *view) enginesDiffer() bool {
	blue, green := v.Blue.Version.Running, v.Green.Version.Running
	return read(v.Blue.Engine) && read(v.Green.Engine) && blue != "" && green != "" && blue != green
}
