package lab

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func (d *docker) containerStart() error {
	c, err := d.container()
	if err != nil {
		return err
	}
	if c.state == "running" || c.state == "restarting" {
		d.reply(http.StatusNotModified, nil)
		return nil
	}
	if err := d.e.mayStart(c); err != nil {
		return err
	}
	d.e.start(c)
	d.reply(http.StatusNoContent, nil)
	return nil
}

// mayStart refuses what the engine cannot start.
func (e *engine) mayStart(c *container) error {
	if text := e.host.faults.noStart; text != "" && !c.ran {
		return apiError{http.StatusInternalServerError, text}
	}
	if e.images[c.imageID] == nil {
		return apiError{http.StatusNotFound, "No such image: " + c.image}
	}
	for name, ep := range c.networks {
		if err := e.mayJoin(c, name, ep); err != nil {
			return err
		}
	}
	for private := range c.bindings() {
		for _, other := range e.ordered() {
			if other != c && other.state == "running" && e.samePort(c, other, private) {
				return apiError{http.StatusInternalServerError, fmt.Sprintf("driver failed programming external connectivity on endpoint %s (%s): Bind for 0.0.0.0:%s failed: port is already allocated", c.name, e.host.w.newID(), c.bindings()[private][0]["HostPort"])}
			}
		}
	}
	return nil
}

func (e *engine) samePort(a, b *container, private string) bool {
	for _, want := range a.bindings()[private] {
		for _, all := range b.bindings() {
			for _, have := range all {
				if want["HostPort"] != "" && want["HostPort"] == have["HostPort"] {
					return true
				}
			}
		}
	}
	return false
}

// patience is the deadline of a stop: t seconds, 10 where nothing is said, and for ever
// where t is negative. All divided by the lab's speed, like everything that lasts.
func (d *docker) patience() (time.Duration, error) {
	text := d.r.URL.Query().Get("t")
	if text == "" {
		return 10 * time.Second, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, apiError{http.StatusBadRequest, fmt.Sprintf("strconv.Atoi: parsing %q: invalid syntax", text)}
	}
	if n < 0 {
		return 24 * time.Hour, nil
	}
	return time.Duration(n) * time.Second, nil
}

func (d *docker) containerStop() error {
	c, err := d.container()
	if err != nil {
		return err
	}
	t, err := d.patience()
	if err != nil {
		return err
	}
	if c.state != "running" && c.state != "restarting" {
		d.reply(http.StatusNotModified, nil)
		return nil
	}
	d.e.stop(c, t)
	if err := d.until(c, func() bool { return c.state != "running" }); err != nil {
		return err
	}
	d.reply(http.StatusNoContent, nil)
	return nil
}

// until waits for a state of a container.
func (d *docker) until(c *container, fits func() bool) error {
	for !fits() {
		if err := d.wait(c.changed.wait(), 0); err != nil {
			return err
		}
	}
	return nil
}

func (d *docker) containerRestart() error {
	c, err := d.container()
	if err != nil {
		return err
	}
	t, err := d.patience()
	if err != nil {
		return err
	}
	if c.state == "running" || c.state == "restarting" {
		d.e.stop(c, t)
		if err := d.until(c, func() bool { return c.state != "running" }); err != nil {
			return err
		}
	}
	if c.state == "removed" {
		return apiError{http.StatusNotFound, "No such container: " + c.id}
	}
	if err := d.e.mayStart(c); err != nil {
		return apiError{http.StatusInternalServerError, "Cannot restart container " + c.name + ": " + err.(apiError).message}
	}
	d.e.start(c)
	d.e.emit("container", "restart", c.id, c.attributes())
	d.reply(http.StatusNoContent, nil)
	return nil
}

func (d *docker) containerKill() error {
	c, err := d.container()
	if err != nil {
		return err
	}
	if c.state != "running" {
		return apiError{http.StatusConflict, fmt.Sprintf("Cannot kill container: %s: Container %s is not running", d.r.PathValue("id"), c.id)}
	}
	signal := strings.TrimPrefix(strings.ToUpper(d.r.URL.Query().Get("signal")), "SIG")
	switch signal {
	case "", "KILL", "9":
		d.e.signalled(c, "9")
		d.e.exited(c, 137)
	case "TERM", "15", "INT", "2":
		// A signal is no stop: the restart policy still holds.
		d.e.signalled(c, signal)
		life, status := c.life, c.termStatus()
		d.h.w.after(c.stopTime(), func() {
			if c.life == life {
				d.e.exited(c, status)
			}
		})
	case "HUP", "1", "USR1", "10", "USR2", "12":
		d.e.signalled(c, signal)
	default:
		return apiError{http.StatusBadRequest, "Invalid signal: " + signal}
	}
	d.reply(http.StatusNoContent, nil)
	return nil
}

func (d *docker) containerRename() error {
	c, err := d.container()
	if err != nil {
		return err
	}
	to := d.r.URL.Query().Get("name")
	switch {
	case to == "":
		return apiError{http.StatusBadRequest, "Neither old nor new names may be empty"}
	case strings.TrimPrefix(to, "/") == c.name:
		return apiError{http.StatusBadRequest, "Renaming a container with the same name as its current name"}
	}
	if err := d.e.free(to); err != nil {
		return err
	}
	from := c.name
	c.name = strings.TrimPrefix(to, "/")
	attributes := c.attributes()
	attributes["oldName"] = "/" + from
	d.e.emit("container", "rename", c.id, attributes)
	d.reply(http.StatusNoContent, nil)
	return nil
}

func (d *docker) containerUpdate() error {
	var body obj
	if err := d.body(&body); err != nil {
		return err
	}
	c, err := d.container()
	if err != nil {
		return err
	}
	for key, value := range body {
		switch policy, _ := value.(obj); {
		case key == "RestartPolicy" && (policy == nil || policy["Name"] == nil || policy["Name"] == ""):
			// Nothing is asked for: the client always sends the field.
		case key == "RestartPolicy":
			if auto, _ := c.host["AutoRemove"].(bool); auto && policy["Name"] != "no" {
				return apiError{http.StatusBadRequest, "Restart policy cannot be updated because AutoRemove is enabled for the container"}
			}
			c.host[key] = policy
		case !blank(value):
			c.host[key] = value
		}
	}
	d.e.emit("container", "update", c.id, c.attributes())
	d.reply(http.StatusOK, obj{"Warnings": []string{}})
	return nil
}

// blank is a value that a client sends without meaning it.
func blank(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case float64:
		return v == 0
	case bool:
		return !v
	case []any:
		return len(v) == 0
	}
	return false
}

// containerWait answers when the container ends, or at once if it does not run; with
// condition=next-exit it waits for the next end, with condition=removed for the removal.
func (d *docker) containerWait() error {
	c, err := d.container()
	if err != nil {
		return err
	}
	condition, life := d.r.URL.Query().Get("condition"), c.life
	// The header goes out first: a client may start the container once it has it.
	d.w.Header().Set("Content-Type", "application/json")
	d.w.WriteHeader(http.StatusOK)
	d.log.Status = http.StatusOK
	if f, ok := d.w.(http.Flusher); ok {
		f.Flush()
	}
	err = d.until(c, func() bool {
		switch condition {
		case "removed":
			return c.state == "removed"
		case "next-exit":
			return c.state != "running" && c.life > life || c.state == "removed"
		}
		return c.state != "running" && c.state != "restarting"
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(d.w, "{\"StatusCode\":%d}\n", c.exit)
	return nil
}

func (d *docker) containerRemove() error {
	c, err := d.container()
	if err != nil {
		return err
	}
	if c.state == "running" || c.state == "restarting" {
		if !d.flag("force") {
			if minor(d.e.release.api) < 44 {
				return apiError{http.StatusConflict, fmt.Sprintf("You cannot remove a running container %s. Stop the container before attempting removal or force remove", c.id)}
			}
			return apiError{http.StatusConflict, fmt.Sprintf("cannot remove container %q: container is running: stop the container before removing or force remove", "/"+c.name)}
		}
		c.byHand = true
		d.e.signalled(c, "9")
		c.ended(137)
	}
	d.e.remove(c)
	if d.flag("v") {
		d.e.dropAnonymous(c)
	}
	d.reply(http.StatusNoContent, nil)
	return nil
}

func (d *docker) containerPrune() error {
	f, err := d.filters()
	if err != nil {
		return err
	}
	gone := []string{}
	for _, c := range d.e.ordered() {
		if (c.state == "exited" || c.state == "created") && f.labelled(c.labels()) {
			d.e.remove(c)
			gone = append(gone, c.id)
		}
	}
	d.reply(http.StatusOK, obj{"ContainersDeleted": gone, "SpaceReclaimed": 0})
	return nil
}
