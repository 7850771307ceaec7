package lab

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// files is the file system of a host, in memory. Its methods expect the world's lock
// to be held. Paths are absolute; the root is always there.
type files struct {
	root   *node
	now    func() time.Time
	inodes uint64
}

// node is a file, a directory, a symbolic link or a socket.
type node struct {
	name    string
	number  uint64 // of the inode, given when it is first asked for
	mode    fs.FileMode
	uid     int
	gid     int
	changed time.Time
	dated   time.Time // of the content, where that is not when the file changed
	data    []byte
	made    func() []byte // the content of a file of /proc, made when it is read
	target  string        // of a symbolic link
	entries map[string]*node
}

func newFiles(now func() time.Time) *files {
	return &files{now: now, root: &node{name: "/", mode: fs.ModeDir | 0o755, changed: now(), entries: map[string]*node{}}}
}

const maxLinks = 16

// find walks to a path; the last link is followed when follow is set.
func (f *files) find(name string, follow bool) (*node, error) { return f.walk(name, follow, 0) }

func (f *files) walk(name string, follow bool, depth int) (*node, error) {
	if depth > maxLinks {
		return nil, syscall.ELOOP
	}
	at, sofar := f.root, "/"
	parts := split(name)
	for i, part := range parts {
		if !at.mode.IsDir() {
			return nil, syscall.ENOTDIR
		}
		next, ok := at.entries[part]
		if !ok {
			return nil, syscall.ENOENT
		}
		last := i == len(parts)-1
		if next.mode&fs.ModeSymlink != 0 && (!last || follow) {
			target := next.target
			if !path.IsAbs(target) {
				target = path.Join(sofar, target)
			}
			var err error
			if next, err = f.walk(target, true, depth+1); err != nil {
				return nil, err
			}
		}
		at, sofar = next, path.Join(sofar, part)
	}
	return at, nil
}

// real is a path without links. As for readlink -f, the last part need not be there.
func (f *files) real(name string) (string, error) {
	at := "/"
	parts := split(name)
	for i, hops := 0, 0; i < len(parts); i++ {
		at = path.Join(at, parts[i])
		n, err := f.find(at, false)
		switch {
		case errors.Is(err, syscall.ENOENT) && i == len(parts)-1:
			return at, nil
		case err != nil:
			return "", err
		case n.mode&fs.ModeSymlink == 0:
			continue
		}
		if hops++; hops > maxLinks {
			return "", syscall.ELOOP
		}
		target := n.target
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(at), target)
		}
		parts, at, i = append(split(target), parts[i+1:]...), "/", -1
	}
	return at, nil
}

func split(name string) []string {
	name = strings.Trim(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

// parent finds the directory that holds name.
func (f *files) parent(name string) (*node, string, error) {
	clean := path.Clean("/" + name)
	dir, err := f.find(path.Dir(clean), true)
	if err != nil {
		return nil, "", err
	}
	if !dir.mode.IsDir() {
		return nil, "", syscall.ENOTDIR
	}
	return dir, path.Base(clean), nil
}

// put makes a file with everything above it, as root; for setting the scene.
func (f *files) put(name string, mode fs.FileMode, data string) *node {
	dir := f.mkdirAll(path.Dir(name))
	n := &node{name: path.Base(name), mode: mode, data: []byte(data), changed: f.now()}
	dir.entries[n.name] = n
	return n
}

// proc makes a file whose content is made when it is read.
func (f *files) proc(name string, content func() string) {
	f.put(name, 0o444, "").made = func() []byte { return []byte(content()) }
}

func (f *files) link(name, target string) {
	f.put(name, fs.ModeSymlink|0o777, "").target = target
}

func (f *files) mkdirAll(name string) *node {
	at := f.root
	for _, part := range split(name) {
		next, ok := at.entries[part]
		if !ok {
			next = &node{name: part, mode: fs.ModeDir | 0o755, changed: f.now(), entries: map[string]*node{}}
			at.entries[part] = next
		}
		at = next
	}
	return at
}

func (f *files) inode(n *node) uint64 {
	if n.number == 0 {
		f.inodes++
		n.number = 131072 + f.inodes
	}
	return n.number
}

// user is who runs a command.
type user struct {
	name   string
	uid    int
	groups []string // the first is the primary one
	home   string
	sudo   bool   // may become root without a password
	from   string // SSH_CONNECTION of the login; empty once sudo took it away
	asker  string // who became root through sudo
}

var root = user{name: "root", uid: 0, groups: []string{"root"}, home: "/root", sudo: true}

var groupIDs = map[string]int{"root": 0, "sudo": 27, "docker": 998, "ops": 1000, "plain": 1001}

func (u user) in(gid int) bool {
	return slices.ContainsFunc(u.groups, func(g string) bool { return groupIDs[g] == gid })
}

// may tells whether a user has the rights (4 read, 2 write, 1 execute) on a node.
func (u user) may(n *node, rights fs.FileMode) bool {
	perm := n.mode.Perm()
	switch {
	case u.uid == 0:
		return rights&1 == 0 || n.mode.IsDir() || perm&0o111 != 0
	case n.uid == u.uid:
		perm >>= 6
	case u.in(n.gid):
		perm >>= 3
	}
	return perm&rights == rights
}

// add puts a new node into a directory.
func (f *files) add(u user, name string, n *node) error {
	dir, base, err := f.parent(name)
	if err != nil {
		return err
	}
	if _, ok := dir.entries[base]; ok {
		return syscall.EEXIST
	}
	if !u.may(dir, 2) {
		return syscall.EACCES
	}
	n.name, n.uid, n.changed = base, u.uid, f.now()
	n.gid = groupIDs[u.groups[0]]
	dir.entries[base], dir.changed = n, f.now()
	return nil
}

func (f *files) mkdir(u user, name string, mode fs.FileMode) error {
	return f.add(u, name, &node{mode: fs.ModeDir | mode.Perm(), entries: map[string]*node{}})
}

// remove takes a file or an empty directory away.
func (f *files) remove(u user, name string) error {
	dir, base, err := f.parent(name)
	if err != nil {
		return err
	}
	n, ok := dir.entries[base]
	switch {
	case !ok:
		return syscall.ENOENT
	case len(n.entries) > 0:
		return syscall.ENOTEMPTY
	case !u.may(dir, 2):
		return syscall.EACCES
	}
	delete(dir.entries, base)
	dir.changed = f.now()
	return nil
}

// rename moves a node over a file or an empty directory, as rename(2) does.
func (f *files) rename(u user, from, to string) error {
	source, base, err := f.parent(from)
	if err != nil {
		return err
	}
	n, ok := source.entries[base]
	if !ok {
		return syscall.ENOENT
	}
	dest, newBase, err := f.parent(to)
	if err != nil {
		return err
	}
	if !u.may(source, 2) || !u.may(dest, 2) {
		return syscall.EACCES
	}
	if there, ok := dest.entries[newBase]; ok && there != n {
		switch {
		case there.mode.IsDir() && !n.mode.IsDir():
			return syscall.EISDIR
		case !there.mode.IsDir() && n.mode.IsDir():
			return syscall.ENOTDIR
		case len(there.entries) > 0:
			return syscall.ENOTEMPTY
		}
	}
	delete(source.entries, base)
	n.name = newBase
	dest.entries[newBase] = n
	source.changed, dest.changed = f.now(), f.now()
	return nil
}

// content reads a file.
func (f *files) content(u user, name string) ([]byte, error) {
	n, err := f.find(name, true)
	switch {
	case err != nil:
		return nil, err
	case n.mode.IsDir():
		return nil, syscall.EISDIR
	case !u.may(n, 4):
		return nil, syscall.EACCES
	case n.made != nil:
		return n.made(), nil
	}
	return slices.Clone(n.data), nil
}

// write opens a file for writing; flags as in open(2).
func (f *files) write(u user, name string, flags fileFlags, mode fs.FileMode) (*node, error) {
	n, err := f.find(name, true)
	switch {
	case errors.Is(err, syscall.ENOENT) && flags.create:
		n = &node{mode: mode.Perm()}
		return n, f.add(u, name, n)
	case err != nil:
		return nil, err
	case flags.exclusive:
		return nil, syscall.EEXIST
	case n.mode.IsDir():
		return nil, syscall.EISDIR
	case !u.may(n, 2) || n.made != nil:
		return nil, syscall.EACCES
	}
	if flags.truncate {
		n.data = nil
	}
	n.changed = f.now()
	return n, nil
}

type fileFlags struct{ create, exclusive, truncate bool }

// info makes a node look like a file of the os package.
func (n *node) info() fs.FileInfo { return nodeInfo{n.name, n.size(), n.mode, n.modified()} }

// modified is st_mtime: a program may set it, as apt does to the server's date.
func (n *node) modified() time.Time {
	if n.dated.IsZero() {
		return n.changed
	}
	return n.dated
}

func (n *node) size() int64 {
	switch {
	case n.mode.IsDir():
		return 4096
	case n.mode&fs.ModeSymlink != 0:
		return int64(len(n.target))
	}
	return int64(len(n.data))
}

func (n *node) sorted() []*node {
	return slices.SortedFunc(maps.Values(n.entries), func(a, b *node) int { return strings.Compare(a.name, b.name) })
}

type nodeInfo struct {
	name    string
	size    int64
	mode    fs.FileMode
	changed time.Time
}

func (i nodeInfo) Name() string       { return i.name }
func (i nodeInfo) Size() int64        { return i.size }
func (i nodeInfo) Mode() fs.FileMode  { return i.mode }
func (i nodeInfo) ModTime() time.Time { return i.changed }
func (i nodeInfo) IsDir() bool        { return i.mode.IsDir() }
func (i nodeInfo) Sys() any           { return nil }

// openFile is a file of a host as the shell's redirections use it.
type openFile struct {
	io.Reader
	write func([]byte) (int, error)
}

func (o *openFile) Write(p []byte) (int, error) {
	if o.write == nil {
		return 0, syscall.EBADF
	}
	return o.write(p)
}

func (o *openFile) Close() error { return nil }
