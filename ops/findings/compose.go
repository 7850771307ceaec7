package findings

import "tandem/ops"

// composeDiffers: blue and green have different composes.
func composeDiffers(v view) []ops.Finding {
	blue, green := v.Blue.Facts.Compose, v.Green.Facts.Compose
	if !read(v.Blue.Host) || !read(v.Green.Host) || blue == green {
		return nil
	}
	word := func(version string) string {
		if version == "" {
			return "none"
		}
		return version
	}
	f := ops.Finding{ID: "compose-differs", Severity: ops.Warn, Title: "compose differs: blue " + word(blue) + ", green " + word(green)}
	late := ops.Blue
	if newer(green, blue) {
		late = ops.Green
	}
	f.Hint, f.Do = v.bringTogether(late)
	if v.patching(ops.Blue) || v.patching(ops.Green) {
		f.Severity, f.Hint, f.Do = ops.Note, "a patch is under way", nil
	}
	return []ops.Finding{f}
}
