package lab

import (
	"io"
	"slices"
	"sync"
)

// streaming are the programs whose output is to come as it is made: they run others, or pass
// on what they read, and say nothing while they hold the world's lock.
var streaming = []string{"cat", "tee", "dd", "sudo", "sh", "bash", "env", "nohup", "setsid", "timeout", "flock", "sleep", "docker", "docker-compose"}

// late makes a program write when it is over, or when it waits. It may say something while it
// holds the world's lock, and what it says may go into a file of the host, which needs that
// lock too.
func late(run func(*call) int) func(*call) int {
	return func(c *call) int {
		var q queue
		next := *c
		next.stdout, next.stderr, next.flush = &end{&q, c.stdout}, &end{&q, c.stderr}, q.flush
		defer q.flush()
		return run(&next)
	}
}

// queue is what was said and not yet written, in order.
type queue struct {
	mu   sync.Mutex
	said []saying
}

type saying struct {
	to   io.Writer
	text []byte
}

func (q *queue) flush() {
	q.mu.Lock()
	said := q.said
	q.said = nil
	q.mu.Unlock()
	for _, s := range said {
		if _, err := s.to.Write(s.text); err != nil {
			return // nobody reads any more
		}
	}
}

// end is one way into a queue.
type end struct {
	q  *queue
	to io.Writer
}

func (e *end) Write(p []byte) (int, error) {
	e.q.mu.Lock()
	defer e.q.mu.Unlock()
	e.q.said = append(e.q.said, saying{e.to, slices.Clone(p)})
	return len(p), nil
}
