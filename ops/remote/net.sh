# What decides whether an address range is free on a host, in parts that begin with a line
# "@name", in one go and without root. The last line is "@end".
# $1: "path mtime" of a dockerd of which it is known whether it can check a config file, or
# empty: asking the program costs 100 ms.
PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL

echo "@ssh $SSH_CONNECTION"

# Addresses and routes. Without ip, or with one that knows less, the kernel's own tables.
if addresses=$(ip -o addr show 2>/dev/null) && routes=$(ip -4 route show table all 2>/dev/null) &&
	{ routes6=$(ip -6 route show table all 2>/dev/null) || ! [ -e /proc/net/if_inet6 ]; }; then
	printf '@addresses\n%s\n@routes\n%s\n%s\n' "$addresses" "$routes" "$routes6"
else
	echo @route
	cat /proc/net/route
	echo @ipv6_route
	[ -e /proc/net/ipv6_route ] && cat /proc/net/ipv6_route
fi

echo @resolvers
[ -r /etc/resolv.conf ] && cat /etc/resolv.conf
echo
echo @uplinks
[ -r /run/systemd/resolve/resolv.conf ] && cat /run/systemd/resolve/resolv.conf
echo

pid=
if ! { [ -r /var/run/docker.pid ] && read -r pid < /var/run/docker.pid; } && [ -z "$pid" ]; then
	pid=$(pidof dockerd 2>/dev/null)
	pid=${pid%% *}
fi
echo @flags
[ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] && tr '\0' '\n' < "/proc/$pid/cmdline"
echo
bin=$(command -v dockerd)
if [ -n "$bin" ]; then
	id="$bin $(stat -Lc %Y "$bin" 2>/dev/null)"
	echo "@dockerd $id"
	if [ "$id" != "${1:-}" ]; then
		validates=no
		"$bin" --help 2>/dev/null | grep -q -e --validate && validates=yes
		echo "@validates $validates"
	fi
fi

# The config file as it is, to the last byte, so it comes last.
file=/etc/docker/daemon.json
if [ -r "$file" ]; then
	echo "@daemon file"
	head -c 65537 "$file"
elif [ -e "$file" ] || { [ -d /etc/docker ] && ! [ -x /etc/docker ]; }; then
	echo "@daemon hidden"
else
	echo "@daemon none"
fi
printf '\n@end\n'
