# SPDX-License-Identifier: GPL-2.0
# The front door. Each target is a script in harness/ of the same name.

# A kernel tree to work on; empty: Debian's linux-source-6.12, in build/linux
KERNEL ?=
# Compile jobs; memory and CPUs of the guest
JOBS   ?= $(shell nproc)
MEM    ?= 2G
SMP    ?= 2
# run: the program and its arguments, in the guest; milliseconds that each
# request to its disk takes
DEMO   ?= asys-demo /tree
DELAY  ?= 5
# shell: one command instead of an interactive shell, for the guest's shell to
# expand; which kernel
CMD    ?=
override CMD := $(value CMD)
FLAVOUR ?= release
# check: which kernels, which test programs; lint: that too
FLAVOURS ?= release debug
TESTS  ?= *
WITH   ?=
# bench: patterns of rows; whether to measure the kernel without the series
ROWS   ?=
BASELINE ?= 1
# profile: a row, and which peers
ROW    ?=
PEERS  ?= asys io_uring-defer
# refresh: the commit of KERNEL that the series starts from
BASEREV ?=

override KERNEL := $(if $(KERNEL),$(abspath $(KERNEL)))
export KERNEL JOBS MEM SMP DEMO DELAY CMD FLAVOUR FLAVOURS TESTS WITH BASEREV ROWS BASELINE ROW PEERS

help:
	@sed -n 's/^#: //p' $(firstword $(MAKEFILE_LIST))

#: make run                  build the kernel, boot it, run the demo
#: make check                run every test on the release and the debug kernel
#: make shell                a shell on the patched kernel, with this machine's programs
#: make shell CMD='...'      run one command there; harness/shell '...' has its exit status
#: make apply KERNEL=dir     apply the series to your own 6.12.y tree
#: make patches              write the series as mails into build/patches
#: make refresh KERNEL=dir   take the series from a git tree that you changed
#: make lint                 checkpatch, sparse, W=1, kernel-doc, objtool, shellcheck
#: make versions             try the series on every 6.12.y that apt offers
#: make steps                build after every patch, with fibrils and without
#: make bench                measure, beside io_uring, libaio and threads
#: make profile ROW='...'    what the instructions of a row are spent on
#: make torture              forced mode under real programs, for long
#: make clean                remove build/
#:
#: Variables of every target: KERNEL=dir JOBS=n MEM=size SMP=n
#:   run:    DEMO='program args' DELAY=ms
#:   check:  FLAVOURS='release debug kcsan' TESTS='glob'
#:   shell:  FLAVOUR=release|debug|kcsan  refresh: BASEREV=commit
#:   bench:  ROWS='statx pread*' BASELINE=0|1
#:   profile: ROW='null_blk 10 us, depth 32' PEERS='asys io_uring-defer plain'

run check shell apply patches refresh lint versions steps bench profile torture:
	@harness/$@

clean:
	rm -rf build

.PHONY: help run check shell apply patches refresh lint versions steps bench profile torture clean
