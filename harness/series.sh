# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The series: the file `series` names the steps, one patch file each, in
# patches/ or at the top. A step is a mail-like text:
#
#	Subject: sched/core: Do this
#
#	Why.
#
#	New-file: kernel/new.c
#	---
#	diff --git a/kernel/old.c b/kernel/old.c
#	...
#
# New files stand in this repository at their kernel paths; a directory named
# by New-file: is all tracked files below it.

# The patch files, in order
series_steps()
{
	local name

	[ -f "$TOP/series" ] || return 0
	while read -r name _; do
		case $name in
		'' | '#'*) continue ;;
		esac
		if [ -f "$TOP/patches/$name" ]; then
			echo "$TOP/patches/$name"
		elif [ -f "$TOP/$name" ]; then
			echo "$TOP/$name"
		else
			die "series: no file $name in patches/"
		fi
	done <"$TOP/series"
}

# The parts of a step
step_subject()
{
	sed -n '/^---$/q; s/^Subject: *//p' "$1"
}

step_body()
{
	sed '/^---$/,$d; /^Subject:/d; /^New-file:/d' "$1" | cat -s
}

step_diff()
{
	sed '1,/^---$/d' "$1"
}

# The existing files that a step edits
step_edits()
{
	step_diff "$1" | sed -n 's,^diff --git a/\(.*\) b/.*,\1,p'
}

# The New-file: lines of a step, as written
step_new_names()
{
	sed -n '/^---$/q; s/^New-file: *//p' "$1"
}

# The files that a step adds
step_new()
{
	local name files

	step_new_names "$1" | while read -r name; do
		files=$(git -c safe.directory="$TOP" -C "$TOP" ls-files -- "$name")
		[ -n "$files" ] || die "$(basename "$1"): New-file: $name is not tracked here"
		printf '%s\n' "$files"
	done
}

# each COMMAND...: what COMMAND prints for every step
each()
{
	local steps step

	steps=$(series_steps)
	for step in $steps; do
		"$@" "$step"
	done
}

# step_apply STEP DIR: a step onto the files in DIR. No fuzz. On failure
# prints what does not fit.
step_apply()
{
	local said new file

	if [ -n "$(step_edits "$1")" ]; then
		said=$(step_diff "$1" |
		       patch -d "$2" -p1 -F0 -N -r - --no-backup-if-mismatch 2>&1) || {
			echo "$(basename "$1"):" \
				"$(awk '/^patching file/ { file = $3 }
				        /FAILED at|previously applied|mismatch|malformed/ { printf "%s%s: %s", sep, file, $0; sep = "; " }' <<<"$said")"
			return 1
		}
	fi
	new=$(step_new "$1") || return 1
	for file in $new; do
		install -D -m "$(stat -c %a "$TOP/$file")" "$TOP/$file" "$2/$file"
	done
}

# stage FROM TO: the files of the series, made in TO from the originals in
# FROM. On failure prints why.
stage()
{
	local steps step edits file

	steps=$(series_steps) || return 1
	mkdir -p "$2"
	for step in $steps; do
		edits=$(step_edits "$step")
		for file in $edits; do
			[ -f "$1/$file" ] || {
				echo "$(basename "$step"): no file $file there"
				return 1
			}
			install -D -m "$(stat -c %a "$1/$file")" "$1/$file" "$2/$file"
		done
		step_apply "$step" "$2" || return 1
	done
}

# git_am DIR: the mails in build/patches onto the files in DIR
git_am()
(
	git=(env GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
	     git -c user.name=check -c user.email=check@localhost)
	cd "$1" || exit
	{
		"${git[@]}" init -q && "${git[@]}" add -Af && "${git[@]}" commit -qm base &&
		find "$BUILD/patches" -name '*.patch' ! -name '0000-*' | sort | xargs cat |
		"${git[@]}" am -q
	} 2>&1
	status=$?
	rm -rf .git
	exit $status
)
