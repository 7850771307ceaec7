package lab

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// filePrograms work on the host's files.
var filePrograms = map[string]func(*call) int{
	"cat": cat, "tee": tee, "mkdir": mkdir, "rmdir": rmdir, "rm": rm, "mv": mv, "cp": cp, "ln": ln, "install": install, "touch": touch,
	"chmod": chmod, "chown": chown, "stat": statProgram, "ls": ls, "readlink": readlink, "realpath": func(c *call) int { return c.links(true) }, "head": head, "tail": tail,
	"wc": wc, "sync": func(*call) int { return 0 }, "mktemp": mktemp, "sha256sum": sha256sum, "basename": basename, "dirname": dirname,
	"grep": grep, "sed": sed, "cut": cut, "tr": tr, "dd": dd, "zcat": zcat, "base64": base64Program, "gzip": gzipProgram, "gunzip": gzipProgram, "zgrep": zgrep,
}

// each runs f on every operand and complains of those that it cannot do.
func (c *call) each(name string, operands []string, f func(string) error) int {
	status := 0
	for _, o := range operands {
		if err := f(o); err != nil {
			c.complain(name, "%s: %s", o, errText(err))
			status = 1
		}
	}
	return status
}

func (c *call) read(name string) (data []byte, err error) {
	if name == "-" {
		return io.ReadAll(c.stdin)
	}
	err = c.onFiles(false, func(f *files) error { data, err = f.content(c.user, c.path(name)); return err })
	return data, err
}

func (c *call) write(name string, data []byte, mode fs.FileMode, add bool) error {
	if c.path(name) == "/dev/null" {
		return nil
	}
	return c.onFiles(true, func(f *files) error {
		n, err := f.write(c.user, c.path(name), fileFlags{create: true, truncate: !add}, mode)
		if err == nil {
			n.data = append(n.data, data...)
		}
		return err
	})
}

func cat(c *call) int {
	_, rest := c.options("")
	if len(rest) == 0 {
		// As it comes: standard input may be a stream.
		if _, err := io.Copy(c.stdout, c.stdin); err != nil {
			return 1
		}
		return 0
	}
	return c.each("cat", rest, func(name string) error {
		data, err := c.read(name)
		if err != nil {
			return err
		}
		_, err = c.stdout.Write(data)
		return err
	})
}

func tee(c *call) int {
	flags, rest := c.options("")
	data, err := io.ReadAll(c.stdin)
	if err != nil {
		return 1
	}
	c.stdout.Write(data)
	return c.each("tee", rest, func(name string) error { return c.write(name, data, 0o644, has(flags, "a")) })
}

func mkdir(c *call) int {
	flags, rest := c.options("m")
	mode := fs.FileMode(0o755)
	if m, err := strconv.ParseUint(flags["m"], 8, 32); err == nil {
		mode = fs.FileMode(m)
	}
	status := 0
	for _, name := range rest {
		err := c.onFiles(true, func(f *files) error {
			if !has(flags, "p") {
				return f.mkdir(c.user, c.path(name), mode)
			}
			at := "/"
			for _, part := range split(c.path(name)) {
				at = path.Join(at, part)
				n, err := f.find(at, true)
				if err == nil && !n.mode.IsDir() {
					return syscall.EEXIST
				}
				if errors.Is(err, syscall.ENOENT) {
					err = f.mkdir(c.user, at, mode)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			c.complain("mkdir", "cannot create directory '%s': %s", name, errText(err))
			status = 1
		}
	}
	return status
}

func rmdir(c *call) int {
	_, rest := c.options("")
	return c.each("rmdir", rest, func(name string) error {
		return c.onFiles(true, func(f *files) error {
			if n, err := f.find(c.path(name), false); err == nil && !n.mode.IsDir() {
				return syscall.ENOTDIR
			}
			return f.remove(c.user, c.path(name))
		})
	})
}

func rm(c *call) int {
	flags, rest := c.options("")
	deep := has(flags, "r", "R", "recursive")
	return c.each("rm", rest, func(name string) error {
		err := c.onFiles(true, func(f *files) error { return removeTree(f, c.user, c.path(name), deep) })
		if has(flags, "f", "force") && errors.Is(err, syscall.ENOENT) {
			return nil
		}
		return err
	})
}

func removeTree(f *files, u user, name string, deep bool) error {
	n, err := f.find(name, false)
	if err != nil {
		return err
	}
	if n.mode.IsDir() {
		if !deep {
			return syscall.EISDIR
		}
		for _, e := range n.sorted() {
			if err := removeTree(f, u, path.Join(name, e.name), true); err != nil {
				return err
			}
		}
	}
	return f.remove(u, name)
}

// into is where a file ends up: inside, if the target is a directory.
func into(f *files, source, target string, asFile bool) string {
	if n, err := f.find(target, true); err == nil && n.mode.IsDir() && !asFile {
		return path.Join(target, path.Base(source))
	}
	return target
}

func mv(c *call) int {
	flags, rest := c.options("")
	if len(rest) < 2 {
		c.complain("mv", "missing file operand")
		return 1
	}
	target := c.path(rest[len(rest)-1])
	return c.each("mv", rest[:len(rest)-1], func(name string) error {
		return c.onFiles(true, func(f *files) error {
			to := into(f, name, target, has(flags, "T"))
			if _, err := f.find(to, false); err == nil && has(flags, "n", "no-clobber") {
				return nil
			}
			return f.rename(c.user, c.path(name), to)
		})
	})
}

func cp(c *call) int {
	flags, rest := c.options("")
	if len(rest) < 2 {
		c.complain("cp", "missing file operand")
		return 1
	}
	target := c.path(rest[len(rest)-1])
	return c.each("cp", rest[:len(rest)-1], func(name string) error {
		return c.onFiles(true, func(f *files) error {
			return copyTree(f, c.user, c.path(name), into(f, name, target, has(flags, "T")), has(flags, "p", "a"), has(flags, "r", "R", "a"))
		})
	})
}

func copyTree(f *files, u user, from, to string, keep, deep bool) error {
	n, err := f.find(from, true)
	if err != nil {
		return err
	}
	if n.mode.IsDir() {
		if !deep {
			return syscall.EISDIR
		}
		if err := f.mkdir(u, to, n.mode); err != nil && !errors.Is(err, syscall.EEXIST) {
			return err
		}
		for _, e := range n.sorted() {
			if err := copyTree(f, u, path.Join(from, e.name), path.Join(to, e.name), keep, true); err != nil {
				return err
			}
		}
		return nil
	}
	data, err := f.content(u, from)
	if err != nil {
		return err
	}
	made, err := f.write(u, to, fileFlags{create: true, truncate: true}, n.mode)
	if err != nil {
		return err
	}
	made.data = data
	if keep {
		made.mode, made.changed = n.mode, n.changed
		if u.uid == 0 {
			made.uid, made.gid = n.uid, n.gid
		}
	}
	return nil
}

func ln(c *call) int {
	flags, rest := c.options("")
	if !has(flags, "s") || len(rest) != 2 {
		c.complain("ln", "only ln -s TARGET NAME is known here")
		return 1
	}
	return c.each("ln", rest[1:], func(name string) error {
		return c.onFiles(true, func(f *files) error {
			if has(flags, "f") {
				if err := f.remove(c.user, c.path(name)); err != nil && !errors.Is(err, syscall.ENOENT) {
					return err
				}
			}
			return f.add(c.user, c.path(name), &node{mode: fs.ModeSymlink | 0o777, target: rest[0]})
		})
	})
}

func install(c *call) int {
	flags, rest := c.options("mog")
	mode := fs.FileMode(0o755)
	if m, err := strconv.ParseUint(flags["m"], 8, 32); err == nil {
		mode = fs.FileMode(m)
	}
	if has(flags, "d") {
		return c.each("install", rest, func(name string) error {
			return c.onFiles(true, func(f *files) error {
				at := "/"
				for _, part := range split(c.path(name)) {
					at = path.Join(at, part)
					if err := f.mkdir(c.user, at, mode); err != nil && !errors.Is(err, syscall.EEXIST) {
						return err
					}
				}
				n, err := f.find(c.path(name), true)
				if err == nil {
					n.mode = fs.ModeDir | mode
				}
				return err
			})
		})
	}
	if len(rest) != 2 {
		c.complain("install", "missing file operand")
		return 1
	}
	return c.each("install", rest[:1], func(name string) error {
		data := []byte(nil)
		var err error
		switch c.path(name) {
		case "/dev/stdin":
			data, err = io.ReadAll(c.stdin)
		case "/dev/null":
		default:
			data, err = c.read(name)
		}
		if err != nil {
			return err
		}
		if err := c.write(rest[1], data, mode, false); err != nil {
			return err
		}
		return c.onFiles(true, func(f *files) error { return setMode(f, c.user, c.path(rest[1]), mode) })
	})
}

func setMode(f *files, u user, name string, mode fs.FileMode) error {
	n, err := f.find(name, true)
	if err != nil {
		return err
	}
	if u.uid != 0 && u.uid != n.uid {
		return syscall.EPERM
	}
	n.mode = n.mode&^fs.ModePerm | mode.Perm()
	return nil
}

func touch(c *call) int {
	_, rest := c.options("dtr")
	return c.each("touch", rest, func(name string) error { return c.write(name, nil, 0o644, true) })
}

func chmod(c *call) int {
	_, rest := c.options("")
	if len(rest) < 2 {
		c.complain("chmod", "missing operand")
		return 1
	}
	mode, err := strconv.ParseUint(rest[0], 8, 32)
	if err != nil {
		c.complain("chmod", "invalid mode: '%s'", rest[0])
		return 1
	}
	return c.each("chmod", rest[1:], func(name string) error {
		return c.onFiles(true, func(f *files) error { return setMode(f, c.user, c.path(name), fs.FileMode(mode)) })
	})
}

func chown(c *call) int {
	flags, rest := c.options("")
	owner, group := "", ""
	if like, ok := flags["reference"]; ok {
		err := c.onFiles(false, func(f *files) error {
			n, err := f.find(c.path(like), true)
			if err == nil {
				owner, group = c.h.userName(n.uid), groupName(n.gid)
			}
			return err
		})
		if err != nil {
			c.complain("chown", "failed to get attributes of '%s': %s", like, errText(err))
			return 1
		}
	} else if len(rest) > 1 {
		owner, group, _ = strings.Cut(rest[0], ":")
		rest = rest[1:]
	}
	if len(rest) == 0 {
		c.complain("chown", "missing operand")
		return 1
	}
	return c.each("chown", rest, func(name string) error {
		return c.onFiles(true, func(f *files) error {
			n, err := f.find(c.path(name), true)
			if err != nil {
				return err
			}
			uid, gid := n.uid, n.gid
			if u, ok := c.h.users[owner]; ok {
				uid = u.uid
			}
			if g, ok := groupIDs[group]; ok {
				gid = g
			}
			if c.user.uid != 0 && (uid != n.uid || gid != n.gid) {
				return syscall.EPERM
			}
			n.uid, n.gid = uid, gid
			return nil
		})
	})
}

func mktemp(c *call) int {
	flags, rest := c.options("p")
	name := "/tmp/tmp.XXXXXXXXXX"
	if len(rest) > 0 {
		name = c.path(rest[0])
	}
	err := c.onFiles(true, func(f *files) error {
		c.h.w.ids++
		stem := strings.TrimRight(name, "X")
		name = stem + fmt.Sprintf("%016x", mix(c.h.w.ids))[:len(name)-len(stem)]
		if has(flags, "d") {
			return f.mkdir(c.user, name, 0o700)
		}
		return f.add(c.user, name, &node{mode: 0o600})
	})
	if err != nil {
		c.complain("mktemp", "failed to create file via template '%s': %s", name, errText(err))
		return 1
	}
	c.say("%s\n", name)
	return 0
}

func sha256sum(c *call) int {
	_, rest := c.options("")
	if len(rest) == 0 {
		rest = []string{"-"}
	}
	return c.each("sha256sum", rest, func(name string) error {
		data, err := c.read(name)
		if err == nil {
			c.say("%x  %s\n", sha256.Sum256(data), name)
		}
		return err
	})
}

// base64Program packs; lines are 76 characters long, as -w is not known here.
func base64Program(c *call) int {
	_, rest := c.options("w")
	data, status := c.gather("base64", rest)
	text := base64.StdEncoding.EncodeToString(data)
	for len(text) > 0 {
		n := min(76, len(text))
		c.say("%s\n", text[:n])
		text = text[n:]
	}
	return status
}

// zcat prints what is packed, and what is not as it is where -f says so.
func zcat(c *call) int {
	flags, rest := c.options("")
	if len(rest) == 0 {
		rest = []string{"-"}
	}
	return c.each("gzip", rest, func(name string) error {
		data, err := c.read(name)
		if err != nil {
			return err
		}
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil && has(flags, "f") {
			_, err = c.stdout.Write(data)
			return err
		}
		if err != nil {
			return errors.New("not in gzip format")
		}
		_, err = io.Copy(c.stdout, z)
		return err
	})
}

// gzipProgram unpacks to standard output: -dc.
func gzipProgram(c *call) int {
	flags, _ := c.options("")
	if !has(flags, "c", "stdout") {
		c.complain("gzip", "only gzip -dc is known here")
		return 1
	}
	return zcat(c)
}

// zgrep is grep over what is packed.
func zgrep(c *call) int {
	_, rest := c.options("em")
	files := len(rest) - 1
	var unpacked bytes.Buffer
	next := *c
	next.args, next.stdout = append([]string{"-f"}, rest[min(1, len(rest)):]...), &unpacked
	if status := zcat(&next); status != 0 || files < 1 {
		return 2
	}
	next = *c
	next.args, next.stdin = c.args[:len(c.args)-files], &unpacked
	return grep(&next)
}

func basename(c *call) int {
	for _, a := range c.args[:min(1, len(c.args))] {
		c.say("%s\n", path.Base(a))
	}
	return 0
}

func dirname(c *call) int {
	for _, a := range c.args {
		c.say("%s\n", path.Dir(a))
	}
	return 0
}

func dd(c *call) int {
	data, err := io.ReadAll(c.stdin)
	if err != nil {
		return 1
	}
	to := slices.IndexFunc(c.args, func(a string) bool { return strings.HasPrefix(a, "of=") })
	if to < 0 {
		c.stdout.Write(data)
		return 0
	}
	return c.each("dd", []string{c.args[to][3:]}, func(name string) error { return c.write(name, data, 0o644, false) })
}
