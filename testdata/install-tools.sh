#!/bin/sh
# Installs the Debian packages of testdata/packages.txt, for `make test`.
set -eu
cd "$(dirname "$0")/.."
packages=$(sed 's/#.*//' testdata/packages.txt)
missing=""
for p in $packages; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q "install ok installed" || missing="$missing $p"
done
if ! command -v apt-get >/dev/null; then
	echo "no apt-get here: the tests that need other tools will fail:$missing" >&2
	exit 0
fi
sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
# The package lists are needed to fetch test data, too.
$sudo apt-get -q -o DPkg::Lock::Timeout=240 update || $sudo apt-get -q -o DPkg::Lock::Timeout=240 update
[ -z "$missing" ] && exit 0
install() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=240 $missing; }
install || install
