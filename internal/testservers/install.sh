#!/bin/sh
# Installs the servers and clients that the tests run against, where they are
# missing: as root on Debian by apt-get, elsewhere it prints what to install.
# It starts no daemon and touches neither /etc/ldap nor a running service: the
# tests start their own servers, as children, on free ports of 127.0.0.1.
set -eu
# The servers are in sbin, which is not on everybody's path.
PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin"

packages=""
need() { # need COMMAND PACKAGE...: the packages, unless the command is there
	wanted="$1"
	shift
	command -v "$wanted" >/dev/null 2>&1 || packages="$packages $*"
}

need make make
need cc gcc libc6-dev # the race detector links with cgo
need curl curl
need slapd slapd
need ldapsearch ldap-utils
# Node.js from elsewhere brings its own npm and conflicts with Debian's, so
# Debian's come only where there is no npm at all.
need npm nodejs npm

[ -n "$packages" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "The tests need what is missing here; by Debian's names:$packages" >&2
	echo "Without it the tests that talk to real servers skip." >&2
	if [ "${CI:-}" = true ]; then exit 1; fi # CI skips nothing
	exit 0
fi

# Debian's packages start their daemons. A policy-rc.d that answers 101 forbids
# it for as long as this script runs.
policy=/usr/sbin/policy-rc.d
restore() {
	rm -f "$policy"
	if [ -e "$policy.gatehouse" ]; then mv "$policy.gatehouse" "$policy"; fi
}
[ ! -e "$policy" ] || mv "$policy" "$policy.gatehouse"
trap restore EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

echo "installing$packages" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get -o DPkg::Lock::Timeout=120 -q update </dev/null
# shellcheck disable=SC2086 # a list of packages
apt-get -o DPkg::Lock::Timeout=120 -qy install --no-install-recommends $packages </dev/null
