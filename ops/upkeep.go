package ops

import "time"

// Upkeep is what the package manager of a host did, is doing and would do. It is read in one
// round trip, without root and without a lock, when Facts.Packaging has changed and on a slow
// beat else.
type Upkeep struct {
	Manager string          `json:"manager"` // apt, dnf, yum; empty: none that tandem knows
	Changes []PackageChange `json:"changes"` // those that touched the engine's packages, oldest first
	Pending []VersionChange `json:"pending"` // what an upgrade would do to the engine's packages now
	Others  int             `json:"others"`  // how many other packages an upgrade would touch
	ListsAt time.Time       `json:"lists_at,omitzero"`
	// Silent are the sources that gave no answer when the lists were last refreshed.
	Silent []string `json:"silent,omitempty"`
	Held   []string `json:"held,omitempty"`   // packages of the engine that are on hold
	Busy   string   `json:"busy,omitempty"`   // a package manager at work now: "apt-get, process 4711"
	Broken []string `json:"broken,omitempty"` // packages half-installed or half-configured
	// Offered are the versions of each of the engine's packages that could be installed now,
	// newest first. Kept are those whose package file is still on the host.
	Offered map[string][]string `json:"offered,omitempty"`
	Kept    map[string][]string `json:"kept,omitempty"`
	// Unread says what of all this could not be read, in words: what is empty is then not
	// known to be so.
	Unread []string `json:"unread,omitempty"`
}

// PackageChange is one act of a package manager, as its own log has it.
type PackageChange struct {
	At       time.Time       `json:"at"`
	Command  string          `json:"command,omitempty"` // as it was typed; passwords in URLs left out
	By       string          `json:"by,omitempty"`      // the user who asked for it through sudo or polkit; empty: not known
	Packages []VersionChange `json:"packages"`          // the engine's
	Others   int             `json:"others,omitempty"`  // how many other packages it touched
	Err      string          `json:"err,omitempty"`     // why it did not succeed, or "interrupted"
}

// VersionChange is a package that was, or would be, brought from one version to another.
// From is empty where it was not there before, To where it is removed.
type VersionChange struct {
	Name string `json:"name"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// Simulation is what installing packages at named versions would do.
type Simulation struct {
	At      time.Time         `json:"at"`
	Asked   map[string]string `json:"asked"`   // package -> version
	Changes []VersionChange   `json:"changes"` // all that would change, what was not asked for too
	Err     string            `json:"err,omitempty"`
}

// Drained is what a journal tells of the run that took a side out.
type Drained struct {
	Run  string    `json:"run"`
	At   time.Time `json:"at"`
	By   string    `json:"by"`
	From string    `json:"from"`
}
