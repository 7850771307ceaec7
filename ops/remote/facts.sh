# What tandem wants to know of a host, as key=value lines, in one go and without root. What
# the shell can do itself it does: each program started costs about 5 ms.
# $1: "path mtime" of a compose program whose version is known already, or empty; then the
# names of the packages to look for.
# Programs that a host lacks leave their line out. The last line is end=1.
PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL
known=${1:-}
shift

line() { # key, file: its first line; read is built in and costs no process
	if [ -r "$2" ] && read -r text < "$2"; then echo "$1=$text"; fi
}

date +clock=%s.%N
echo "user=${USER:-$(id -un)}"
line kernel /proc/sys/kernel/osrelease
line boot_id /proc/sys/kernel/random/boot_id
line uptime /proc/uptime
line load /proc/loadavg
line cpus /sys/devices/system/cpu/online
[ -r /proc/meminfo ] && while read -r name value unit; do
	case $name in MemTotal:|MemAvailable:) echo "mem=$name$value" ;; esac
done < /proc/meminfo
dir=/var/lib/docker
[ -e "$dir" ] || dir=/
stat -f -c 'disk=%S %b %f %c %d' "$dir" 2>/dev/null
[ -r /etc/os-release ] && while read -r text; do
	case $text in PRETTY_NAME=*) echo "os=${text#PRETTY_NAME=}" ;; esac
done < /etc/os-release
[ -e /var/run/reboot-required ] && echo "reboot_required=1"

# Packages.
pkgs=
if command -v dpkg-query >/dev/null 2>&1; then
	pkgs=$(dpkg-query -W -f 'pkg=${db:Status-Abbrev}|${Package}|${Version}\n' "$@" 2>/dev/null)
elif command -v rpm >/dev/null 2>&1; then
	pkgs=$(rpm -q --qf 'pkg=ii |%{NAME}|%{VERSION}-%{RELEASE}\n' "$@" 2>/dev/null)
fi
echo "$pkgs"

# What a package manager writes when it has done something, and nothing else does: its own
# record, the log, the lists and which packages came by themselves. dpkg and apt put new
# files in the place of the old: the inode tells what two changes in one second would not.
stat -c 'packaging=%n %i %s %Y' /var/lib/dpkg/status /var/log/apt/history.log /var/lib/apt/lists /var/lib/apt/extended_states \
	/var/lib/rpm/Packages /var/lib/rpm/rpmdb.sqlite /usr/lib/sysimage/rpm/rpmdb.sqlite /var/lib/dnf/history.sqlite 2>/dev/null

# The engine's process and the programs it is made of: the parser compares their ages.
pid=
if ! { [ -r /var/run/docker.pid ] && read -r pid < /var/run/docker.pid; } && [ -z "$pid" ]; then
	pid=$(pidof dockerd 2>/dev/null)
	pid=${pid%% *}
fi
if [ -n "$pid" ] && [ -r "/proc/$pid/stat" ]; then
	line engine_stat "/proc/$pid/stat"
	bin=$(command -v dockerd)
	if [ -n "$bin" ]; then
		# The link to a process's binary is for its owner only; it works when that was deleted.
		[ -e "/proc/$pid/exe" ] && ! [ "/proc/$pid/exe" -ef "$bin" ] && echo engine_replaced=1
		stat -Lc 'born=%W %Z %n' "$bin" "$(command -v containerd)" "$(command -v runc)" 2>/dev/null
	fi
fi

# Compose: the plugin alone where there is one, as `docker compose` is what tandem tries first. A package
# tells its version; asking the program costs 50 ms (Go) to 600 ms (Python), so a version
# that is known for this very file is not asked for again.
version() { # how, path
	id="$2 $(stat -Lc %Y "$2" 2>/dev/null)"
	echo "$1=$id"
	[ "$id" = "$known" ] || echo "$1_version=$("$2" version --short 2>/dev/null)"
}
plugin=
case $pkgs in
*'|docker-compose-plugin|'*|*'|docker-compose-v2|'*) plugin=1 ;;
*)
	for dir in "$HOME/.docker" /usr/local/lib/docker /usr/local/libexec/docker /usr/lib/docker /usr/libexec/docker; do
		if [ -x "$dir/cli-plugins/docker-compose" ]; then
			plugin=1
			version plugin "$dir/cli-plugins/docker-compose"
			break
		fi
	done
	;;
esac
bin=$(command -v docker-compose)
if [ -z "$plugin" ] && [ -n "$bin" ]; then
	dist=
	for d in /usr/local/lib/python3*/*-packages/docker_compose-*-info /usr/lib/python3*/*-packages/docker_compose-*-info \
		/opt/*/lib/python3*/*-packages/docker_compose-*-info /usr/local/lib/python2*/*-packages/docker_compose-*-info; do
		[ -e "$d" ] && dist=$d && break
	done
	case $bin,$pkgs in
	/usr/bin/docker-compose,*'|docker-compose|'*) echo "standalone=$bin" ;;
	*)
		if [ -n "$dist" ]; then
			echo "standalone=$bin"
			echo "standalone_dist=${dist##*/}"
		else
			version standalone "$bin"
		fi
		;;
	esac
fi

# The mark of a run.
if [ -d /var/lib/tandem/lock ]; then
	echo "lock_held=1"
	while read -r text || [ -n "$text" ]; do echo "lock=$text"; done < /var/lib/tandem/lock/owner.json 2>/dev/null
fi
echo "end=1"
