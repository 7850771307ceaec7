package lab

import (
	"io"
	"sync"
)

// spool writes in the background, in order: what is said with the world's lock held must
// not wait for someone who does not read, or for a cable that is cut.
type spool struct {
	to   io.Writer
	mu   sync.Mutex
	wake *sync.Cond
	data []byte
	over bool // nothing comes any more
	done chan struct{}
	err  error
}

func newSpool(to io.Writer) *spool {
	s := &spool{to: to, done: make(chan struct{})}
	s.wake = sync.NewCond(&s.mu)
	go s.pump()
	return s
}

func (s *spool) pump() {
	defer close(s.done)
	for {
		s.mu.Lock()
		for len(s.data) == 0 && !s.over && s.err == nil {
			s.wake.Wait()
		}
		data := s.data
		s.data = nil
		s.mu.Unlock()
		if len(data) == 0 {
			return
		}
		if _, err := s.to.Write(data); err != nil {
			s.mu.Lock()
			s.err, s.data = err, nil
			s.mu.Unlock()
			return
		}
	}
}

func (s *spool) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	s.data = append(s.data, p...)
	s.wake.Signal()
	return len(p), nil
}

// flush waits until all is written, or cannot be. Nothing may be written after it.
func (s *spool) flush() {
	s.mu.Lock()
	s.over = true
	s.wake.Signal()
	s.mu.Unlock()
	<-s.done
}
