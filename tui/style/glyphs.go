package style

// The glyphs of the console. All are one cell wide by grapheme and by wcwidth, and need
// no variation selector. Colour and word always say the same.
const (
	OkMark     = "✓"
	BadMark    = "✗"
	WarnMark   = "▲"
	NoteMark   = "·"
	WaitMark   = "…"
	AbsentMark = "·"
	InMark     = "●"
	DrainMark  = "◐"
	OutMark    = "○"
	DiffMark   = "≠"
	Cursor     = "›"
	Checked    = "◆"
	NowMark    = "▸"
	RebootMark = "↻"
	PauseMark  = "‖"
	Ellipsis   = "…"
	BarFull    = "━"
	BarEmpty   = "─"
	Caret      = "▏"
	PinMark    = "•"
)

// Spark are the heights of a sparkline, from nothing to full.
var Spark = []rune("▁▂▃▄▅▆▇█")

// ascii has the stand-in of every glyph, one cell for one cell.
var ascii = map[rune]byte{
	'✓': '+', '✗': 'x', '▲': '!', '·': '.', '…': '~', '●': '*', '◐': '%', '○': 'o', '≠': '#', '›': '>', '◆': '#', '▸': '>', '↻': '@', '‖': '|',
	'━': '=', '─': '-', '│': '|', '╭': '+', '╮': '+', '╰': '+', '╯': '+', '├': '+', '┤': '+', '▏': '|', '█': '#', '┃': '|', '╷': '|', '╵': '|',
	'▁': '.', '▂': ':', '▃': '-', '▄': '=', '▅': '+', '▆': '*', '▇': '%',
	'→': '>', '←': '<', '↑': '^', '↓': 'v', '×': 'x', '–': '-', '—': '-', '’': '\'', '•': '*',
}
