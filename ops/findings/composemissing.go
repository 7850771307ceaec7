package findings

import (
	"slices"

	"tandem/ops"
)

// composeMissing: the containers came from compose, and no compose is there to make them
// again.
func composeMissing(v view) []ops.Finding {
	if read(v.Blue.Host) && read(v.Green.Host) && v.Blue.Facts.Compose != v.Green.Facts.Compose {
		return nil // told by composeDiffers
	}
	return alike(v, func(side ops.Side, s *ops.SideState) []ops.Finding {
		if !read(s.Host) || !read(s.Engine) || s.Facts.Compose != "" || !composed(s) {
			return nil
		}
		return []ops.Finding{{
			ID: "compose-missing", Severity: ops.Warn, Side: side, Title: "compose was not found, and the services were made by it",
			Hint: "install the compose they were made by, or recover without it: R, start by the engine", Do: withoutCompose(side),
		}}
	})
}

// labelProject is written by compose on what it makes.
const labelProject = "com.docker.compose.project"

func composed(s *ops.SideState) bool {
	return slices.ContainsFunc(s.Services, func(service ops.ServiceState) bool {
		return slices.ContainsFunc(service.Containers, func(c ops.Container) bool { return c.Labels[labelProject] != "" })
	})
}
