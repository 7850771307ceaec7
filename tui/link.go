package tui

import (
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"
)

// link is the way to the terminal, which may be slow: what is written waits in the buffers of a
// pty and of SSH, a minute's worth of frames at 9,600 baud, and what a key does would wait behind
// it. So the terminal is asked after every so many bytes to say that it has come that far, and
// until it does no frame is drawn that no key asks for. The question is that for its primary
// device attributes (DA1, ECMA-48 8.3.24), which every terminal and multiplexer answers; where
// none does, nothing is held back.
type link struct {
	term.File
	now func() time.Time

	mu      sync.Mutex
	since   int           // bytes since the last question
	asked   time.Time     // when the question was put that has no answer yet; zero: none
	known   bool          // the terminal has answered the last question
	missed  int           // questions in a row without an answer
	resting bool          // nothing is asked: somebody else reads the answers
	news    chan struct{} // closed when the question has its answer
}

const (
	askAfter   = 1 << 8           // bytes between two questions: a quarter of a second at 9,600 baud
	answerTime = 30 * time.Second // a large frame at 9,600 baud takes this long
	missedMost = 3                // then the terminal counts as one that does not answer
	restTime   = 3 * time.Second  // that an answer is waited for before the terminal is given away; less where none may come
)

func newLink(file term.File, now func() time.Time) *link { return &link{File: file, now: now} }

// Write writes to the terminal and puts the question behind it where it is due.
func (l *link) Write(p []byte) (int, error) {
	n, err := l.File.Write(p)
	l.mu.Lock()
	l.since += n
	ask := err == nil && l.since >= askAfter && !l.pending() && !l.resting && l.missed < missedMost
	if ask {
		l.since, l.asked, l.news = 0, l.now(), make(chan struct{})
	}
	l.mu.Unlock()
	if ask {
		_, err = l.File.Write([]byte(ansi.RequestPrimaryDeviceAttributes))
	}
	return n, err
}

// pending tells whether an answer is waited for. One that has not come in time is no longer.
func (l *link) pending() bool {
	if l.asked.IsZero() {
		return false
	}
	if l.now().Sub(l.asked) < answerTime {
		return true
	}
	l.known = false
	l.missed++
	l.settle()
	return false
}

func (l *link) settle() {
	l.asked = time.Time{}
	close(l.news)
}

// answered takes the answer.
func (l *link) answered() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.asked.IsZero() {
		l.known, l.missed = true, 0
		l.settle()
	}
}

// busy tells whether what was written last has not got to the terminal yet, as far as it says.
func (l *link) busy() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending() && l.known
}

// rest has nothing asked from now on, and brings nil once no answer is on its way: whoever has
// the terminal next would take it for typed text.
func (l *link) rest() tea.Msg {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	l.resting = true
	pending, news, wait := l.pending(), l.news, restTime
	if !l.known {
		wait /= 6
	}
	l.mu.Unlock()
	if pending {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-news:
		case <-timer.C:
		}
	}
	return nil
}

// wake has the terminal asked again.
func (l *link) wake() {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.resting = false
	l.mu.Unlock()
}

// beforeQuit has the program end only when no answer is on its way (see rest).
func (l *link) beforeQuit(_ tea.Model, msg tea.Msg) tea.Msg {
	if _, quit := msg.(tea.QuitMsg); !quit {
		return msg
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.resting || !l.pending() {
		l.resting = true
		return msg
	}
	return restMsg{}
}

// restMsg ends the program once the terminal has answered.
type restMsg struct{}

// unasked tells whether a message brings what nobody is waiting for with a finger on a key.
func unasked(msg tea.Msg) bool {
	switch msg.(type) {
	case backendMsg, tickMsg, playMsg, sampledMsg, logNews:
		return true
	}
	return false
}
