package tui

import (
	"bytes"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

// wire is a terminal that keeps what it gets.
type wire struct{ bytes.Buffer }

func (*wire) Close() error { return nil }
func (*wire) Fd() uintptr  { return ^uintptr(0) }

func (w *wire) asked() int { return strings.Count(w.String(), ansi.RequestPrimaryDeviceAttributes) }

// linked is a console on a link, and what moves its clock.
func linked(t *testing.T) (*App, *fake, *wire, func(time.Duration)) {
	t.Helper()
	at := noon
	f := newFake(calm())
	a := newConsole(f, 120, 40)
	a.now = func() time.Time { return at }
	out := &wire{}
	a.link = newLink(out, a.now)
	return a, f, out, func(d time.Duration) { at = at.Add(d) }
}

// send draws a frame as the renderer does: whole, where it has changed.
func send(a *App, msg tea.Msg) (frame string) {
	before := a.frame
	a.Update(msg)
	frame = a.View().Content
	if frame != before {
		_, _ = a.link.Write([]byte(frame))
	}
	return frame
}

// While the terminal has not said that it has the last frame, none is drawn that no key asks for;
// a key's is, with all that has happened meanwhile.
func TestFramesWaitForTheTerminal(t *testing.T) {
	a, _, out, pass := linked(t)
	answer := uv.PrimaryDeviceAttributesEvent{62, 22}
	second := func() string { pass(time.Second); return send(a, tickMsg{}) }
	first := second()
	if out.asked() != 1 {
		t.Fatalf("the terminal was asked %d times", out.asked())
	}
	if second() == first {
		t.Error("held back although nobody knows whether this terminal answers")
	}
	send(a, answer)
	seen := second() // puts the next question
	if out.asked() != 2 {
		t.Fatalf("the terminal was asked %d times", out.asked())
	}
	for range 2 {
		if second() != seen {
			t.Error("a frame was drawn although the terminal has not got the last one")
		}
	}
	if got := send(a, key("down")); got == seen || !strings.Contains(got, "14:03:27Z") {
		t.Error("what a key does waits for the terminal, or shows an old second")
	}
	seen = second()
	if strings.Contains(seen, "14:03:28Z") {
		t.Error("the frame of a key counts as an answer")
	}
	if got := send(a, answer); !strings.Contains(got, "14:03:28Z") {
		t.Error("the answer does not bring what was held back")
	}
}

// A terminal that stops answering holds nothing back for longer than answerTime, and one that
// never does is asked a few times.
func TestTerminalThatDoesNotAnswer(t *testing.T) {
	a, _, out, pass := linked(t)
	send(a, tickMsg{})
	send(a, uv.PrimaryDeviceAttributesEvent{62})
	pass(time.Second)
	seen := send(a, tickMsg{})
	pass(answerTime - time.Second)
	if send(a, tickMsg{}) != seen {
		t.Error("not held back")
	}
	pass(time.Second)
	if send(a, tickMsg{}) == seen {
		t.Error("still held back")
	}
	for range 10 * missedMost {
		pass(answerTime)
		send(a, tickMsg{})
	}
	if want := 1 + missedMost; out.asked() != want {
		t.Errorf("asked %d times, want %d", out.asked(), want)
	}
}

// Whoever has the terminal after the console gets no answer to a question of the console.
func TestNoAnswerIsLeftBehind(t *testing.T) {
	a, _, out, _ := linked(t)
	quit := tea.QuitMsg{}
	if got := a.link.beforeQuit(a, quit); got != tea.Msg(quit) {
		t.Errorf("%T, though nothing was asked", got)
	}
	a.link.wake()
	send(a, tickMsg{})
	if got := a.link.beforeQuit(a, quit); got != tea.Msg(restMsg{}) {
		t.Fatalf("%T, though an answer is on its way", got)
	}
	rested := make(chan struct{})
	go func() { defer close(rested); a.link.rest() }()
	send(a, uv.PrimaryDeviceAttributesEvent{62})
	<-rested
	if got := a.link.beforeQuit(a, quit); got != tea.Msg(quit) {
		t.Errorf("%T, though the answer has come", got)
	}
	for range 10 {
		_, _ = a.link.Write(make([]byte, askAfter))
	}
	if out.asked() != 1 {
		t.Errorf("asked %d times: the last bytes of a program that ends bring no question", out.asked())
	}
}
