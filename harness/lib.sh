# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # variables are for the others
# Sourced by every script here: where things are, and how to fail in one line.

set -euo pipefail
export LC_ALL=C
# Options of the make that runs us, -s and -j, are not for those that we run.
unset MAKEFLAGS MFLAGS MAKELEVEL

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
HARNESS=$TOP/harness
BUILD=$TOP/build
LOG=$BUILD/log
mkdir -p "$LOG"

: "${KERNEL:=}" "${JOBS:=$(nproc)}" "${MEM:=2G}" "${SMP:=2}"
[ -z "$KERNEL" ] || KERNEL=$(realpath -m "$KERNEL")

# The kernel source that is built: the user's, or Debian's with the series.
TREE=${KERNEL:-$BUILD/linux}

say()
{
	printf '%s\n' "$*" >&2
}

die()
{
	say "error: $*"
	exit 1
}

# The build directory of a flavour (release or debug). A direct child of the
# source tree is compiled with relative paths, so that ccache knows the files
# of another clone.
flavour_dir()
{
	if [ -n "$KERNEL" ]; then
		echo "$BUILD/other${KERNEL//\//+}/$1"
	else
		echo "$TREE/$1"
	fi
}

# need_room GIGABYTES
need_room()
{
	local free

	free=$(df --output=avail -B1G "$BUILD" | tail -n 1)
	[ "$free" -ge "$1" ] ||
		die "no room: $((free)) GB free for $BUILD, $1 GB needed"
}

# Reports of a check: lines that harness/tap counts.
ok()
{
	echo "ok - $*"
}

not_ok()
{
	echo "not ok - $*"
}
