# SPDX-License-Identifier: GPL-2.0
# What the benchmark has measured, from the lines of asys-bench, each with the
# member "run" put in front: icount, wall or unpatched. -v form= says as what:
# table for the terminal, rst and svg for the documentation, json for programs.
# -v about= is a line on what was run where; -v smp=: the CPUs of the wall run;
# -v partial=1: not all rows are there.

function get(name,   s)
{
	if (!match($0, "\"" name "\": "))
		return ""
	s = substr($0, RSTART + RLENGTH)
	if (substr(s, 1, 1) == "\"") {
		s = substr(s, 2)
		sub(/".*/, "", s)
	} else {
		sub(/[,}].*/, "", s)
	}
	return s
}

# Why a target was missed: see there.
FILENAME ~ /reasons$/ {
	if (/^#/)
		next
	if (/^$/) {
		empty++
		next
	}
	if (/^\t/) {
		for (; empty; empty--)
			reason[key] = reason[key] "\n"
		reason[key] = reason[key] "\n" substr($0, 2)
		next
	}
	empty = 0
	match($0, /:( |$)/)
	key = substr($0, 1, RSTART - 1)
	reason[key] = substr($0, RSTART + RLENGTH)
	keys[++nr_keys] = key
	next
}

/^\{/ {
	line[++lines] = $0
	run = get("run")
	row = get("row")
	if (run == "unpatched")
		sub(/before/, "unpatched", row)
	if (!((run, row) in seen)) {
		seen[run, row] = 1
		rows[run, ++nr_rows[run]] = row
	}
	peer = get("peer")
	# None, if it has failed
	if (get("unit") != "")
		unit[run, row] = get("unit")
	v[run, row, peer] = get("busy")
	low[run, row, peer] = get("low")
	high[run, row, peer] = get("high")
	elapsed[run, row, peer] = get("elapsed")
}

function least(a, b)
{
	if (a == "" || b == "")
		return a b
	return a + 0 < b + 0 ? a : b
}

# The better mode or size of a peer
function better(run, row, peer,   other)
{
	if (peer == "io_uring")
		other = "io_uring-defer"
	else if (peer == "threads") {
		peer = "threads-4"
		other = "threads-32"
	} else
		return peer
	if (v[run, row, other] == "")
		return peer
	return v[run, row, peer] == least(v[run, row, peer], v[run, row, other]) ? peer : other
}

function best(run, row, peer)
{
	return v[run, row, better(run, row, peer)]
}

# How far the processes of a figure are apart, in percent; of those of a row, the
# most
function spread(run, row,   i, n, peer, peers, x, most)
{
	most = ""
	n = split("plain io_uring libaio threads asys", peers, " ")
	for (i = 1; i <= n; i++) {
		peer = better(run, row, peers[i])
		if (!v[run, row, peer])
			continue
		x = 100 * (high[run, row, peer] - low[run, row, peer]) / v[run, row, peer]
		if (most == "" || x > most)
			most = x
	}
	return most == "" ? "-" : sprintf("%.1f", most)
}

function number(x)
{
	return x == "" ? "-" : sprintf("%.0f", x)
}

function ratio(a, b)
{
	return a == "" || b == "" || !b ? "" : a / b
}

function share(x)
{
	return x == "" ? "-" : sprintf("%.2f", x)
}

# One line of figures, with columns that a simple table of reStructuredText has
function figures(run, row,   a)
{
	a = best(run, row, "asys")
	printf "%-30s %8s %9s %8s %8s %8s", row, number(best(run, row, "plain")),
		number(best(run, row, "io_uring")), number(best(run, row, "libaio")),
		number(best(run, row, "threads")), number(a)
	if (!short)
		printf " %6s %9s %7s %8s", share(ratio(a, best(run, row, "plain"))),
			share(ratio(a, best(run, row, "io_uring"))),
			share(ratio(a, best(run, row, "libaio"))),
			share(ratio(a, best(run, row, "threads")))
	printf " %6s\n", spread(run, row)
}

function rule()
{
	print "============================== ======== ========= ======== ======== ========" \
		(short ? "" : " ====== ========= ======= ========") " ======"
}

# Those of the wall run are of time: without the row for memory
function table(run,   i)
{
	printf "%-30s %8s %9s %8s %8s %8s", "operation", "plain", "io_uring", "libaio",
		"threads", "asys"
	if (!short)
		printf " %6s %9s %7s %8s", "/plain", "/io_uring", "/libaio", "/threads"
	printf " %6s\n", "spread"
	if (form == "rst")
		rule()
	for (i = 1; i <= nr_rows[run]; i++)
		if (run != "wall" || unit[run, rows[run, i]] == "ns")
			figures(run, rows[run, i])
}

# Reasons

function complain(what)
{
	print "bench/reasons: " what >"/dev/stderr"
}

# {plain/io_uring}: their ratio in the row; {row: plain/io_uring}: in another row;
# {plain}: the figure
function figure(what, row,   at, peers, n, a)
{
	at = index(what, ": ")
	if (at) {
		row = substr(what, 1, at - 1)
		what = substr(what, at + 2)
	}
	n = split(what, peers, "/")
	if (what !~ /^(plain|io_uring|libaio|threads|asys)(\/(plain|io_uring|libaio|threads|asys))?$/) {
		complain("no figure " what)
		return "{" what "}"
	}
	a = best("icount", row, peers[1])
	return n == 1 ? number(a) : share(ratio(a, best("icount", row, peers[2])))
}

function filled(text, row,   done)
{
	while (match(text, /[{][^{}]*[}]/)) {
		done = done substr(text, 1, RSTART - 1) \
			figure(substr(text, RSTART + 1, RLENGTH - 2), row)
		text = substr(text, RSTART + RLENGTH)
	}
	return done text
}

# What a reason says in a cell of the table: all, if that is not long
function cell(text)
{
	return text ~ /\n/ || length(text) > 48 ? "see below" : text
}

# Print a paragraph.
function wrapped(text, indent,   i, n, words, line)
{
	n = split(text, words, " ")
	line = indent words[1]
	for (i = 2; i <= n; i++) {
		if (length(line " " words[i]) > 80) {
			print line
			line = indent words[i]
		} else {
			line = line " " words[i]
		}
	}
	print line
}

# The other reasons, each once: those of a line wrapped, those of several as they
# stand
function print_reasons(   i, k, n, key, lines_of)
{
	for (i = 1; i <= nr_keys; i++) {
		key = keys[i]
		if (!(key in used) || cell(used[key]) == used[key])
			continue
		print "\n" key
		if (used[key] ~ /\n/) {
			n = split(used[key], lines_of, "\n")
			for (k = 1; k <= n; k++) {
				sub(/[ \t]+$/, "", lines_of[k])
				# A first line may be empty
				if (k > 1 || lines_of[k] != "")
					print lines_of[k] == "" ? "" : "  " lines_of[k]
			}
			continue
		}
		wrapped(used[key], "  ")
	}
}

# Each reason is for a target, and asks for figures that there are.
function check_reasons(   i, known)
{
	for (i = 1; i <= targets; i++) {
		known[t_what[i]] = t_row[i]
		known[t_row[i]] = t_row[i]
	}
	for (i = 1; i <= nr_keys; i++) {
		if (keys[i] in known)
			filled(reason[keys[i]], known[keys[i]])
		else
			complain("no target " keys[i])
	}
}

# Targets: a value that is to be at most a limit, or below it. It is the figure of
# a peer in a run and row, or its ratio to another one. From @lowest to @highest is
# what it could be, by what the processes have found.

function meets(value, limit, below)
{
	return below ? value < limit : value <= limit
}

function target(what, row, value, lowest, highest, limit, below,   key)
{
	if (value == "" && partial)
		return
	targets++
	t_what[targets] = what
	t_row[targets] = row
	t_limit[targets] = (below ? "below " : "at most ") sprintf(limit < 10 ? "%.3f" : "%.0f", limit)
	sub(/0$/, "", t_limit[targets])
	t_value[targets] = value == "" ? "-" : sprintf(limit < 10 ? "%.3f" : "%.0f", value)
	t_met[targets] = value == "" ? "no figure" : meets(value, limit, below) ? "met" : "missed"
	t_result[targets] = t_met[targets]
	t_spread[targets] = value ? sprintf("%.1f", 100 * (1 - lowest / value)) : ""
	if (t_met[targets] == "met") {
		met++
		if (!meets(highest, limit, below))
			barely_met++
		return
	}
	if (t_met[targets] == "no figure")
		return
	if (meets(lowest, limit, below)) {
		barely_missed++
		t_barely[targets] = 1
		t_result[targets] = "missed, within the spread of " t_spread[targets] " %"
	}
	key = what in reason ? what : row
	if (key in reason) {
		used[key] = filled(reason[key], row)
		t_reason[targets] = used[key]
	}
}

function compare(what, limit, below, row, peer, other_run, other_row, other,   a, b)
{
	a = "icount" SUBSEP row SUBSEP better("icount", row, peer)
	b = other_run SUBSEP other_row SUBSEP better(other_run, other_row, other)
	target(what, row, ratio(v[a], v[b]), ratio(low[a], high[b]),
	       ratio(high[a], low[b]), limit, below)
}

# asys, of another peer in the same row
function of(row, peer, limit, below)
{
	compare(row ", of " peer, limit, below, row, "asys", "icount", row, peer)
}

function find_targets(   n, list, i, row, limit)
{
	n = split("getppid;statx;openat+close;getdents64;readlinkat;faccessat;unlinkat;" \
		  "renameat;mkdirat;getxattr;fsync;pread tmpfs;pread ext4;pwrite ext4;" \
		  "random write 1 KiB, depth 32;tree walk, cached", list, ";")
	for (i = 1; i <= n; i++)
		of(list[i], "plain", 1.00)
	n = split("statx;openat+close;openat+close, chain;unlinkat;renameat;mkdirat;getxattr;" \
		  "fsync;pread tmpfs;pread ext4;pwrite ext4;random write 1 KiB, depth 32",
		  list, ";")
	for (i = 1; i <= n; i++)
		of(list[i], "io_uring", 1.00, 1)
	split("statx unlinkat renameat mkdirat getxattr fsync", list, " ")
	split("0.45 0.65 0.65 0.65 0.45 0.25", limit, " ")
	for (i = 1; i <= 6; i++)
		of(list[i], "io_uring", limit[i])
	of("pread tmpfs", "io_uring", 0.60)
	of("pread tmpfs", "libaio", 0.95)
	of("nop", "plain", 0.70)
	of("nop", "io_uring", 1.00, 1)
	n = split("softirq,10 us", list, ",")
	for (i = 1; i <= n; i++) {
		row = "null_blk " list[i] ", depth "
		of(row "1", "io_uring", 1.15)
		of(row "8", "io_uring", 1.00)
		of(row "32", "io_uring", 1.00)
		of(row "128", "io_uring", 1.00)
		of("null_blk " list[i] ", adjacent, 32", "io_uring", 1.00)
	}
	of("pipe read that sleeps", "io_uring", 1.00)
	of("socket read that sleeps", "io_uring", 1.00)
	row = "block and wake, 100000 asleep"
	compare(row ", of 10 asleep", 1.2, 0, row, "asys",
		"icount", "block and wake, 10 asleep", "asys")
	row = "memory of a sleeping call"
	i = "icount" SUBSEP row SUBSEP "asys"
	target(row ", bytes", row, v[i], low[i], high[i], 16384 + 512)
	if (nr_rows["unpatched"] || !partial) {
		split("before after", list, " ")
		for (i = 1; i <= 2; i++) {
			row = "ping-pong, " list[i]
			compare(row ", of unpatched", 1.005, 0, row, "plain",
				"unpatched", "ping-pong, unpatched", "plain")
		}
	}
}

function print_targets(   i, line)
{
	for (i = 1; i <= targets; i++) {
		line = sprintf("%-45s %-14s %-7s %-36s %s", t_what[i], t_limit[i], t_value[i],
			       t_result[i], form == "rst" ? cell(t_reason[i]) : "")
		sub(/ +$/, "", line)
		print line
	}
}

# How many are met, and of how many the processes do not agree
function count()
{
	return sprintf("%d of %d are met, %d of them by less than the spread.\n" \
		       "%d of the others are missed by less than the spread.",
		       met, targets, barely_met, barely_missed)
}

function as_table()
{
	if (nr_rows["icount"]) {
		print "instructions per operation, on one CPU"
		table("icount")
		for (i = 1; i <= nr_rows["unpatched"]; i++)
			figures("unpatched", rows["unpatched", i])
	}
	if (nr_rows["wall"]) {
		printf "\nnanoseconds per operation, on %d CPUs, emulated: for orientation only\n", smp
		table("wall")
	}
	if (targets) {
		print "\ntargets"
		print_targets()
		print count()
	}
}

function quoted(s)
{
	gsub(/\\/, "\\\\", s)
	gsub(/"/, "\\\"", s)
	gsub(/\n/, "\\n", s)
	gsub(/\t/, "\\t", s)
	return "\"" s "\""
}

function as_json(   i)
{
	print "{"
	printf "  \"about\": %s,\n  \"cpus\": %d,\n  \"results\": [\n", quoted(about), smp
	for (i = 1; i <= lines; i++)
		printf "    %s%s\n", line[i], i < lines ? "," : ""
	print "  ],\n  \"targets\": ["
	for (i = 1; i <= targets; i++) {
		printf "    {\"target\": %s, \"limit\": \"%s\", \"value\": \"%s\", \"result\": \"%s\", ",
			quoted(t_what[i]), t_limit[i], t_value[i], t_met[i]
		printf "\"spread\": \"%s\", \"within_spread\": %s, \"reason\": %s}%s\n", t_spread[i],
			t_barely[i] ? "true" : "false", quoted(t_reason[i]), i < targets ? "," : ""
	}
	print "  ]\n}"
}

# Ratios of a row's figures for the text
function text_ratio(row, peer, other_row, other)
{
	return share(ratio(best("icount", row, peer), best("icount", other_row, other)))
}

function target_rule()
{
	return "============================================= ============== ======= " \
		"==================================== ================================================"
}

function as_rst(   line_of, i, row)
{
	print ".. SPDX-License-Identifier: GPL-2.0"
	print ".. Written by make bench. Change bench/report.awk instead.\n"
	print "================="
	print "What fibrils cost"
	print "=================\n"
	print about "\n"
	print "Instructions of the guest per operation, on one CPU, as QEMU counts them; each"
	print "element of a string instruction is one.  What is idle does not count.  All columns,"
	print "and all rows but one, are from the same boot: ping-pong, unpatched, is of a kernel"
	print "without the series.  Of the two modes of io_uring (default, and SINGLE_ISSUER with"
	print "DEFER_TASKRUN) and the two sizes of the pool of threads (4 and 32), the better one"
	print "is shown; asys has ASYS_SETUP_DEFER.  Of several processes that make the same"
	print "calls, each figure is the median.  The last columns are the ratios of asys to the"
	print "others, and the spread: how far the highest and the lowest of these processes are"
	print "apart, in percent, for the figure of the row for which that is the most.\n"
	print "Calls are made in batches of 32, or of the depth that is named.  ``plain`` is one"
	print "call after the other; in the row nop, it is getppid().  The row for memory is in"
	print "bytes: io_uring's is a worker, and threads' a thread.  A ping-pong is a round trip"
	print "between two processes that do not use fibrils, before and after others have used"
	print "them.\n"
	print "The device sees as many reads of null_blk at a time as the depth says, for no two are"
	print "of adjacent blocks.  In the rows that are named so, they are: there, who collects"
	print "requests before it submits them, as io_uring does, makes one of several.\n"
	rule()
	table("icount")
	for (i = 1; i <= nr_rows["unpatched"]; i++)
		figures("unpatched", rows["unpatched", i])
	rule()
	print "\n.. kernel-figure:: fibrils-bench.svg"
	print "   :alt: instructions per operation of the others, relative to asys\n"
	print "   Instructions per operation, relative to asys.\n"
	wrapped("In the rows with asys_submit, the arguments are not in the requests, there is " \
		"no ring, and asys_await_completion() fetches the results of calls that have " \
		"slept one by one.  asys_enter() takes " \
		text_ratio("getppid", "asys", "getppid, asys_submit", "asys") \
		" of the instructions of asys_submit() for getppid, " \
		text_ratio("statx", "asys", "statx, asys_submit", "asys") " for statx, and " \
		text_ratio("pipe read that sleeps", "asys", "pipe read, asys_submit", "asys") \
		" for a pipe read that sleeps.")
	print "\nTwo rows say where the figures of others come from: a chain of two calls that do"
	print "nothing, and a cached walk in which plain calls take the place of asys_enter() and"
	print "nothing else differs.  These and the rows with asys_submit have no targets.\n"
	print "The rows of random writes are the fio job with which uringlets_ were compared with"
	print "io_uring in 2022.  There are two differences: the file system is ext4 and not XFS,"
	print "and each batch is waited for, where fio keeps the depth constant.  On ext4, io_uring"
	print "leaves these writes to its workers.  Relative to io_uring, these are the operations"
	print "per second of uringlets as reported there, and operations per instruction of asys"
	print "here:\n"
	print ".. _uringlets: https://lore.kernel.org/r/20220819152738.1111255-1-hao.xu@linux.dev\n"
	print "========= ==== ==== ==== ==== ==== ===="
	print "depth     1    2    4    8    16   32"
	print "========= ==== ==== ==== ==== ==== ===="
	print "uringlets 0.28 0.67 0.88 1.46 1.11 1.03"
	line_of = "asys     "
	for (i = 1; i <= 32; i *= 2) {
		row = "random write 1 KiB, depth " i
		line_of = line_of sprintf(" %-4s", text_ratio(row, "io_uring", row, "asys"))
	}
	sub(/ +$/, "", line_of)
	print line_of
	print "========= ==== ==== ==== ==== ==== ====\n"
	print "A cold tree walk is about waiting.  Its nanoseconds per entry, waiting included, on"
	print "a disk that takes 1 ms for each request:\n"
	row = "tree walk, cold"
	printf "- plain %s, threads %s, asys %s\n\n",
		number(elapsed["icount", row, "plain"]),
		number(least(elapsed["icount", row, "threads-4"], elapsed["icount", row, "threads-32"])),
		number(elapsed["icount", row, "asys"])
	print "Targets"
	print "=======\n"
	print count() "\n"
	print "The spread of a target that is missed is by how much its value would be lower with"
	print "the lowest process of asys and the highest of the other.\n"
	print target_rule()
	printf "%-45s %-14s %-7s %-36s %s\n", "what", "target", "value", "result", "reason"
	print target_rule()
	print_targets()
	print target_rule()
	print_reasons()
	print "\nTime"
	print "====\n"
	printf "Nanoseconds per operation, from another boot, on %d CPUs: emulated ones, of a\n", smp
	print "machine that does other things, too.  For orientation only.\n"
	short = 1
	rule()
	table("wall")
	rule()
}

# The plot: a line for each row, a mark for each peer, at its distance from asys

function x_of(r)
{
	if (r < 0.25)
		r = 0.25
	if (r > 16)
		r = 16
	return 230 + 80 * (log(r) / log(2) + 2)
}

function mark(peer, x, y)
{
	if (peer == "plain")
		printf "<circle cx=\"%.1f\" cy=\"%d\" r=\"4\" fill=\"none\" stroke=\"#555\" stroke-width=\"1.5\"/>\n", x, y
	else if (peer == "io_uring")
		printf "<rect x=\"%.1f\" y=\"%d\" width=\"8\" height=\"8\" fill=\"#c33\"/>\n", x - 4, y - 4
	else if (peer == "libaio")
		printf "<path d=\"M%.1f %d l5 8 h-10 z\" fill=\"#36c\"/>\n", x, y - 5
	else
		printf "<path d=\"M%.1f %d l8 8 m0 -8 l-8 8\" stroke=\"#282\" stroke-width=\"1.5\"/>\n", x - 4, y - 4
}

function as_svg(   i, k, n, y, row, a, b, peers, height, shown)
{
	split("plain io_uring libaio threads", peers, " ")
	for (i = 1; i <= nr_rows["icount"]; i++) {
		row = rows["icount", i]
		a = v["icount", row, "asys"]
		# Of interest beside others only
		if (a == "" || best("icount", row, "plain") best("icount", row, "io_uring") \
			best("icount", row, "threads") == "")
			continue
		shown[++n] = row
	}
	height = 70 + 16 * n
	printf "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	printf "<!-- SPDX-License-Identifier: GPL-2.0; written by make bench -->\n"
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"740\" height=\"%d\" font-family=\"sans-serif\" font-size=\"11\">\n", height
	printf "<rect width=\"740\" height=\"%d\" fill=\"#fff\"/>\n", height
	for (i = -2; i <= 4; i++) {
		printf "<path d=\"M%.1f 45 V%d\" stroke=\"%s\"/>\n", x_of(2 ^ i), height - 20, i ? "#ddd" : "#000"
		printf "<text x=\"%.1f\" y=\"40\" text-anchor=\"middle\">%s</text>\n", x_of(2 ^ i), i ? 2 ^ i : "asys"
	}
	for (k = 1; k <= 4; k++) {
		mark(peers[k], 230 + 110 * (k - 1), 15)
		printf "<text x=\"%d\" y=\"19\">%s</text>\n", 240 + 110 * (k - 1), peers[k]
	}
	for (i = 1; i <= n; i++) {
		row = shown[i]
		y = 42 + 16 * i
		printf "<text x=\"220\" y=\"%d\" text-anchor=\"end\">%s</text>\n", y + 4, row
		printf "<path d=\"M230 %d H710\" stroke=\"#eee\"/>\n", y
		for (k = 1; k <= 4; k++) {
			b = best("icount", row, peers[k])
			if (b != "")
				mark(peers[k], x_of(b / v["icount", row, "asys"]), y)
		}
	}
	printf "<text x=\"470\" y=\"%d\" text-anchor=\"middle\">times the instructions of asys; to the right of the line, asys takes fewer</text>\n", height - 5
	print "</svg>"
}

END {
	find_targets()
	if (!partial)
		check_reasons()
	if (form == "rst")
		as_rst()
	else if (form == "svg")
		as_svg()
	else if (form == "json")
		as_json()
	else
		as_table()
}
