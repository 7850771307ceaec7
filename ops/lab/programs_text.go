package lab

import (
	"regexp"
	"strconv"
	"strings"
)

// grep knows -q -s -v -c -o -i -x -F -E -m.
func grep(c *call) int {
	flags, rest := c.options("em")
	pattern := flags["e"]
	if !has(flags, "e") {
		if len(rest) == 0 {
			return 2
		}
		pattern, rest = rest[0], rest[1:]
	}
	if has(flags, "F") {
		pattern = regexp.QuoteMeta(pattern)
	}
	if has(flags, "x") {
		pattern = "^(?:" + pattern + ")$"
	}
	if has(flags, "i") {
		pattern = "(?i)" + pattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		c.complain("grep", "%v", err)
		return 2
	}
	if has(flags, "s") {
		c.stderr = discard{}
	}
	data, status := c.gather("grep", rest)
	found := 0
	for _, l := range lines(data) {
		if re.MatchString(l) == has(flags, "v") {
			continue
		}
		found++
		switch {
		case has(flags, "q", "c"):
		case has(flags, "o"):
			for _, m := range re.FindAllString(l, -1) {
				c.say("%s\n", m)
			}
		default:
			c.say("%s\n", l)
		}
		if n, err := strconv.Atoi(flags["m"]); err == nil && found == n {
			break
		}
	}
	if has(flags, "c") {
		c.say("%d\n", found)
	}
	switch {
	case found > 0:
		return 0
	case status != 0:
		return 2
	}
	return 1
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// sed knows what scripts on hosts use it for: s/// with g and p, Np, N,Mp, $p, /re/p, d, q; -n, -E.
func sed(c *call) int {
	flags, rest := c.options("e")
	script := flags["e"]
	if !has(flags, "e") {
		if len(rest) == 0 {
			return 2
		}
		script, rest = rest[0], rest[1:]
	}
	edits, err := parseSed(script, has(flags, "E", "r"))
	if err != nil {
		c.complain("sed", "%v", err)
		return 1
	}
	data, status := c.gather("sed", rest)
	all := lines(data)
	for i, l := range all {
		keep, quit := true, false
		for _, e := range edits {
			if !e.selects(i+1, len(all), l) {
				continue
			}
			switch e.act {
			case 'p':
				c.say("%s\n", l)
			case 'd':
				keep = false
			case 'q':
				quit = true
			case 's':
				if !e.re.MatchString(l) {
					continue
				}
				if e.global {
					l = e.re.ReplaceAllString(l, e.with)
				} else if at := e.re.FindStringSubmatchIndex(l); at != nil {
					l = l[:at[0]] + string(e.re.ExpandString(nil, e.with, l, at)) + l[at[1]:]
				}
				if e.print {
					c.say("%s\n", l)
				}
			}
		}
		if keep && !has(flags, "n", "quiet") {
			c.say("%s\n", l)
		}
		if quit {
			break
		}
	}
	return status
}

// edit is one command of a sed script.
type edit struct {
	from, to int // lines; -1: the last
	where    *regexp.Regexp
	act      byte
	re       *regexp.Regexp
	with     string
	global   bool
	print    bool
}

func (e edit) selects(n, last int, text string) bool {
	switch {
	case e.where != nil:
		return e.where.MatchString(text)
	case e.from == 0:
		return true
	case e.from == -1:
		return n == last
	case e.to == 0:
		return n == e.from
	}
	return n >= e.from && (n <= e.to || e.to == -1)
}

var sedCommand = regexp.MustCompile(`^\s*(?:(\d+|\$)(?:,(\d+|\$))?|/((?:[^/\\]|\\.)*)/)?\s*(?:([pdq])|s(.)(.*))$`)

func parseSed(script string, extended bool) ([]edit, error) {
	var out []edit
	for _, part := range sedParts(script) {
		m := sedCommand.FindStringSubmatch(part)
		if m == nil {
			return nil, &strconv.NumError{Func: "sed", Num: part, Err: strconv.ErrSyntax}
		}
		line := func(s string) int {
			if s == "$" {
				return -1
			}
			n, _ := strconv.Atoi(s) // empty is 0: no address
			return n
		}
		e := edit{from: line(m[1]), to: line(m[2])}
		var err error
		if m[3] != "" {
			if e.where, err = regexp.Compile(goPattern(strings.ReplaceAll(m[3], `\/`, "/"), extended)); err != nil {
				return nil, err
			}
		}
		if m[4] != "" {
			e.act = m[4][0]
			out = append(out, e)
			continue
		}
		fields := splitUnescaped(m[6], m[5][0])
		if len(fields) != 3 {
			return nil, &strconv.NumError{Func: "sed", Num: part, Err: strconv.ErrSyntax}
		}
		if e.re, err = regexp.Compile(goPattern(fields[0], extended)); err != nil {
			return nil, err
		}
		with := strings.ReplaceAll(fields[1], "$", "$$")
		for d := range 10 {
			with = strings.ReplaceAll(with, `\`+strconv.Itoa(d), "${"+strconv.Itoa(d)+"}")
		}
		e.act, e.with = 's', with
		e.global, e.print = strings.Contains(fields[2], "g"), strings.Contains(fields[2], "p")
		out = append(out, e)
	}
	return out, nil
}

// sedParts splits a script at its newlines and at the semicolons after a whole command.
func sedParts(script string) []string {
	var out []string
	for l := range strings.SplitSeq(script, "\n") {
		for p := range strings.SplitSeq(l, ";") {
			if n := len(out); n > 0 && !sedCommand.MatchString(out[n-1]) {
				out[n-1] += ";" + p // the semicolon was part of an expression
			} else if strings.TrimSpace(p) != "" {
				out = append(out, p)
			}
		}
	}
	return out
}

func splitUnescaped(text string, sep byte) []string {
	var out []string
	var now strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && text[i+1] == sep:
			now.WriteByte(sep)
			i++
		case text[i] == '\\' && i+1 < len(text):
			now.WriteString(text[i : i+2])
			i++
		case text[i] == sep:
			out = append(out, now.String())
			now.Reset()
		default:
			now.WriteByte(text[i])
		}
	}
	return append(out, now.String())
}

// goPattern turns a POSIX pattern into one of Go: in a basic one, groups and the like are
// special with a backslash and plain without.
func goPattern(p string, extended bool) string {
	if extended {
		return p
	}
	var out strings.Builder
	for i := 0; i < len(p); i++ {
		switch {
		case p[i] == '\\' && i+1 < len(p):
			i++
			if !strings.ContainsRune("(){}+?|", rune(p[i])) {
				out.WriteByte('\\')
			}
			out.WriteByte(p[i])
		case strings.ContainsRune("(){}+?|", rune(p[i])):
			out.WriteByte('\\')
			out.WriteByte(p[i])
		default:
			out.WriteByte(p[i])
		}
	}
	return out.String()
}

// cut knows -d and -f with a list of fields.
func cut(c *call) int {
	flags, rest := c.options("dfc")
	sep := "\t"
	if d, ok := flags["d"]; ok {
		sep = d
	}
	data, status := c.gather("cut", rest)
	for _, l := range lines(data) {
		fields := strings.Split(l, sep)
		if len(fields) == 1 {
			c.say("%s\n", l)
			continue
		}
		var out []string
		for want := range strings.SplitSeq(flags["f"], ",") {
			first, last, span := strings.Cut(want, "-")
			a, _ := strconv.Atoi(first) // "-3" begins at the first
			b, _ := strconv.Atoi(last)  // "3-" ends at the last
			switch a = max(a, 1); {
			case !span:
				b = a
			case b == 0:
				b = len(fields)
			}
			if a <= len(fields) {
				out = append(out, fields[a-1:min(b, len(fields))]...)
			}
		}
		c.say("%s\n", strings.Join(out, sep))
	}
	return status
}

// tr knows -d and the replacement of single characters.
func tr(c *call) int {
	flags, rest := c.options("")
	if len(rest) == 0 {
		return 1
	}
	data, status := c.gather("tr", nil)
	unescape := strings.NewReplacer(`\n`, "\n", `\0`, "\x00", `\000`, "\x00", `\t`, "\t", `\r`, "\r")
	from := []rune(unescape.Replace(rest[0]))
	var to []rune
	if len(rest) > 1 {
		to = []rune(unescape.Replace(rest[1]))
	}
	c.say("%s", strings.Map(func(r rune) rune {
		for i, f := range from {
			if f != r {
				continue
			}
			if has(flags, "d") || len(to) == 0 {
				return -1
			}
			return to[min(i, len(to)-1)]
		}
		return r
	}, string(data)))
	return status
}
