// Package remote is one machine over SSH: it implements [ops.Host] and [ops.Engine].
//
// # One connection
//
// A [Host] holds one SSH connection, direct or through jump hosts. It is made at the first
// use and kept from then on: a watchdog sends keepalives and closes a connection that does
// not answer three of them, and a lost connection is made anew in the background after 1 s,
// doubling to 30 s, with jitter. While it waits, every call returns at once with the last
// reason and the time of the next try, wrapped in [ops.ErrUnreachable]. The waits also
// respect sshd's PerSourcePenalties (OpenSSH 9.8), which punish hasty clients.
//
// golang.org/x/crypto/ssh knows no deadlines: a handshake with a machine that accepts TCP
// and then says nothing would hang for ever, and so would opening a channel on a frozen
// one. So every blocking call here is either ended by closing the TCP connection or is left
// behind in a goroutine that ends with the connection.
//
// sshd allows 10 sessions on a connection (MaxSessions); at most 3 commands run at once,
// at most 6 sessions carry the Docker API where it cannot be forwarded, and one is the
// operator's shell. Forwarded channels are not sessions and are not counted.
//
// # Keys
//
// Host keys are looked up in known_hosts and never accepted silently: an unknown or changed
// key is refused with its fingerprint and the command that mends it. The files are read
// anew at every connect. The operator's keys come from the agent first (with it,
// certificates and hardware keys), then from identity files. A passphrase is asked for
// once in a process for each file, three times where it is mistyped, and only when the host
// has said that it would accept the key.
//
// From ~/.ssh/config these are used: HostName, Port, User, IdentityFile, IdentitiesOnly,
// IdentityAgent, ProxyJump, HostKeyAlias, UserKnownHostsFile, GlobalKnownHostsFile, with
// the tokens %h %n %p %r %u %d %% and ~. "Match exec" is not understood by the reader
// (kevinburke/ssh_config) and is an error.
//
// # Commands
//
// SSH carries a command as one string for the login shell, which must be a POSIX shell.
// Every argument is quoted, so it arrives as it is. Privileged commands go through
// `sudo -n --` unless the user is root or the target says otherwise.
//
// # The Docker Engine
//
// The API goes through direct-streamlocal@openssh.com to the socket. Where that is refused,
// one command on the host finds out why, for sshd says the same "open failed" whether the
// socket is missing, forbidden, dead or forwarding is off; then `docker system dial-stdio`
// in a session is used where it can help, under sudo where the user may not use the socket.
//
// API version negotiation happens once in the life of a Docker client. So a new client is
// made after every reconnect, after every broken request and whenever the engine's Server
// header changes. The client (github.com/docker/docker v28.5.2) speaks to engines from
// 18.09 (API 1.39) to 29.
//
// # The package manager
//
// [Host.Upkeep] runs one fixed script (upkeep.sh) that needs no root, takes no lock and
// changes nothing. What it cannot read it names in Unread. How it knows, tried with apt 1.6,
// 2.6 and 3.0:
//
//   - apt's history.log has local times without a zone. The zone's own file comes along, so
//     that each date gets the offset that it had; the hour that autumn has twice is taken
//     for the other one.
//   - At most 256 KiB are read of the log and of each of its six newest rotations.
//   - Who is at work is who holds a lock of dpkg, apt or rpm: /proc/locks tells anybody.
//   - A source gave no answer to the last refresh if its InRelease is missing, or was last
//     changed (ctime) more than ten minutes before apt began to ask (the ctime of
//     lists/partial): apt changes the file of every signed source that answers, even if
//     that says that nothing is new. The date of the file's content is the server's.
//   - What an upgrade would do is apt-get -s upgrade, and is taken for an answer only if
//     the sum at its end agrees with its lines.
//
// Of dnf 4 the logs are read. A compose from pip or a download leaves no log, and nothing
// is said of it.
//
// # Read-only
//
// There is one gate: commands that say that they change something, file writes, shells, and
// every HTTP request to the engine other than GET and HEAD pass through it. The connection of
// a shell in a container is taken over from such a request, behind the gate.
//
// All errors for the operator are [*ops.Problem]. They wrap [ops.ErrUnreachable] (no
// connection, or no answer in time), [ops.ErrNotPermitted] (sudo, the socket),
// [ops.ErrReadOnly], [fs.ErrNotExist] (no such file, container, image or network) and
// [fs.ErrExist] (a network of that name is there already).
package remote
