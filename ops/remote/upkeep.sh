# What the package manager of a host did, is doing and would do: parts that begin with a
# line "@name", in one go, without root and without a lock. A part that is a command's
# output ends with "@status" and its exit status. The last line is "@end".
# $@: the names of the packages to look for.
PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL

part() { # name, command...: what it says, and how it ended
	echo "@$1"
	shift
	"$@" 2>&1 < /dev/null
	printf '\n@status %s\n' "$?"
}

# Who holds a lock of a package manager: dpkg, apt and rpm lock with fcntl(2), which
# /proc/locks tells anybody with the inode; fuser would need root.
busy() {
	echo "@busy"
	ids=" $(stat -c %i /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock \
		/var/lib/rpm/.rpm.lock /usr/lib/sysimage/rpm/.rpm.lock 2>/dev/null | tr '\n' ' ')"
	while read -r _ _ _ mode pid where _; do
		case $ids in
		*" ${where##*:} "*)
			name=
			[ "$mode" = WRITE ] && { read -r name < "/proc/$pid/comm"; echo "$pid $name"; }
			;;
		esac
	done < /proc/locks 2>/dev/null
}

# A log, and its rotations from the newest on.
history() { # file
	if ! [ -r "${1%/*}" ] || ! [ -x "${1%/*}" ]; then
		[ -e "${1%/*}" ] && echo "@hidden $1"
		return
	fi
	for file in "$1" "$1.1" "$1.1.gz" "$1.2.gz" "$1.3.gz" "$1.4.gz" "$1.5.gz" "$1.6.gz"; do
		[ -e "$file" ] || continue
		if ! [ -r "$file" ]; then
			echo "@hidden $file"
			continue
		fi
		echo "@history $file"
		case $file in
		*.gz) { zcat "$file" 2>/dev/null || printf '\n@torn\n'; } | tail -c 262144 ;;
		*) tail -c 262144 "$file" || printf '\n@torn\n' ;;
		esac
		echo
	done
}

if command -v apt-get >/dev/null 2>&1; then
	manager=apt
elif command -v dnf >/dev/null 2>&1; then
	manager=dnf
elif command -v yum >/dev/null 2>&1; then
	manager=yum
else
	manager=
fi
echo "@manager $manager"

# apt's log has local times without a zone: the zone's own file has every change of its
# offset, which a name or the offset of today has not.
if [ -e /etc/localtime ]; then
	part zone base64 /etc/localtime
	echo "@zone_name $(readlink /etc/localtime)"
else
	echo "@zone_name UTC" # as the C library has it
fi

busy
case $manager in
apt)
	history /var/log/apt/history.log
	# What apt-mark holds is what dpkg is wanted to hold: the first letter of its states.
	part states dpkg-query -W -f '${db:Status-Abbrev}|${Package}\n'
	part pending apt-get -s -o Debug::NoLocking=1 upgrade
	# What a refresh would ask for: with --print-uris it asks nobody and changes nothing.
	part sources apt-get -o Debug::NoLocking=1 --print-uris update
	# When a source answered is the last change of its InRelease, for apt gives the file
	# itself the server's date; the change of partial is when apt began to ask.
	part lists stat -c '%Z %n' /var/lib/apt/lists/partial /var/lib/apt/lists/*Release /var/lib/apt/periodic/update-success-stamp
	part offered apt-cache madison "$@"
	echo "@kept"
	for name; do
		for file in "/var/cache/apt/archives/${name}_"*.deb; do
			[ -e "$file" ] && echo "${file##*/}"
		done
	done
	;;
dnf|yum)
	history /var/log/dnf.rpm.log
	echo "@commands"
	grep -h ' Command: ' /var/log/dnf.log.1 /var/log/dnf.log 2>/dev/null | tail -n 500
	echo "@locked"
	cat /etc/dnf/plugins/versionlock.list /etc/yum/pluginconf.d/versionlock.list 2>/dev/null
	;;
esac
busy # twice: what began meanwhile has not ended in the log
printf '\n@end\n'
