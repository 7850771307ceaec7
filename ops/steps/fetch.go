package steps

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"tandem/ops"
)

// Fetch has the package manager say once more what the patch would change, and refuses where
// that is anything that was not asked for. Then it sees to it that the package files are on the
// host before traffic is taken away: those of the present versions, for the way back, and those
// of the wanted ones.
type Fetch struct {
	Side   ops.Side
	Asked  map[string]string // package -> version; empty: not installed any more
	Was    map[string]string // what they were at when the plan was made; empty: not installed
	Within time.Duration
}

// Kind implements [ops.Step], as do the methods below.
func (Fetch) Kind() string { return KindFetch }

// Title is the act in words.
func (f Fetch) Title() string { return "fetch the packages of " + f.Side.Upper() }

// Effects are the commands.
func (f Fetch) Effects() []string {
	return []string{
		"apt-get -s install " + strings.Join(packageWords(f.Asked, nil), " ") + ": refused if anything else would change",
		"keep the present versions in " + debsDir + ", from " + archivesDir + " or by apt-get download: " + strings.Join(packageWords(f.present(), nil), " "),
		strings.Join(f.download(nil), " "),
	}
}

// present are the packages that are installed and change.
func (f Fetch) present() map[string]string {
	present := map[string]string{}
	for name, version := range f.Was {
		if version != "" && version != f.Asked[name] {
			present[name] = version
		}
	}
	return present
}

// download is the command that only downloads: that some are on hold does not matter yet.
func (f Fetch) download(files map[string]string) []string {
	return aptInstall(f.Was, f.Asked, files, "--download-only", "--allow-change-held-packages")
}

// Risk is harmless: no package changes.
func (Fetch) Risk() ops.Level { return ops.Harmless }

// Guards: engine and compose must fit together afterwards.
func (f Fetch) Guards() []ops.Guard {
	return []ops.Guard{SideFresh(f.Side), ComposeFits(f.Side, f.Asked)}
}

// Check simulates, anew every time.
func (f Fetch) Check(ctx context.Context, env ops.Env) (ops.Verdict, error) {
	if err := asAsked(ctx, env, f.Side, f.Asked); err != nil {
		return ops.Blocked, err
	}
	return ops.Ready, nil
}

// asAsked is an error where the package manager would change anything that was not asked for,
// or cannot do what was.
func asAsked(ctx context.Context, env ops.Env, side ops.Side, asked map[string]string) error {
	sim, err := env.Hosts[side].Simulate(ctx, asked)
	if err != nil {
		return fmt.Errorf("asking %s what the packages would change: %w", side, err)
	}
	if c := simulated(side, &sim, asked); !c.Allows() {
		return &ops.Problem{Doing: "simulating the patch", Side: side, Err: errors.New(c.Text), Hint: c.Hint}
	}
	return nil
}

// Do keeps the present versions and downloads the wanted ones.
func (f Fetch) Do(ctx context.Context, env ops.Env) error {
	ctx, cancel := context.WithTimeout(ctx, f.Within)
	defer cancel()
	host := env.Hosts[f.Side]
	if err := rooted(ctx, host, true, "mkdir", "-p", debsDir); err != nil {
		return fmt.Errorf("making %s: %w", debsDir, err)
	}
	present := f.present()
	cached, err := keptFiles(ctx, host, f.Side, archivesDir, present)
	if err != nil {
		return err
	}
	for _, name := range sortedNames(present) {
		if err := f.keep(ctx, env, name, present[name], cached[name]); err != nil {
			return err
		}
	}
	files, err := keptFiles(ctx, host, f.Side, debsDir, f.Asked)
	if err != nil {
		return err
	}
	if err := rooted(ctx, host, true, f.download(files)...); err != nil {
		var exit *ops.ExitError
		if errors.As(err, &exit) {
			_, why := aptWords(exit.Stderr)
			return &ops.Problem{Doing: "downloading the packages", Side: f.Side, Err: errors.New(why), Hint: "see whether the package sources answer: apt-get update on the host; then try again"}
		}
		return fmt.Errorf("downloading the packages of %s: %w", f.Side, err)
	}
	return nil
}

// inDir carries out its arguments in a directory.
const inDir = `cd "$1" && shift && exec "$@"`

// keep keeps the file of a version that is installed. One that was being written when a runner
// died is written anew. That it cannot be had is no reason to stop: it is told.
func (f Fetch) keep(ctx context.Context, env ops.Env, name, version, cached string) error {
	key := "kept " + debName(name, version)
	if known, err := env.Log.Recall(key, new(bool)); err != nil || known {
		return err
	}
	host := env.Hosts[f.Side]
	args := []string{"sh", "-c", inDir, "sh", debsDir, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name + "=" + version}
	if cached != "" {
		args = []string{"cp", "-p", cached, path.Join(debsDir, path.Base(cached))}
	}
	err := rooted(ctx, host, true, args...)
	var exit *ops.ExitError
	switch {
	case errors.As(err, &exit):
		env.Log.Say(fmt.Sprintf("the package file of %s %s cannot be had: the way back to it is not there", name, version))
		return nil
	case err != nil:
		return fmt.Errorf("keeping %s %s: %w", name, version, err)
	}
	if err := env.Log.Record(key, true); err != nil {
		return fmt.Errorf("recording what was kept: %w", err)
	}
	return nil
}

// Verify says of which present versions the host now keeps the file.
func (f Fetch) Verify(ctx context.Context, env ops.Env) error {
	files, err := keptFiles(ctx, env.Hosts[f.Side], f.Side, debsDir, f.present())
	if err != nil {
		return err
	}
	env.Log.Say(fmt.Sprintf("kept for the way back: %d of %d packages", len(files), len(f.present())))
	return nil
}

// Undo has nothing to take back: what was kept is of use to the next.
func (Fetch) Undo(context.Context, ops.Env) error { return ops.ErrNoUndo }

// Back says so.
func (Fetch) Back() ops.Undoing { return ops.Undoing{} }
