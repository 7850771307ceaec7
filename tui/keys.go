package tui

import "tandem/ops"

// Scope says where keys work. A screen has one at a time; keys that its scope does not
// have reach it as they are, so that it can take text.
type Scope string

// The scopes.
const (
	inPair     Scope = "pair"
	inFilter   Scope = "filter"  // typing the filter of the pair screen
	inPalette  Scope = "palette" // typing a command
	inList     Scope = "list"    // findings, help: read and scroll
	inDetails  Scope = "details" // of a service
	inNotice   Scope = "notice"
	inConfirm  Scope = "confirm" // disruptive: y
	inNamed    Scope = "named"   // destructive: the side's name
	inTyped    Scope = "typed"   // reasons and notes
	inAsk      Scope = "ask"     // a question that y answers
	inRefused  Scope = "refused" // a dialog that cannot be confirmed
	inRisky    Scope = "risky"   // a dialog that can be once a risk is accepted
	inChoose   Scope = "choose"
	inRun      Scope = "run"
	inLogs     Scope = "logs"
	inTimeline Scope = "timeline"
	inReplay   Scope = "replay"
	anywhere   Scope = ""
)

// Group orders the help screen.
type Group string

// The groups, in the order of the help screen.
const (
	operations Group = "Operations"
	looking    Group = "Look"
	running    Group = "Run"
	replaying  Group = "Replay"
	logging    Group = "Logs"
	recalling  Group = "Timeline"
	moving     Group = "Move"
	dialogs    Group = "Dialogs"
	console    Group = "Console"
)

var groups = []Group{operations, looking, running, replaying, logging, recalling, moving, dialogs, console}

// Action is what a key asks for.
type Action string

// The actions.
const (
	actDrain    Action = "drain"
	actPutBack  Action = "put back"
	actRestart  Action = "restart"
	actRollBack Action = "roll back"
	actRecover  Action = "recover"
	actCanary   Action = "canary"
	actJob      Action = "run a job"
	actPatch    Action = "patch"
	actShell    Action = "shell"
	actExec     Action = "container shell"

	actRun      Action = "run"
	actLogs     Action = "logs"
	actItsLog   Action = "its log"
	actFindings Action = "findings"
	actDetail   Action = "details"
	actPin      Action = "pin"
	actFilter   Action = "filter"
	actPalette  Action = "command"
	actHelp     Action = "help"
	actNote     Action = "note"
	actTimeline Action = "timeline"
	actKind     Action = "kind"

	actPause    Action = "pause"
	actContinue Action = "continue"
	actStop     Action = "stop"
	actTakeBack Action = "take back"
	actResume   Action = "resume"
	actSkip     Action = "skip"

	actPlay     Action = "play"
	actHold     Action = "hold"
	actStepOn   Action = "next step"
	actStepBack Action = "step before"
	actFaster   Action = "faster"
	actSlower   Action = "slower"

	actSide     Action = "side"
	actMark     Action = "mark"
	actUp       Action = "up"
	actDown     Action = "down"
	actPageUp   Action = "page up"
	actPageDown Action = "page down"
	actTop      Action = "top"
	actBottom   Action = "bottom"
	actLeft     Action = "left"
	actRight    Action = "right"
	actFollow   Action = "follow"
	actSearch   Action = "search"
	actNext     Action = "next"
	actPrevious Action = "previous"
	actBoth     Action = "both sides"
	actWrap     Action = "wrap"
	actTimes    Action = "times"
	actOnly     Action = "only lines found"
	actSince    Action = "since"
	actUntil    Action = "until"
	actSave     Action = "save"

	actYes    Action = "yes"
	actRisk   Action = "accept the risk"
	actAccept Action = "accept"
	actField  Action = "field"
	actToggle Action = "toggle"
	actSwitch Action = "switch"
	actBack   Action = "back"

	actReadOnly Action = "read-only"
	actPresent  Action = "presenter"
	actTheme    Action = "theme"
	actMouse    Action = "mouse"
	actRedraw   Action = "redraw"
	actQuit     Action = "quit"
	actLeave    Action = "leave"
)

// Binding is a line of the key table.
type Binding struct {
	Keys   []string // as tea names them; any of them
	Show   string   // as written in the key bar and in help
	Words  string   // what it does, in the key bar
	Help   string   // one sentence
	Group  Group
	Scopes []Scope
	Action Action
	Level  ops.Level           // of operations: how much it can hurt
	Bar    bool                // shown in the key bar
	When   func(e *env) string // why it does not work now; empty: it does. nil: it always works
}

// In tells whether the binding works in a scope.
func (b *Binding) In(scope Scope) bool {
	for _, s := range b.Scopes {
		if s == scope || s == anywhere {
			return true
		}
	}
	return false
}

// leaves tells whether the binding only leaves what is on the screen.
func (b *Binding) leaves() bool {
	return b.Action == actBack || b.Action == actQuit || b.Action == actLeave
}

// reason is why the binding does not work now.
func (b *Binding) reason(e *env) string {
	if b.When == nil {
		return ""
	}
	return b.When(e)
}

var (
	reading   = []Scope{inPair, inList, inDetails, inRun, inReplay, inLogs, inTimeline} // screens where single letters are commands
	scrolling = []Scope{inPair, inList, inDetails, inRun, inReplay, inLogs, inTimeline, inChoose, inPalette, inConfirm, inNamed, inTyped, inRefused, inRisky, inNotice}
	briefings = []Scope{inConfirm, inNamed, inRefused, inRisky} // dialogs of a plan, where nothing but the name is typed
)

// table is every key of the console, in the order of the key bar. The bar, the help
// screen and the palette are drawn from it, and keys are looked up in it.
var table = []Binding{
	{Keys: []string{"esc"}, Show: "esc", Words: "back, run goes on", Help: "Back to the pair; the run goes on without this screen.", Group: running, Scopes: []Scope{inRun}, Action: actBack, Bar: true, When: underWay},
	{Keys: []string{"esc"}, Show: "esc", Words: "back", Scopes: []Scope{inRun}, Action: actBack, Bar: true, When: notUnderWay},
	{Keys: []string{"tab", "shift+tab"}, Show: "tab", Words: "side", Help: "Go to the other side.", Group: moving, Scopes: []Scope{inPair, inLogs}, Action: actSide, Bar: true},

	{Keys: []string{"d"}, Show: "d", Words: "drain", Help: "Take the side out of traffic; sessions may end by themselves.", Group: operations, Scopes: []Scope{inPair}, Action: actDrain, Level: ops.Disruptive, Bar: true, When: mayOperate},
	{Keys: []string{"u"}, Show: "u", Words: "put back", Help: "Put the side back into traffic, once it is proved ready.", Group: operations, Scopes: []Scope{inPair}, Action: actPutBack, Level: ops.Disruptive, Bar: true, When: mayOperate},
	{Keys: []string{"r"}, Show: "r", Words: "restart", Help: "Restart the marked services, or all of the side, in start order, each until ready.", Group: operations, Scopes: []Scope{inPair}, Action: actRestart, Level: ops.Disruptive, Bar: true, When: mayOperate},
	{Keys: []string{"R"}, Show: "R", Words: "recover", Help: "Recover the side, or both in series: drain, reboot, every container made anew, put back.", Group: operations, Scopes: []Scope{inPair}, Action: actRecover, Level: ops.Destructive, Bar: true, When: mayOperate},
	{Keys: []string{"b"}, Show: "b", Words: "roll back", Help: "Take back an earlier run, or bring a service back to an earlier image, or packages to the versions before a patch.", Group: operations, Scopes: []Scope{inPair}, Action: actRollBack, Level: ops.Disruptive, Bar: true, When: mayOperate},
	{Keys: []string{"c"}, Show: "c", Words: "canary", Help: "Prove with a throw-away container that a new container can start.", Group: operations, Scopes: []Scope{inPair}, Action: actCanary, Level: ops.Harmless, Bar: true, When: mayOperate},
	{Keys: []string{"J"}, Show: "J", Words: "run a job", Help: "Run a job of the side to its end, with its log.", Group: operations, Scopes: []Scope{inPair}, Action: actJob, Level: ops.Disruptive, When: mayOperate},
	{Keys: []string{"P"}, Show: "P", Words: "patch", Help: "Bring engine and compose of the side to other versions, together, while it is out.", Group: operations, Scopes: []Scope{inPair}, Action: actPatch, Level: ops.Destructive, When: mayOperate},
	{Keys: []string{"s"}, Show: "s", Words: "shell", Help: "A shell on the host of the side. What is typed there is not guarded.", Group: operations, Scopes: []Scope{inPair}, Action: actShell, When: whenShell},
	{Keys: []string{"x"}, Show: "x", Words: "container shell", Help: "A shell in the container of the service: bash, else sh.", Group: operations, Scopes: []Scope{inPair}, Action: actExec, When: whenExec},

	{Keys: []string{"p"}, Show: "p", Words: "pause after step", Help: "Pause the run after the present step.", Group: running, Scopes: []Scope{inRun}, Action: actPause, Bar: true, When: whileGoing},
	{Keys: []string{"p"}, Show: "p", Words: "continue", Help: "Go on with a paused run.", Group: running, Scopes: []Scope{inRun}, Action: actContinue, Bar: true, When: whilePaused},
	{Keys: []string{"x"}, Show: "x", Words: "stop", Help: "Stop the run after the present step; it can be resumed or taken back.", Group: running, Scopes: []Scope{inRun}, Action: actStop, Bar: true, When: whileLive},
	{Keys: []string{"s"}, Show: "s", Words: "resume", Help: "Go on with a run that stopped half-way.", Group: running, Scopes: []Scope{inRun}, Action: actResume, Bar: true, When: whenHalfway},
	{Keys: []string{"a"}, Show: "a", Words: "skip", Help: "Go on without what the run stopped at: a named risk, with a reason, on the record.", Group: running, Scopes: []Scope{inRun}, Action: actSkip, Level: ops.Disruptive, When: whenSkippable},
	{Keys: []string{"enter"}, Show: "enter", Words: "unfold", Help: "Show the steps of a group one by one, or fold them again.", Group: running, Scopes: []Scope{inRun, inReplay}, Action: actAccept},
	{Keys: []string{"b"}, Show: "b", Words: "roll back", Help: "Take back what the run has done, in reverse.", Group: running, Scopes: []Scope{inRun}, Action: actTakeBack, Level: ops.Disruptive, Bar: true, When: whenTakeable},
	{Keys: []string{"n"}, Show: "n", Words: "note", Help: "Write a note into the journal of the run.", Group: running, Scopes: []Scope{inRun}, Action: actNote, When: whenRun},

	{Keys: []string{"space"}, Show: "space", Words: "pause", Help: "Pause the replay.", Group: replaying, Scopes: []Scope{inReplay}, Action: actHold, Bar: true, When: whilePlaying},
	{Keys: []string{"space"}, Show: "space", Words: "play", Help: "Go on with the replay; at its end, from the beginning.", Group: replaying, Scopes: []Scope{inReplay}, Action: actPlay, Bar: true, When: whileHeld},
	{Keys: []string{"left"}, Show: "←", Words: "step before", Help: "To where this step began, or the one before.", Group: replaying, Scopes: []Scope{inReplay}, Action: actStepBack, Bar: true},
	{Keys: []string{"right"}, Show: "→", Words: "next step", Help: "To where the next step begins.", Group: replaying, Scopes: []Scope{inReplay}, Action: actStepOn, Bar: true},
	{Keys: []string{"+", "="}, Show: "+", Words: "faster", Help: "Play twice as fast.", Group: replaying, Scopes: []Scope{inReplay}, Action: actFaster, Bar: true},
	{Keys: []string{"-"}, Show: "-", Words: "slower", Help: "Play half as fast.", Group: replaying, Scopes: []Scope{inReplay}, Action: actSlower, Bar: true},
	{Keys: []string{"q"}, Show: "q", Words: "leave", Help: "Leave the replay.", Group: replaying, Scopes: []Scope{inReplay}, Action: actQuit, Bar: true},

	{Keys: []string{"v"}, Show: "v", Words: "view run", Help: "Watch the run under way, or the last one.", Group: looking, Scopes: []Scope{inPair}, Action: actRun, When: whenRun},
	{Keys: []string{"l"}, Show: "l", Words: "logs", Help: "Follow the logs of the service.", Group: looking, Scopes: []Scope{inPair, inDetails, inRun}, Action: actLogs, Bar: true, When: whenService},
	{Keys: []string{"l"}, Show: "l", Words: "its log", Help: "Follow the log of the job under the cursor, or of what the finding is about.", Group: looking, Scopes: []Scope{inChoose, inList}, Action: actItsLog},
	{Keys: []string{"enter"}, Show: "enter", Words: "details", Help: "All there is to know of the service, on both sides.", Group: looking, Scopes: []Scope{inPair}, Action: actDetail, When: whenService},
	{Keys: []string{"*"}, Show: "*", Words: "pin", Help: "Keep reading CPU and memory of the service, or stop: in the details, and in the table where it has room.", Group: looking, Scopes: []Scope{inPair}, Action: actPin, When: whenService},
	{Keys: []string{"*"}, Show: "*", Words: "pin", Scopes: []Scope{inDetails}, Action: actPin, Bar: true, When: whenService},
	{Keys: []string{"f"}, Show: "f", Words: "findings", Help: "What is wrong, why, and what to do.", Group: looking, Scopes: []Scope{inPair}, Action: actFindings, Bar: true},
	{Keys: []string{"T"}, Show: "T", Words: "timeline", Help: "What happened to the pair: containers, traffic, packages, runs, findings, notes.", Group: looking, Scopes: []Scope{inPair, inRun}, Action: actTimeline},
	{Keys: []string{"n"}, Show: "n", Words: "note", Help: "Write a note on the timeline; during a run, into its journal.", Group: looking, Scopes: []Scope{inPair}, Action: actNote},
	{Keys: []string{"/"}, Show: "/", Words: "filter", Help: "Show only services whose name has the text.", Group: looking, Scopes: []Scope{inPair}, Action: actFilter, Bar: true},
	{Keys: []string{"/"}, Show: "/", Words: "search", Help: "Search in the logs, in any case.", Group: logging, Scopes: []Scope{inLogs}, Action: actSearch, Bar: true},
	{Keys: []string{"n"}, Show: "n", Words: "next", Help: "Go to the next line found.", Group: logging, Scopes: []Scope{inLogs}, Action: actNext, Bar: true},
	{Keys: []string{"N"}, Show: "N", Words: "previous", Help: "Go to the line found before.", Group: logging, Scopes: []Scope{inLogs}, Action: actPrevious},
	{Keys: []string{"&"}, Show: "&", Words: "only found", Help: "Show only the lines that have what is searched for, or all.", Group: logging, Scopes: []Scope{inLogs}, Action: actOnly},
	{Keys: []string{"f"}, Show: "f", Words: "follow", Help: "Follow new lines, or pause.", Group: logging, Scopes: []Scope{inLogs}, Action: actFollow, Bar: true},
	{Keys: []string{"o"}, Show: "o", Words: "sides", Help: "One side, both beside each other, or both in one column by time.", Group: logging, Scopes: []Scope{inLogs}, Action: actBoth, Bar: true},
	{Keys: []string{"s"}, Show: "s", Words: "since", Help: "Read the log from a time on: 10m, 2h, 14:03, 2026-11-26 14:03, all.", Group: logging, Scopes: []Scope{inLogs}, Action: actSince, Bar: true},
	{Keys: []string{"u"}, Show: "u", Words: "until", Help: "Read the log up to a time, written in the same ways.", Group: logging, Scopes: []Scope{inLogs}, Action: actUntil},
	{Keys: []string{"S"}, Show: "S", Words: "save", Help: "Save the lines to a file that only you may read.", Group: logging, Scopes: []Scope{inLogs}, Action: actSave, Bar: true},
	{Keys: []string{"w"}, Show: "w", Words: "wrap", Help: "Wrap long lines, or cut them.", Group: logging, Scopes: []Scope{inLogs}, Action: actWrap, Bar: true},
	{Keys: []string{"t"}, Show: "t", Words: "times", Help: "The time of every line, with its date, or no times.", Group: logging, Scopes: []Scope{inLogs}, Action: actTimes},
	{Keys: []string{"/"}, Show: "/", Words: "filter", Help: "Show only moments that have the text, in any case.", Group: recalling, Scopes: []Scope{inTimeline}, Action: actFilter, Bar: true},
	{Keys: []string{"1", "2", "3", "4", "5", "6", "7", "8", "0"}, Show: "1-8", Words: "kind", Help: "Show this kind of moments, and others whose numbers follow; 0 shows all.", Group: recalling, Scopes: []Scope{inTimeline}, Action: actKind, Bar: true},
	{Keys: []string{"tab"}, Show: "tab", Words: "side", Help: "What is about blue, about green, or all.", Group: recalling, Scopes: []Scope{inTimeline}, Action: actSide, Bar: true},
	{Keys: []string{"f"}, Show: "f", Words: "follow", Help: "Go to the latest and stay there, or stop.", Group: recalling, Scopes: []Scope{inTimeline}, Action: actFollow, Bar: true},
	{Keys: []string{"S"}, Show: "S", Words: "export", Help: "Save what is shown as Markdown, to a file that only you may read.", Group: recalling, Scopes: []Scope{inTimeline}, Action: actSave, Bar: true},
	{Keys: []string{"n"}, Show: "n", Words: "note", Help: "Write a note on the timeline; during a run, into its journal.", Group: recalling, Scopes: []Scope{inTimeline}, Action: actNote, Bar: true},
	{Keys: []string{"l"}, Show: "l", Words: "its log", Help: "Read the log of the container from a minute before.", Group: recalling, Scopes: []Scope{inTimeline}, Action: actItsLog},
	{Keys: []string{"enter"}, Show: "enter", Words: "more", Help: "What the line is about: the service, the findings, the run.", Group: recalling, Scopes: []Scope{inTimeline}, Action: actAccept},
	{Keys: []string{":"}, Show: ":", Words: "command", Help: "Find any command by its name, such as \"logs tcs\".", Group: looking, Scopes: []Scope{inPair, inRun}, Action: actPalette, Bar: true},

	{Keys: []string{"space"}, Show: "space", Words: "mark", Help: "Mark the service, for a restart of several.", Group: moving, Scopes: []Scope{inPair}, Action: actMark, When: whenService},
	{Keys: []string{"up", "k"}, Show: "↑ k", Words: "up", Help: "One line up.", Group: moving, Scopes: []Scope{inPair, inList, inDetails, inRun, inReplay, inLogs, inTimeline, inChoose}, Action: actUp},
	{Keys: []string{"down", "j"}, Show: "↓ j", Words: "down", Help: "One line down.", Group: moving, Scopes: []Scope{inPair, inList, inDetails, inRun, inReplay, inLogs, inTimeline, inChoose}, Action: actDown},
	{Keys: []string{"up", "ctrl+p"}, Words: "up", Scopes: []Scope{inPalette}, Action: actUp},
	{Keys: []string{"down", "ctrl+n"}, Words: "down", Scopes: []Scope{inPalette}, Action: actDown},
	{Keys: []string{"up"}, Words: "up", Scopes: []Scope{inConfirm, inNamed, inTyped, inRefused, inRisky, inNotice, inFilter}, Action: actUp},
	{Keys: []string{"down"}, Words: "down", Scopes: []Scope{inConfirm, inNamed, inTyped, inRefused, inRisky, inNotice, inFilter}, Action: actDown},
	{Keys: []string{"pgup", "ctrl+b"}, Show: "pgup", Words: "page up", Help: "One page up.", Group: moving, Scopes: scrolling, Action: actPageUp},
	{Keys: []string{"pgdown", "ctrl+f"}, Show: "pgdn", Words: "page down", Help: "One page down.", Group: moving, Scopes: scrolling, Action: actPageDown},
	{Keys: []string{"space"}, Words: "page down", Scopes: []Scope{inLogs}, Action: actPageDown},
	{Keys: []string{"home", "g"}, Show: "g", Words: "top", Help: "To the first line.", Group: moving, Scopes: reading, Action: actTop},
	{Keys: []string{"end", "G"}, Show: "G", Words: "bottom", Help: "To the last line.", Group: moving, Scopes: reading, Action: actBottom},
	{Keys: []string{"left"}, Show: "←", Words: "left", Help: "Scroll long lines to the left.", Group: moving, Scopes: []Scope{inLogs}, Action: actLeft},
	{Keys: []string{"right"}, Show: "→", Words: "right", Help: "Scroll long lines to the right.", Group: moving, Scopes: []Scope{inLogs}, Action: actRight},

	{Keys: []string{"y"}, Show: "y", Words: "go on", Help: "Confirm a disruptive operation. Enter never does.", Group: dialogs, Scopes: []Scope{inConfirm, inAsk}, Action: actYes, Bar: true},
	{Keys: []string{"a"}, Show: "a", Words: "accept the risk", Help: "Go on although a check does not pass, with a reason, on the record.", Group: dialogs, Scopes: []Scope{inRisky}, Action: actRisk, Bar: true},
	{Keys: []string{"tab"}, Show: "tab", Words: "field", Help: "Go to the next field or button.", Group: dialogs, Scopes: []Scope{inConfirm, inNamed, inTyped, inRefused, inRisky}, Action: actField, Bar: true},
	{Keys: []string{"space"}, Show: "space", Words: "toggle", Help: "Switch an option on or off.", Group: dialogs, Scopes: briefings, Action: actToggle, Bar: true},
	{Keys: []string{"1", "2", "3", "4", "5", "6"}, Show: "1-6", Words: "switch", Help: "Switch the option of that number; the plan is made anew at once.", Group: dialogs, Scopes: briefings, Action: actSwitch},
	{Keys: []string{"enter"}, Show: "enter", Words: "keep", Help: "Keep the filter and go back to the rows.", Group: dialogs, Scopes: []Scope{inFilter}, Action: actAccept, Bar: true},
	{Keys: []string{"esc"}, Show: "esc", Words: "clear", Help: "Show every service again.", Group: dialogs, Scopes: []Scope{inFilter}, Action: actBack, Bar: true},
	{Keys: []string{"enter"}, Show: "enter", Words: "choose", Help: "Choose, where that changes nothing yet.", Group: dialogs, Scopes: []Scope{inChoose, inPalette, inNotice, inList, inDetails, inConfirm, inNamed, inTyped, inAsk, inRefused, inRisky}, Action: actAccept},
	{Keys: []string{"esc"}, Show: "esc", Words: "back", Help: "Close, or cancel.", Group: dialogs, Scopes: []Scope{inPair, inReplay, inPalette, inList, inDetails, inLogs, inTimeline}, Action: actBack},
	{Keys: []string{"esc"}, Show: "esc", Words: "cancel", Scopes: []Scope{inConfirm, inNamed, inTyped, inAsk, inChoose}, Action: actBack},
	{Keys: []string{"esc"}, Show: "esc", Words: "close", Scopes: []Scope{inRefused, inRisky, inNotice}, Action: actBack},

	{Keys: []string{"ctrl+o"}, Show: "^o", Words: "read-only", Help: "Switch read-only on or off: nothing can be changed while it is on.", Group: console, Scopes: []Scope{anywhere}, Action: actReadOnly},
	{Keys: []string{"ctrl+p"}, Show: "^p", Words: "presenter", Help: "For an audience: hide hosts and addresses, show the keys typed.", Group: console, Scopes: []Scope{inPair, inList, inDetails, inRun, inReplay, inLogs, inTimeline, inNotice, inConfirm, inNamed, inTyped, inAsk, inRefused, inRisky, inChoose, inFilter}, Action: actPresent},
	{Keys: []string{"t"}, Show: "t", Words: "theme", Help: "Choose a colour theme, with the screen in it as you go.", Group: console, Scopes: []Scope{inPair, inList, inDetails, inRun, inReplay, inTimeline}, Action: actTheme},
	{Keys: []string{"m"}, Show: "m", Words: "mouse", Help: "Mouse on or off; off, the terminal selects text.", Group: console, Scopes: []Scope{inPair, inRun, inReplay, inLogs, inTimeline}, Action: actMouse},
	{Keys: []string{"ctrl+l"}, Show: "^l", Words: "redraw", Help: "Draw the whole screen afresh.", Group: console, Scopes: []Scope{anywhere}, Action: actRedraw},
	{Keys: []string{"?"}, Show: "?", Words: "help", Help: "Every key.", Group: console, Scopes: reading, Action: actHelp, Bar: true},
	{Keys: []string{"q"}, Show: "q", Words: "quit", Help: "Leave the console; a run goes on without it.", Group: console, Scopes: []Scope{inPair}, Action: actQuit},
	{Keys: []string{"q"}, Words: "back", Scopes: []Scope{inList, inDetails, inRun, inLogs, inTimeline}, Action: actBack},
	{Keys: []string{"ctrl+c"}, Show: "^c", Words: "quit", Help: "Leave the console from anywhere.", Group: console, Scopes: []Scope{anywhere}, Action: actLeave},
}

// find looks a key up: the binding that works now, else the first with the reason why
// not, else nil.
func find(e *env, scope Scope, key string) (*Binding, string) {
	var first *Binding
	why := ""
	for i := range e.keys {
		b := &e.keys[i]
		if !b.In(scope) || !b.has(key) {
			continue
		}
		reason := b.reason(e)
		if reason == "" {
			return b, ""
		}
		if first == nil {
			first, why = b, reason
		}
	}
	return first, why
}

func (b *Binding) has(key string) bool {
	for _, k := range b.Keys {
		if k == key {
			return true
		}
	}
	return false
}

func mayOperate(e *env) string {
	switch {
	case e.backend.ReadOnly():
		return "read-only"
	case e.run != nil && e.run.Live():
		return "a run is under way"
	}
	return ""
}

func whenService(e *env) string {
	if e.service == "" {
		return "no service is selected"
	}
	return ""
}

func whenRun(e *env) string {
	if e.run == nil {
		return "no run is known"
	}
	return ""
}

// noRun is why keys of a run under way do not work when it has ended: the key bar leaves them out.
const noRun = "no run is under way"

func underWay(e *env) string {
	if e.run == nil || !e.run.Live() {
		return noRun
	}
	return ""
}

func notUnderWay(e *env) string {
	if underWay(e) == "" {
		return "the run goes on"
	}
	return ""
}

func whileLive(e *env) string {
	if why := underWay(e); why != "" {
		return why
	}
	if e.backend.ReadOnly() {
		return "read-only"
	}
	return ""
}

func whileGoing(e *env) string {
	if why := whileLive(e); why != "" {
		return why
	}
	if e.run.Paused {
		return "the run is paused"
	}
	return ""
}

func whilePaused(e *env) string {
	if why := whileLive(e); why != "" {
		return why
	}
	if !e.run.Paused {
		return "the run is not paused"
	}
	return ""
}

func whenHalfway(e *env) string {
	switch {
	case e.backend.ReadOnly():
		return "read-only"
	case e.run == nil || e.run.Live():
		return "the run is under way"
	case !e.run.Unfinished():
		return "the run did not stop half-way"
	}
	return ""
}

func whenSkippable(e *env) string {
	if why := whenHalfway(e); why != "" {
		return why
	}
	if len(risksOf(e.run)) == 0 {
		return "there is no way around it"
	}
	return ""
}

func whenTakeable(e *env) string {
	switch {
	case e.backend.ReadOnly():
		return "read-only"
	case e.run == nil:
		return "no run is known"
	case e.run.Rolling:
		return "it is being taken back"
	case e.run.Outcome == ops.OutcomeRefused:
		return "nothing was changed"
	case e.run.Outcome == ops.OutcomeUnknown:
		return "how it ended is known to " + e.run.By
	}
	return ""
}
