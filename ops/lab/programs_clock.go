package lab

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// zoneName is the zone of the hosts.
const zoneName = "Europe/London"

// local is the host's clock in the host's zone.
func (h *Host) local() time.Time { return h.now().In(h.zone()) }

// zone is what /etc/localtime leads to; UTC where it leads nowhere.
func (h *Host) zone() *time.Location {
	data, err := h.files.content(root, "/etc/localtime")
	if err != nil {
		return time.UTC
	}
	zone, err := time.LoadLocationFromTZData("Local", data)
	if err != nil {
		return time.UTC
	}
	return zone
}

// zoneFile is a file of tzfile(5) for the hosts' zone: British time as it is since 1996.
func zoneFile() []byte {
	header := func(counts ...uint32) []byte { // isut, isstd, leap, time, type, char
		out := append([]byte("TZif2"), make([]byte, 15)...)
		for _, n := range counts {
			out = binary.BigEndian.AppendUint32(out, n)
		}
		return out
	}
	names := "GMT\x00BST\x00"
	out := append(header(0, 0, 0, 0, 1, 4), 0, 0, 0, 0, 0, 0)
	out = append(out, names[:4]...)
	out = append(out, header(0, 0, 0, 2, 2, 8)...)
	for _, at := range []time.Time{time.Date(1996, 3, 31, 1, 0, 0, 0, time.UTC), time.Date(1996, 10, 27, 1, 0, 0, 0, time.UTC)} {
		out = binary.BigEndian.AppendUint64(out, uint64(at.Unix()))
	}
	out = append(out, 1, 0)                                     // summer, winter
	out = append(out, 0, 0, 0, 0, 0, 0, 0, 0, 0x0e, 0x10, 1, 4) // GMT; BST, an hour ahead
	return append(out, names+"\nGMT0BST,M3.5.0/1,M10.5.0\n"...)
}

// date knows the formats that scripts ask for, and -d with a time or @seconds.
func date(c *call) int {
	var now time.Time
	var zone *time.Location
	c.h.with(func() { now, zone = c.h.local(), c.h.zone() })
	format, given := "", ""
	utc := false
	for i := 0; i < len(c.args); i++ {
		a := c.args[i]
		switch {
		case a == "-u" || a == "--utc":
			utc = true
		case (a == "-d" || a == "--date") && i+1 < len(c.args):
			i++
			given = c.args[i]
		case strings.HasPrefix(a, "--date="):
			given = a[len("--date="):]
		case strings.HasPrefix(a, "-d") && len(a) > 2:
			given = a[2:]
		case strings.HasPrefix(a, "+"):
			format = a[1:]
		}
	}
	if utc {
		zone = time.UTC
	}
	if given != "" {
		at, ok := parseDate(given, zone)
		if !ok {
			c.complain("date", "invalid date ‘%s’", given)
			return 1
		}
		now = at
	}
	now = now.In(zone)
	if format == "" {
		c.say("%s\n", now.Format("Mon Jan _2 15:04:05 MST 2006"))
		return 0
	}
	c.say("%s\n", strings.NewReplacer(
		"%s", strconv.FormatInt(now.Unix(), 10), "%N", fmt.Sprintf("%09d", now.Nanosecond()), "%3N", fmt.Sprintf("%03d", now.Nanosecond()/1e6),
		"%Y", now.Format("2006"), "%m", now.Format("01"), "%d", now.Format("02"), "%H", now.Format("15"), "%M", now.Format("04"), "%S", now.Format("05"),
		"%F", now.Format("2006-01-02"), "%T", now.Format("15:04:05"), "%z", now.Format("-0700"), "%:z", now.Format("-07:00"), "%Z", now.Format("MST"), "%%", "%",
	).Replace(format))
	return 0
}

// parseDate reads what scripts give to date -d.
func parseDate(text string, zone *time.Location) (time.Time, bool) {
	text = strings.Join(strings.Fields(text), " ")
	if seconds, ok := strings.CutPrefix(text, "@"); ok {
		n, err := strconv.ParseFloat(seconds, 64)
		return time.UnixMilli(int64(n * 1000)), err == nil
	}
	for _, form := range []string{
		"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02", "2006-01-02T15:04:05", time.RFC3339, "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05 MST", "Mon 2006-01-02 15:04:05 MST",
		"Mon, 02 Jan 2006 15:04:05 MST", "Mon, 02 Jan 2006 15:04:05 -0700",
	} {
		if at, err := time.ParseInLocation(form, text, zone); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
