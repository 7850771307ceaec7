package lab

import (
	"bytes"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
)

func statProgram(c *call) int {
	flags, rest := c.options("c")
	format := flags["c"]
	if f, ok := flags["format"]; ok {
		format = f
	}
	if has(flags, "f") {
		return c.statFileSystem(format, rest)
	}
	return c.each("stat", rest, func(name string) error {
		return c.onFiles(false, func(f *files) error {
			n, err := f.find(c.path(name), has(flags, "L"))
			if err != nil {
				return err
			}
			if format == "" {
				format = "  File: %n\n  Size: %s\tAccess: (%a)\tUid: (%u)"
			}
			c.say("%s\n", strings.NewReplacer(
				"%n", name, "%i", strconv.FormatUint(f.inode(n), 10), "%s", strconv.FormatInt(n.size(), 10), "%a", strconv.FormatUint(uint64(n.mode.Perm()), 8), "%A", n.info().Mode().String(),
				"%u", strconv.Itoa(n.uid), "%g", strconv.Itoa(n.gid), "%U", c.h.userName(n.uid), "%G", groupName(n.gid),
				"%Y", strconv.FormatInt(n.modified().Unix(), 10), "%W", strconv.FormatInt(n.changed.Unix(), 10),
				"%Z", strconv.FormatInt(n.changed.Unix(), 10), "%F", kind(n.mode),
			).Replace(format))
			return nil
		})
	})
}

// statFileSystem knows the one file system, of blocks of 4 KiB.
func (c *call) statFileSystem(format string, names []string) int {
	return c.each("stat", names, func(name string) error {
		if err := c.onFiles(false, func(f *files) error { _, err := f.find(c.path(name), true); return err }); err != nil {
			return err
		}
		const block = 4096
		total, free := int64(diskTotal), diskTotal-c.h.diskUsed()
		c.say("%s\n", strings.NewReplacer("%S", strconv.Itoa(block), "%b", strconv.FormatInt(total/block, 10),
			"%f", strconv.FormatInt(free/block, 10), "%a", strconv.FormatInt(free/block, 10), "%n", name,
			"%c", strconv.Itoa(inodesTotal), "%d", strconv.FormatInt(inodesTotal-c.h.inodesUsed(), 10), "%T", "ext2/ext3").Replace(format))
		return nil
	})
}

// inodesTotal is what mkfs makes on a disk of this size: one inode for 16 KiB.
const inodesTotal = diskTotal / (16 << 10)

// inodesUsed grows with what the engine keeps, unless the host was told another number.
func (h *Host) inodesUsed() int64 {
	used := int64(310_000)
	h.with(func() {
		used += 9_000*int64(len(h.engine.images)) + 40*int64(len(h.engine.containers))
		if h.faults.inodes > 0 {
			used = h.faults.inodes
		}
	})
	return used
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "regular file"
}

func ls(c *call) int {
	flags, rest := c.options("")
	if len(rest) == 0 {
		rest = []string{"."}
	}
	return c.each("ls", rest, func(name string) error {
		return c.onFiles(false, func(f *files) error {
			n, err := f.find(c.path(name), true)
			if err != nil {
				return err
			}
			list := []*node{n}
			if n.mode.IsDir() && !has(flags, "d") {
				list = n.sorted()
			}
			for _, e := range list {
				switch {
				case strings.HasPrefix(e.name, ".") && !has(flags, "a", "A"):
				case has(flags, "l"):
					c.say("%s 1 %s %s %d %s %s\n", e.info().Mode(), c.h.userName(e.uid), groupName(e.gid), e.size(), e.modified().Format("Jan _2 15:04"), e.name)
				case n.mode.IsDir() && !has(flags, "d"):
					c.say("%s\n", e.name)
				default:
					c.say("%s\n", name)
				}
			}
			return nil
		})
	})
}

func readlink(c *call) int { return c.links(false) }

func (c *call) links(realpath bool) int {
	flags, rest := c.options("")
	status := 0
	for _, name := range rest {
		err := c.onFiles(false, func(f *files) error {
			if has(flags, "f", "e", "m", "canonicalize") || realpath {
				real, err := f.real(c.path(name))
				if err == nil {
					c.say("%s\n", real)
				}
				return err
			}
			n, err := f.find(c.path(name), false)
			if err == nil && n.mode&fs.ModeSymlink == 0 {
				err = syscall.EINVAL
			}
			if err == nil {
				c.say("%s\n", n.target)
			}
			return err
		})
		if err != nil {
			status = 1 // and not a word, as readlink does
		}
	}
	return status
}

// gather reads the operands, or standard input where there are none.
func (c *call) gather(name string, operands []string) ([]byte, int) {
	if len(operands) == 0 {
		operands = []string{"-"}
	}
	var all bytes.Buffer
	status := c.each(name, operands, func(o string) error {
		data, err := c.read(o)
		all.Write(data)
		return err
	})
	return all.Bytes(), status
}

func lines(data []byte) []string {
	text := strings.TrimSuffix(string(data), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func (c *call) count(flags map[string]string) int {
	if n, err := strconv.Atoi(flags["n"]); err == nil {
		return n
	}
	return 10
}

func head(c *call) int {
	flags, rest := c.options("nc")
	data, status := c.gather("head", rest)
	if n, err := strconv.Atoi(flags["c"]); err == nil {
		c.stdout.Write(data[:min(n, len(data))])
		return status
	}
	for i, l := range lines(data) {
		if i < c.count(flags) {
			c.say("%s\n", l)
		}
	}
	return status
}

func tail(c *call) int {
	flags, rest := c.options("nc")
	data, status := c.gather("tail", rest)
	if n, err := strconv.Atoi(flags["c"]); err == nil {
		c.stdout.Write(data[max(0, len(data)-n):])
		return status
	}
	all := lines(data)
	for _, l := range all[max(0, len(all)-c.count(flags)):] {
		c.say("%s\n", l)
	}
	return status
}

func wc(c *call) int {
	flags, rest := c.options("")
	data, status := c.gather("wc", rest)
	if has(flags, "l") {
		c.say("%d\n", bytes.Count(data, []byte("\n")))
	} else {
		c.say("%d\n", len(data))
	}
	return status
}
