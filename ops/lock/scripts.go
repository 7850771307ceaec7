package lock

import (
	"context"
	"fmt"
	"io"
	"strings"

	"tandem/ops"
)

// The scripts are fixed; what varies comes as arguments: $1 is the base directory. They use
// only what a minimal Debian has, and answer with one word on the first line.
//
// Whose a mark is stands in owner.json, which is only ever replaced as a whole: the scripts
// look for the few words that signature makes, quoted, so that none of them is a pattern.
const (
	// $2 run, $3 owner.json, $4 signature, $5 the owner.json of the same run that is to be
	// replaced, empty: there was none. Answers taken, again, gone, or held followed by what
	// show says. A former owner of the run may have looked just before our mark was made and
	// write just after: such a mark is made anew.
	//
	// The mark is made aside and renamed, as rename(2) does it: not over one that is there. A host
	// that loses its power, or whose disk is full, would else have a mark of nobody. A mark of this
	// run that names no owner is taken: there is nobody to take it from.
	takeScript = `set -eu
mkdir -p "$1"
word=again
if [ -z "$5" ] && ! [ -e "$1/lock" ]; then
	new="$1/taking-$2-$$"
	trap 'rm -rf "$new"' EXIT
	mkdir -p "$new"
	printf '%s\n' "$2" >"$new/run"
	printf '%s\n' "$3" >"$new/owner.json"
	chmod 755 "$1" "$new"
	chmod 644 "$new/run" "$new/owner.json"
	sync "$new/run" "$new/owner.json" "$new" 2>/dev/null || :
	mv -T "$new" "$1/lock" 2>/dev/null && word=taken
fi
[ -d "$1/lock" ] || { echo gone; exit 0; }
cd "$1/lock"
run=$(cat run 2>/dev/null || :)
owner=$(cat owner.json 2>/dev/null || :)
ours=no
if [ "$run" = "$2" ]; then
	case "$owner" in
	'' | *"$4"* | "$5") ours=yes ;;
	esac
fi
if [ "$ours" = no ]; then
	printf 'held\n%s\n%s\n' "$run" "$owner"
	exit 0
fi
for try in 1 2 3; do
	printf '%s\n' "$3" >owner.taken
	chmod 644 owner.taken
	mv owner.taken owner.json
	sync run owner.json . .. 2>/dev/null || :
	case "$(cat owner.json)" in
	*"$4"*) break ;;
	esac
done
echo "$word"
`
	// Answers free and the owner.json of the last mark that was released, or held, the run id
	// and owner.json.
	showScript = `[ -e "$1/lock" ] || { echo free; cat "$1/last.json" 2>/dev/null || :; exit 0; }
printf 'held\n%s\n' "$(cat "$1/lock/run" 2>/dev/null)"
cat "$1/lock/owner.json" 2>/dev/null || :
`
	// $2 run, $3 owner.json, $4 signature, $5 how: beat, replace or append, $6 the file that
	// standard input goes to. What arrives is complete before anything of the mark is touched.
	keepScript = `set -eu
[ -d "$1/lock" ] || { echo free; exit 0; }
cd "$1/lock"
mine() {
	[ "$(cat run 2>/dev/null || :)" = "$2" ] || { echo held; exit 0; }
	case "$(cat owner.json 2>/dev/null || :)" in
	*"$4"*) ;;
	*)
		rm -f "kept.$5"
		echo held
		exit 0
		;;
	esac
}
mine "$@"
if [ "$5" != beat ]; then
	: >"kept.$5"
	chmod 600 "kept.$5"
	cat >>"kept.$5"
	mine "$@"
fi
case "$5" in
replace) mv "kept.$5" "$6" ;;
append)
	cat "kept.$5" >>"$6"
	rm -f "kept.$5"
	;;
esac
printf '%s\n' "$3" >owner.new
chmod 644 owner.new
mine "$@"
mv owner.new owner.json
echo kept
`
	// $2 run, $3 false where the run has not come to its end by that, then signatures: whose the mark
	// may be; none: whoever of this run made it. Moved away first: a mark that is half removed would
	// belong to nobody. Whose it was is kept: another machine that has the beginning of the run
	// would take it for left half-way.
	releaseScript = `set -eu
[ -d "$1/lock" ] || { echo free; exit 0; }
cd "$1"
[ "$(cat lock/run 2>/dev/null || :)" = "$2" ] || { echo held; exit 0; }
run=$2 over=$3
shift 3
owner=$(cat lock/owner.json 2>/dev/null || :)
ours=no
if [ "$#" = 0 ] || [ -z "$owner" ]; then
	ours=yes
fi
for one do
	case "$owner" in
	*"$one"*) ours=yes ;;
	esac
done
[ "$ours" = yes ] || { echo held; exit 0; }
rm -rf "released-$run" "taking-$run-"*
mv lock "released-$run"
[ "$over" = false ] || mv "released-$run/owner.json" last.json 2>/dev/null || :
rm -rf "released-$run"
echo released
`
	// $2 the run that is expected, $3 the line for broken.log, $4 the name under broken/.
	breakScript = `set -eu
[ -e "$1/lock" ] || { echo free; exit 0; }
cd "$1"
[ "$(cat lock/run 2>/dev/null || :)" = "$2" ] || { echo changed; exit 0; }
mkdir -p broken
chmod 700 broken
printf '%s\n' "$3" >>broken.log
mv lock "broken/$4"
echo broken
`
)

type execFunc = func(context.Context, ops.Command) ([]byte, error)

// script runs one of the scripts on a host and returns its word and what follows it.
func (l *Lock) script(ctx context.Context, host ops.Host, mutates bool, stdin io.Reader, text string, args ...string) (word, rest string, err error) {
	return l.scriptBy(ctx, host.Exec, mutates, stdin, text, args...)
}

func (l *Lock) scriptBy(ctx context.Context, exec execFunc, mutates bool, stdin io.Reader, text string, args ...string) (word, rest string, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.opt.Timeout)
	defer cancel()
	out, err := exec(ctx, ops.Command{
		Args: append([]string{"sh", "-c", text, "tandem-lock", l.opt.Base}, args...), Privileged: mutates, Mutates: mutates, Fenced: true, Stdin: stdin,
	})
	if err != nil {
		return "", "", err
	}
	word, rest, _ = strings.Cut(string(out), "\n")
	if word == "" {
		return "", "", fmt.Errorf("the script gave no answer")
	}
	return word, rest, nil
}
