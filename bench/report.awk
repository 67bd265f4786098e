# SPDX-License-Identifier: GPL-2.0
# What the benchmark has measured, from the lines of asys-bench, each with the
# member "run" put in front: icount, wall or unpatched. -v form= says as what:
# table for the terminal, rst and svg for the documentation, json for programs.
# -v about= is a line on what was run where; -v partial=1: not all rows are there.

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

# Why a target was missed: "row: reason", or "row, of peer: reason", by who has
# looked into it
FILENAME ~ /reasons$/ {
	if (match($0, /: /))
		reason[substr($0, 1, RSTART - 1)] = substr($0, RSTART + 2)
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
	batch[row] = get("batch")
	v[run, row, get("peer")] = get("busy")
	elapsed[run, row, get("peer")] = get("elapsed")
}

function least(a, b)
{
	if (a == "" || b == "")
		return a b
	return a + 0 < b + 0 ? a : b
}

# The better mode or size of a peer
function best(run, row, peer)
{
	if (peer == "io_uring")
		return least(v[run, row, "io_uring"], v[run, row, "io_uring-defer"])
	if (peer == "threads")
		return least(v[run, row, "threads-4"], v[run, row, "threads-32"])
	return v[run, row, peer]
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
	printf " %6s %9s %7s %8s\n", share(ratio(a, best(run, row, "plain"))),
		share(ratio(a, best(run, row, "io_uring"))),
		share(ratio(a, best(run, row, "libaio"))),
		share(ratio(a, best(run, row, "threads")))
}

function rule()
{
	print "============================== ======== ========= ======== ======== ======== ====== ========= ======= ========"
}

function table(run,   i)
{
	printf "%-30s %8s %9s %8s %8s %8s %6s %9s %7s %8s\n", "operation", "plain", "io_uring",
		"libaio", "threads", "asys", "/plain", "/io_uring", "/libaio", "/threads"
	if (form == "rst")
		rule()
	for (i = 1; i <= nr_rows[run]; i++)
		figures(run, rows[run, i])
}

# Targets: a value that is to be at most a limit, or below it

function target(what, row, value, limit, below)
{
	if (value == "" && partial)
		return
	targets++
	t_what[targets] = what
	t_limit[targets] = (below ? "below " : "at most ") sprintf(limit < 10 ? "%.3f" : "%.0f", limit)
	sub(/0$/, "", t_limit[targets])
	t_value[targets] = value == "" ? "-" : sprintf(limit < 10 ? "%.3f" : "%.0f", value)
	t_met[targets] = value == "" ? "no figure" : (below ? value < limit : value <= limit) ? "met" : "missed"
	t_reason[targets] = t_met[targets] != "missed" ? "" : \
			    what in reason ? reason[what] : reason[row]
	if (t_met[targets] == "met")
		met++
}

function of(row, peer)
{
	return ratio(v["icount", row, "asys"], best("icount", row, peer))
}

function find_targets(   n, list, i, row, limit)
{
	n = split("getppid,statx,openat+close,getdents64,readlinkat,faccessat,unlinkat," \
		  "renameat,mkdirat,getxattr,fsync,pread tmpfs,pread ext4,pwrite ext4", list, ",")
	for (i = 1; i <= n; i++)
		target(list[i] ", of plain", list[i], of(list[i], "plain"), 1.00)
	for (i = 1; i <= n; i++) {
		row = list[i]
		if (best("icount", row, "io_uring") != "")
			target(row ", of io_uring", row, of(row, "io_uring"), 1.00, 1)
	}
	split("statx unlinkat renameat mkdirat getxattr fsync", list, " ")
	split("0.45 0.65 0.65 0.65 0.45 0.25", limit, " ")
	for (i = 1; i <= 6; i++)
		target(list[i] ", of io_uring", list[i], of(list[i], "io_uring"), limit[i])
	target("pread tmpfs, of io_uring", "pread tmpfs", of("pread tmpfs", "io_uring"), 0.60)
	target("pread tmpfs, of libaio", "pread tmpfs", of("pread tmpfs", "libaio"), 0.95)
	target("nop, of plain", "nop", of("nop", "plain"), 0.70)
	target("nop, of io_uring", "nop", of("nop", "io_uring"), 1.00, 1)
	n = split("softirq,10 us", list, ",")
	for (i = 1; i <= n; i++) {
		row = "null_blk " list[i] ", depth "
		target(row "1, of io_uring", row "1", of(row "1", "io_uring"), 1.15)
		target(row "8, of io_uring", row "8", of(row "8", "io_uring"), 1.00)
		target(row "32, of io_uring", row "32", of(row "32", "io_uring"), 1.00)
		target(row "128, of io_uring", row "128", of(row "128", "io_uring"), 1.00)
	}
	row = "pipe read that sleeps"
	target(row ", of io_uring", row, of(row, "io_uring"), 1.00)
	row = "socket read that sleeps"
	target(row ", of io_uring", row, of(row, "io_uring"), 1.00)
	row = "block and wake, 100000 asleep"
	target(row ", of 10 asleep", row,
	       ratio(v["icount", row, "asys"], v["icount", "block and wake, 10 asleep", "asys"]), 1.2)
	row = "memory of a sleeping call"
	target(row ", bytes", row, v["icount", row, "asys"], 16384 + 512)
	if (nr_rows["unpatched"] || !partial) {
		i = v["unpatched", "ping-pong, unpatched", "plain"]
		target("ping-pong, before, of unpatched", "ping-pong, before",
		       ratio(v["icount", "ping-pong, before", "plain"], i), 1.005)
		target("ping-pong, after, of unpatched", "ping-pong, after",
		       ratio(v["icount", "ping-pong, after", "plain"], i), 1.005)
	}
}

function print_targets(   i, line)
{
	for (i = 1; i <= targets; i++) {
		line = sprintf("%-45s %-14s %-7s %-9s %s", t_what[i], t_limit[i],
			       t_value[i], t_met[i], form == "rst" ? t_reason[i] : "")
		sub(/ +$/, "", line)
		print line
	}
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
		print "\nnanoseconds per operation, on two CPUs, emulated: for orientation only"
		table("wall")
	}
	if (targets) {
		print "\ntargets"
		print_targets()
		printf "%d of %d targets met\n", met, targets
	}
}

function as_json(   i)
{
	print "{"
	printf "  \"about\": \"%s\",\n  \"results\": [\n", about
	for (i = 1; i <= lines; i++)
		printf "    %s%s\n", line[i], i < lines ? "," : ""
	print "  ],\n  \"targets\": ["
	for (i = 1; i <= targets; i++)
		printf "    {\"target\": \"%s\", \"limit\": \"%s\", \"value\": \"%s\", \"result\": \"%s\"}%s\n",
			t_what[i], t_limit[i], t_value[i], t_met[i], i < targets ? "," : ""
	print "  ]\n}"
}

function as_rst(   rows_of, i, row)
{
	print ".. SPDX-License-Identifier: GPL-2.0"
	print ".. Written by make bench. Change bench/report.awk instead.\n"
	print "================="
	print "What fibrils cost"
	print "=================\n"
	print about "\n"
	print "Instructions of the guest per operation, on one CPU, as QEMU counts them; each"
	print "element of a string instruction is one.  What is idle does not count.  All columns"
	print "are from the same boot.  Of the two modes of io_uring (default, and SINGLE_ISSUER"
	print "with DEFER_TASKRUN) and the two sizes of the pool of threads (4 and 32), the better"
	print "one is shown; asys has ASYS_SETUP_DEFER.  The last columns are the ratios of asys"
	print "to the others.\n"
	print "Calls are made in batches of 32, or of the depth that is named.  ``plain`` is one"
	print "call after the other; in the row nop, it is getppid().  The row for memory is in"
	print "bytes: io_uring's is a worker, and threads' a thread.  A ping-pong is a round trip"
	print "between two processes that do not use fibrils, before and after others have used"
	print "them.\n"
	rule()
	table("icount")
	for (i = 1; i <= nr_rows["unpatched"]; i++)
		figures("unpatched", rows["unpatched", i])
	rule()
	print "\n.. kernel-figure:: fibrils-bench.svg"
	print "   :alt: instructions per operation of the others, relative to asys\n"
	print "   Instructions per operation, relative to asys.\n"
	print "A cold tree walk is about waiting.  Its nanoseconds per entry, waiting included, on"
	print "a disk that takes 1 ms for each request:\n"
	row = "tree walk, cold"
	printf "- plain %s, threads %s, asys %s\n\n",
		number(elapsed["icount", row, "plain"]),
		number(least(elapsed["icount", row, "threads-4"], elapsed["icount", row, "threads-32"])),
		number(elapsed["icount", row, "asys"])
	print "Targets"
	print "=======\n"
	printf "%d of %d are met.\n\n", met, targets
	print "============================================= ============== ======= ========= ============================"
	printf "%-45s %-14s %-7s %-9s %s\n", "what", "target", "value", "", "reason"
	print "============================================= ============== ======= ========= ============================"
	print_targets()
	print "============================================= ============== ======= ========= ============================"
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
		if (a == "")
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
	if (form == "rst")
		as_rst()
	else if (form == "svg")
		as_svg()
	else if (form == "json")
		as_json()
	else
		as_table()
}
