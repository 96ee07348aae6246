#!/bin/sh
# Installs the servers and clients that the tests run against, where they are
# missing: as root on Debian by apt-get, elsewhere it prints what to install.
# It starts no daemon and touches neither /etc/ldap nor a running service: the
# tests start their own servers, as children, on loopback addresses.
set -eu
# The servers are in sbin, which is not on everybody's path.
PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin"

has() { command -v "$1" >/dev/null 2>&1; }

# there tells whether one of the files exists; a pattern that matches none is
# the name of none.
there() {
	for file; do [ ! -e "$file" ] || return 0; done
	return 1
}

# Without these there is no run.
needed=""
has make || needed="$needed make"
has cc || needed="$needed gcc libc6-dev" # the race detector links with cgo

# Without these the tests that talk to them skip.
wanted=""
has curl || wanted="$wanted curl"
has slapd || wanted="$wanted slapd"
has ldapsearch || wanted="$wanted ldap-utils"
has dnsmasq || wanted="$wanted dnsmasq-base"
# A domain controller. A Samba that only serves files has the program too, but
# not the modules of its database and not what a domain is made of.
has samba || wanted="$wanted samba-ad-dc winbind"
has samba-tool || wanted="$wanted samba-common-bin"
has ldbmodify || wanted="$wanted ldb-tools"
there /usr/lib/*/samba/ldb/samba_dsdb.so /usr/lib*/samba/ldb/samba_dsdb.so || wanted="$wanted samba-dsdb-modules"
there /usr/lib/*/samba/vfs/acl_xattr.so /usr/lib*/samba/vfs/acl_xattr.so || wanted="$wanted samba-vfs-modules"
there /usr/share/samba/setup/provision.ldif || wanted="$wanted samba-ad-provision"
# Node.js from elsewhere brings its own npm and conflicts with Debian's, so
# Debian's come only where there is no npm at all.
has npm || wanted="$wanted nodejs npm"

packages="$needed$wanted"
[ -n "$packages" ] || exit 0

if [ "$(id -u)" != 0 ] || ! has apt-get; then
	if [ -n "$wanted" ]; then
		echo "The tests that talk to real servers and clients skip what is missing here; by Debian's names:$wanted" >&2
	fi
	if [ -n "$needed" ]; then
		echo "make test cannot run without what is missing here; by Debian's names:$needed" >&2
		exit 1
	fi
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
