package plans

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tandem/ops"
	"tandem/ops/steps"
)

// rollback moves services of the side to an earlier image that is present on its host.
func rollback(d *draft) error {
	if len(d.req.Images) == 0 {
		return errors.New("roll back which service to which image? give at least one")
	}
	services, err := d.chosen(slices.Sorted(maps.Keys(d.req.Images)))
	if err != nil {
		return err
	}
	if err := d.onlyImages(); err != nil {
		return err
	}
	var moving []string
	for _, s := range services {
		if len(d.was(s.Name)) == 0 {
			return fmt.Errorf("%s has no container on %s to make anew", s.Name, d.side.Upper())
		}
		if !d.runs(s.Name, d.image(s.Name)) {
			moving = append(moving, s.Name)
		}
	}
	if len(moving) == 0 {
		return fmt.Errorf("%s runs that image already on %s", and(slices.Sorted(maps.Keys(d.req.Images))), d.side.Upper())
	}
	d.plan.Title = fmt.Sprintf("roll back %s of %s", count(len(moving), "service"), d.side.Upper())
	if len(moving) == 1 {
		d.plan.Title = fmt.Sprintf("roll back %s on %s", moving[0], d.side.Upper())
	}
	d.plan.UndoText = "images: yes, as they are now    traffic: yes    what containers wrote outside of volumes: no"

	return d.aroundTraffic(moving, func(start []string, out bool) ([]string, error) {
		for _, name := range moving {
			d.say("%s goes from %s to %s.", name, imageWord(d.was(name)[0].Image), imageWord(d.image(name).ref))
		}
		d.say("What these containers wrote outside of volumes is lost.")
		l := d.limits()
		return d.sequence(services, start, func(s ops.Service) (ops.Step, string, string) {
			image := d.image(s.Name)
			step := steps.Swap{
				Side: d.side, Service: s, Image: image.ref, ImageID: image.id, Containers: d.was(s.Name), Stop: l.Stop,
				Within: within(s, l), Out: out, Sequenced: len(moving) > 1,
			}
			if !slices.Contains(moving, s.Name) {
				return step, "swap-" + s.Name, "it runs that image already"
			}
			return step, "swap-" + s.Name, ""
		})
	})
}

func (d *draft) onlyImages() error {
	for _, name := range d.req.Services {
		if _, ok := d.req.Images[name]; !ok {
			return fmt.Errorf("roll back %s to which image? none was given for it", name)
		}
	}
	return nil
}

type image struct{ ref, id string }

// image is the wanted one as it is on the host: the tag that was asked for, or the id. One
// that is not there keeps its words and has no id; the guard refuses it.
func (d *draft) image(service string) image {
	ref := d.req.Images[service]
	found, ok := steps.FindImage(d.state.Images, ref)
	switch {
	case !ok:
		return image{ref: ref}
	case slices.Contains(found.Tags, ref):
		return image{ref, found.ID}
	case slices.Contains(found.Tags, ref+":latest"):
		return image{ref + ":latest", found.ID}
	case len(found.Tags) > 0:
		return image{found.Tags[0], found.ID}
	}
	return image{found.ID, found.ID}
}

// runs tells whether all containers of the service run the image.
func (d *draft) runs(service string, i image) bool {
	return i.id != "" && !slices.ContainsFunc(d.was(service), func(w steps.Was) bool { return w.ImageID != i.id })
}

func imageWord(ref string) string {
	if bare, ok := strings.CutPrefix(ref, "sha256:"); ok {
		return bare[:min(12, len(bare))]
	}
	return ref
}
