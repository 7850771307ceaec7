package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"tandem/ops"
)

// ReadFile reads a file with cat; LC_ALL=C makes its messages known ones. A directory that
// may not be entered is an error of its own, never "no such file".
func (h *Host) ReadFile(ctx context.Context, name string, privileged bool) ([]byte, error) {
	out, err := h.Exec(ctx, ops.Command{Args: []string{"env", "LC_ALL=C", "cat", "--", name}, Privileged: privileged})
	var exit *ops.ExitError
	switch {
	case err == nil:
		return out, nil
	case errors.As(err, &exit) && strings.HasSuffix(strings.TrimSpace(exit.Stderr), ": No such file or directory"):
		return nil, h.say("reading "+name, as(fs.ErrNotExist, errors.New("no such file")), "")
	}
	p := *ops.AsProblem(err, "", h.target.Side)
	p.Doing = "reading " + name
	return nil, &p
}

// replaceFile makes the new file beside the old one and renames it, so that at every
// instant there is one whole file. Standard input that ends early (a lost connection) is
// noticed by its length. The owner stays that of the earlier file.
const replaceFile = `set -eu
umask 077
file=$1 mode=$2 size=$3
new=$(mktemp "$(dirname "$file")/.tandem.XXXXXX")
trap 'rm -f "$new"' EXIT
cat > "$new"
got=$(wc -c < "$new")
if [ "$got" -ne "$size" ]; then
	echo "$got of $size bytes came" >&2
	exit 1
fi
if [ -e "$file" ]; then
	cp -p "$file" "$file.tandem-backup"
	chown --reference="$file" "$new"
fi
chmod "$mode" "$new"
sync "$new"
mv -T "$new" "$file"
sync "$(dirname "$file")"
`

// WriteFile replaces the file as one act and keeps the earlier one as name.tandem-backup.
func (h *Host) WriteFile(ctx context.Context, name string, data []byte, mode fs.FileMode, privileged bool) error {
	doing := "writing " + name
	if !path.IsAbs(name) {
		return h.say(doing, fmt.Errorf("%q is not an absolute path", name), "")
	}
	_, err := h.Exec(ctx, ops.Command{
		Args:       []string{"sh", "-c", replaceFile, "sh", name, fmt.Sprintf("%04o", mode.Perm()), strconv.Itoa(len(data))},
		Privileged: privileged,
		Stdin:      bytes.NewReader(data),
		Mutates:    true,
	})
	if err == nil {
		return nil
	}
	p := *ops.AsProblem(err, "", h.target.Side)
	p.Doing = doing
	return &p
}
