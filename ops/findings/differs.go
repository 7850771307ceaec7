package findings

import "tandem/ops"

// apiDiffers: the same engine speaks another API on either side.
func apiDiffers(v view) []ops.Finding {
	blue, green := v.Blue.Version.API, v.Green.Version.API
	if !read(v.Blue.Engine) || !read(v.Green.Engine) || v.enginesDiffer() || blue == "" || green == "" || blue == green {
		return nil
	}
	return []ops.Finding{{
		ID: "api-differs", Severity: ops.Note, Title: "api differs: blue " + blue + ", green " + green, Hint: "compare how the engines are set up: /etc/docker/daemon.json",
	}}
}

// osDiffers: what works on one side need not on the other.
func osDiffers(v view) []ops.Finding {
	blue, green := v.Blue.Facts.OS, v.Green.Facts.OS
	if !read(v.Blue.Host) || !read(v.Green.Host) || blue == "" || green == "" || blue == green {
		return nil
	}
	return []ops.Finding{{ID: "os-differs", Severity: ops.Note, Title: "system differs: blue " + blue + ", green " + green, Hint: "plan to bring both to one release"}}
}
