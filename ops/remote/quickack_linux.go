package remote

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// quickAck makes a connection acknowledge at once whatever it has read. sshd leaves Nagle's
// algorithm on unless there is a terminal (set_nodelay in OpenSSH's packet.c): its second
// small packet waits for the acknowledgement of the first, which the kernel holds back for
// 40 ms. A login and the end of each command ran into that. The option does not stay on,
// tcp(7), so it is set after every read; 0.3 µs.
func quickAck(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	return &quickAckConn{tcp, raw}
}

type quickAckConn struct {
	*net.TCPConn
	raw syscall.RawConn
}

func (c *quickAckConn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	if err == nil {
		// Without it all is slower and nothing is wrong.
		_ = c.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
	}
	return n, err
}
