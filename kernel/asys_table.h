/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which system call may be submitted asynchronously: one line for every x86-64
 * call, in the order of arch/x86/entry/syscalls/syscall_64.tbl.  A number
 * without a line (a new kernel's call, the x32 numbers) is refused.
 *
 * A line is for the i386 call of that name, too, whatever its number and
 * however it takes its arguments.  Those that only one of the two has follow.
 *
 * A call is refused because it could mean nothing in a fibril, or because it
 * changes what the task is or touches the context that returns to user mode
 * ("home"); never because it is work.  What one thread of a process may do
 * while another one runs, a fibril may do while home runs.
 *
 *   ASYS_ALLOW(nr, name)           may be submitted
 *   ASYS_CHECK(nr, name, check)    may be, if asys_check_<check>() says so;
 *                                  it looks at argument registers, never at
 *                                  user memory
 *   ASYS_REFUSE(nr, name, REASON)  may not
 *
 * REASON is one of
 *
 *   FORK       The child would start from home's user registers and stack.
 *   EXEC       The new program takes the place of home, under its other contexts.
 *   EXIT       The call ends the task, or does not return.
 *   SIGNAL     Signals are home's: their mask, their handlers, waiting for one.
 *   REGS       The call reads or writes user registers, user stack, TLS,
 *              segments, protection keys or I/O permission of home.
 *   THREAD     The call replaces something that the kernel uses on behalf of
 *              this one thread when it returns to user mode, exits or allocates.
 *   CRED       The call commits credentials, or a restriction for good, to the
 *              task; a call keeps the credentials it was submitted with.
 *   NAMESPACE  The call replaces namespaces or tables that calls in flight use.
 *   IDENTITY   The call changes what the process is taken for: session, process
 *              group, personality.
 *   TRACE      Tracer and tracee are tasks as home: its stops and its registers.
 *   RING       An io_uring belongs to the submitting task and has one waiter.
 *   POINTLESS  The call acts on its caller at this moment, and is over.
 *   SELF       A fibril does not submit to, nor wait for, its own task's calls.
 *   NOSYS      There is no such system call any more, only its number.
 *
 * A comment above a line names the function that decided it, where the reason
 * alone does not say enough, or where one would have expected the other answer.
 * Each entry is on a line of its own, for scripts.
 *
 * Define the three macros, and ASYS_IA32 for the calls of i386, then include
 * this file; it undefines them.
 */

ASYS_ALLOW(0, read)
ASYS_ALLOW(1, write)
ASYS_ALLOW(2, open)
/* fs/open.c:close: ->flush() and the final fput run on the fibril, before the completion */
ASYS_ALLOW(3, close)
ASYS_ALLOW(4, stat)
ASYS_ALLOW(5, fstat)
ASYS_ALLOW(6, lstat)
/*
 * fs/select.c:do_restart_poll: restart_block is per context; a cancelled poll
 * ends with -EINTR, never with a restart
 */
ASYS_ALLOW(7, poll)
ASYS_ALLOW(8, lseek)
/*
 * mm/mmap.c:do_mmap: PROT_EXEC alone may set PKRU (execute_only_pkey), as it
 * does on whichever thread asks
 */
ASYS_ALLOW(9, mmap)
/*
 * mm/mprotect.c:do_mprotect_pkey: as mmap; nothing else here belongs to one
 * context, the mm has its lock
 */
ASYS_ALLOW(10, mprotect)
ASYS_ALLOW(11, munmap)
/* mm/mmap.c:brk: the heap is the mm's, under mmap_lock, as from another thread */
ASYS_ALLOW(12, brk)
/*
 * kernel/signal.c:do_sigaction: names user code that only home can run, and
 * discards signals home has pending
 */
ASYS_REFUSE(13, rt_sigaction, SIGNAL)
/* kernel/signal.c:__set_task_blocked: current->blocked is home's */
ASYS_REFUSE(14, rt_sigprocmask, SIGNAL)
/* arch/x86/kernel/signal_64.c:rt_sigreturn: loads every user register from home's stack */
ASYS_REFUSE(15, rt_sigreturn, REGS)
/*
 * virt/kvm/kvm_main.c:kvm_vcpu_ioctl: KVM_RUN owns the guest FPU, ->blocked
 * (kvm_sigset_activate) and the vCPU's thread
 * drivers/android/binder.c:binder_get_thread: BINDER_WRITE_READ and
 * _THREAD_EXIT work on an object named by tid, without a reference
 */
ASYS_CHECK(16, ioctl, ioctl)
ASYS_ALLOW(17, pread64)
ASYS_ALLOW(18, pwrite64)
ASYS_ALLOW(19, readv)
ASYS_ALLOW(20, writev)
ASYS_ALLOW(21, access)
ASYS_ALLOW(22, pipe)
ASYS_ALLOW(23, select)
/*
 * kernel/sched/syscalls.c:do_sched_yield: gives up the CPU of its caller, now;
 * later, or for home, it has nothing to give
 */
ASYS_REFUSE(24, sched_yield, POINTLESS)
/*
 * arch/x86/entry/vdso/vma.c:vdso_fix_landing: an ia32 call that moves the vDSO
 * moves home's return to it, too
 */
ASYS_ALLOW(25, mremap)
ASYS_ALLOW(26, msync)
ASYS_ALLOW(27, mincore)
ASYS_ALLOW(28, madvise)
ASYS_ALLOW(29, shmget)
ASYS_ALLOW(30, shmat)
ASYS_ALLOW(31, shmctl)
ASYS_ALLOW(32, dup)
ASYS_ALLOW(33, dup2)
/* kernel/signal.c:pause: ends only when home has run a signal handler */
ASYS_REFUSE(34, pause, SIGNAL)
ASYS_ALLOW(35, nanosleep)
ASYS_ALLOW(36, getitimer)
/* kernel/time/itimer.c:alarm_setitimer: the timer is the process's; its signal goes to home */
ASYS_ALLOW(37, alarm)
/* kernel/time/itimer.c:do_setitimer: as alarm */
ASYS_ALLOW(38, setitimer)
ASYS_ALLOW(39, getpid)
ASYS_ALLOW(40, sendfile)
ASYS_ALLOW(41, socket)
ASYS_ALLOW(42, connect)
ASYS_ALLOW(44, sendto)
ASYS_ALLOW(45, recvfrom)
ASYS_ALLOW(46, sendmsg)
ASYS_ALLOW(47, recvmsg)
ASYS_ALLOW(48, shutdown)
ASYS_ALLOW(49, bind)
ASYS_ALLOW(50, listen)
ASYS_ALLOW(51, getsockname)
ASYS_ALLOW(52, getpeername)
ASYS_ALLOW(53, socketpair)
ASYS_ALLOW(54, setsockopt)
ASYS_ALLOW(55, getsockopt)
ASYS_REFUSE(56, clone, FORK)
ASYS_REFUSE(57, fork, FORK)
ASYS_REFUSE(58, vfork, FORK)
ASYS_REFUSE(59, execve, EXEC)
ASYS_REFUSE(60, exit, EXIT)
/*
 * kernel/exit.c:do_wait: children and tracees are found by task, as home would
 * find them; the wait entry must name the context
 */
ASYS_ALLOW(61, wait4)
/*
 * kernel/signal.c:complete_signal: sending is not receiving; what is sent to
 * this task, home takes
 */
ASYS_ALLOW(62, kill)
ASYS_ALLOW(63, uname)
ASYS_ALLOW(64, semget)
ASYS_ALLOW(66, semctl)
ASYS_ALLOW(67, shmdt)
ASYS_ALLOW(68, msgget)
ASYS_ALLOW(69, msgsnd)
ASYS_ALLOW(70, msgrcv)
ASYS_ALLOW(71, msgctl)
/*
 * fs/locks.c:fcntl_setlk: POSIX locks belong to the files_struct and the tgid,
 * leases and F_SETOWN to the file: none to a context
 */
ASYS_ALLOW(72, fcntl)
ASYS_ALLOW(73, flock)
ASYS_ALLOW(74, fsync)
ASYS_ALLOW(75, fdatasync)
ASYS_ALLOW(76, truncate)
ASYS_ALLOW(77, ftruncate)
ASYS_ALLOW(78, getdents)
ASYS_ALLOW(79, getcwd)
/*
 * fs/fs_struct.c:set_fs_pwd: under fs->lock, as from a thread with CLONE_FS;
 * walks in flight hold their own path references
 */
ASYS_ALLOW(80, chdir)
/* fs/fs_struct.c:set_fs_pwd: as chdir */
ASYS_ALLOW(81, fchdir)
ASYS_ALLOW(82, rename)
ASYS_ALLOW(83, mkdir)
ASYS_ALLOW(84, rmdir)
ASYS_ALLOW(85, creat)
ASYS_ALLOW(86, link)
ASYS_ALLOW(87, unlink)
ASYS_ALLOW(88, symlink)
ASYS_ALLOW(89, readlink)
ASYS_ALLOW(90, chmod)
ASYS_ALLOW(91, fchmod)
ASYS_ALLOW(92, chown)
ASYS_ALLOW(93, fchown)
ASYS_ALLOW(94, lchown)
/* kernel/sys.c:umask: one xchg() on fs->umask, as from a thread with CLONE_FS */
ASYS_ALLOW(95, umask)
ASYS_ALLOW(96, gettimeofday)
ASYS_ALLOW(97, getrlimit)
ASYS_ALLOW(98, getrusage)
ASYS_ALLOW(99, sysinfo)
ASYS_ALLOW(100, times)
/*
 * kernel/ptrace.c:ptrace_check_attach: the tracer is a task, a tracee's stop
 * is reported to it, and TRACEME changes home
 */
ASYS_REFUSE(101, ptrace, TRACE)
ASYS_ALLOW(102, getuid)
ASYS_ALLOW(103, syslog)
ASYS_ALLOW(104, getgid)
ASYS_REFUSE(105, setuid, CRED)
ASYS_REFUSE(106, setgid, CRED)
ASYS_ALLOW(107, geteuid)
ASYS_ALLOW(108, getegid)
/*
 * kernel/sys.c:setpgid: moves the process, or a child of it, between process
 * groups; never sleeps
 */
ASYS_REFUSE(109, setpgid, IDENTITY)
ASYS_ALLOW(110, getppid)
ASYS_ALLOW(111, getpgrp)
/*
 * kernel/sys.c:ksys_setsid: session, process group and controlling terminal of
 * the process; never sleeps
 */
ASYS_REFUSE(112, setsid, IDENTITY)
ASYS_REFUSE(113, setreuid, CRED)
ASYS_REFUSE(114, setregid, CRED)
ASYS_ALLOW(115, getgroups)
ASYS_REFUSE(116, setgroups, CRED)
ASYS_REFUSE(117, setresuid, CRED)
ASYS_ALLOW(118, getresuid)
ASYS_REFUSE(119, setresgid, CRED)
ASYS_ALLOW(120, getresgid)
ASYS_ALLOW(121, getpgid)
ASYS_REFUSE(122, setfsuid, CRED)
ASYS_REFUSE(123, setfsgid, CRED)
ASYS_ALLOW(124, getsid)
ASYS_ALLOW(125, capget)
ASYS_REFUSE(126, capset, CRED)
/* kernel/signal.c:do_sigpending: only reads, what home has pending */
ASYS_ALLOW(127, rt_sigpending)
ASYS_REFUSE(128, rt_sigtimedwait, SIGNAL)
/* kernel/signal.c:do_rt_sigqueueinfo: as kill */
ASYS_ALLOW(129, rt_sigqueueinfo)
ASYS_REFUSE(130, rt_sigsuspend, SIGNAL)
/*
 * kernel/signal.c:do_sigaltstack: compares with home's user stack pointer and
 * moves home's handler stack
 */
ASYS_REFUSE(131, sigaltstack, REGS)
ASYS_ALLOW(132, utime)
ASYS_ALLOW(133, mknod)
/* kernel/exec_domain.c:personality: how exec, mmap and signals treat this thread from now on */
ASYS_REFUSE(135, personality, IDENTITY)
ASYS_ALLOW(136, ustat)
ASYS_ALLOW(137, statfs)
ASYS_ALLOW(138, fstatfs)
ASYS_ALLOW(139, sysfs)
ASYS_ALLOW(140, getpriority)
/*
 * kernel/sys.c:set_one_prio: an attribute of a task named by number, under the
 * run queue lock; so are the sched_set* calls
 */
ASYS_ALLOW(141, setpriority)
ASYS_ALLOW(142, sched_setparam)
ASYS_ALLOW(143, sched_getparam)
ASYS_ALLOW(144, sched_setscheduler)
ASYS_ALLOW(145, sched_getscheduler)
ASYS_ALLOW(146, sched_get_priority_max)
ASYS_ALLOW(147, sched_get_priority_min)
ASYS_ALLOW(148, sched_rr_get_interval)
ASYS_ALLOW(149, mlock)
ASYS_ALLOW(150, munlock)
ASYS_ALLOW(151, mlockall)
ASYS_ALLOW(152, munlockall)
/* drivers/tty/tty_io.c:tty_vhangup_self: the process's terminal; may sleep long */
ASYS_ALLOW(153, vhangup)
/* arch/x86/kernel/ldt.c:flush_ldt: reloads the segment registers of the context in user mode */
ASYS_REFUSE(154, modify_ldt, REGS)
/*
 * fs/fs_struct.c:chroot_fs_refs: changes every process in the namespace alike;
 * AppArmor's change of label on it is refused there
 */
ASYS_ALLOW(155, pivot_root)
ASYS_REFUSE(156, _sysctl, NOSYS)
/*
 * kernel/sys.c:prctl: what reads, or changes the mm, may go; what changes the
 * thread (name, seccomp, no_new_privs, TSC, ...) may not
 */
ASYS_CHECK(157, prctl, prctl)
/*
 * arch/x86/kernel/process_64.c:do_arch_prctl_64: writes the live FS and GS
 * base, shadow stack, CPUID faulting
 */
ASYS_REFUSE(158, arch_prctl, REGS)
ASYS_ALLOW(159, adjtimex)
ASYS_ALLOW(160, setrlimit)
/* fs/fs_struct.c:set_fs_root: as chdir; a property of the fs_struct, not of the context */
ASYS_ALLOW(161, chroot)
ASYS_ALLOW(162, sync)
/*
 * kernel/acct.c:acct_get: retries only after the namespace's pointer has
 * changed, which no sleeper holds up
 */
ASYS_ALLOW(163, acct)
ASYS_ALLOW(164, settimeofday)
/*
 * fs/ext4/mmp.c:ext4_multi_mount_protect: relies on its wait not taking an
 * early wake-up for a signal
 */
ASYS_ALLOW(165, mount)
/*
 * fs/namespace.c:mntput_no_expire: leaves __cleanup_mnt() to task work, which
 * must run before the completion
 */
ASYS_ALLOW(166, umount2)
ASYS_ALLOW(167, swapon)
/*
 * mm/swapfile.c:swapoff: marks the process as OOM origin meanwhile, hence the
 * process that asked
 */
ASYS_ALLOW(168, swapoff)
/*
 * kernel/reboot.c:reboot, kernel/pid_namespace.c:reboot_pid_ns: ends in
 * do_exit() or not at all, or freezes every task but this
 */
ASYS_REFUSE(169, reboot, EXIT)
ASYS_ALLOW(170, sethostname)
ASYS_ALLOW(171, setdomainname)
/* arch/x86/kernel/ioport.c:iopl: I/O privilege of home's user mode */
ASYS_REFUSE(172, iopl, REGS)
/*
 * arch/x86/kernel/ioport.c:ksys_ioperm: I/O bitmap of home's user mode,
 * installed after a sleep without a check
 */
ASYS_REFUSE(173, ioperm, REGS)
ASYS_REFUSE(174, create_module, NOSYS)
/*
 * kernel/module/main.c:do_init_module: the module's init function runs on a
 * fibril stack, which is as large as any
 */
ASYS_ALLOW(175, init_module)
ASYS_ALLOW(176, delete_module)
ASYS_REFUSE(177, get_kernel_syms, NOSYS)
ASYS_REFUSE(178, query_module, NOSYS)
ASYS_ALLOW(179, quotactl)
ASYS_REFUSE(180, nfsservctl, NOSYS)
ASYS_REFUSE(181, getpmsg, NOSYS)
ASYS_REFUSE(182, putpmsg, NOSYS)
ASYS_REFUSE(183, afs_syscall, NOSYS)
ASYS_ALLOW(186, gettid)
ASYS_ALLOW(187, readahead)
ASYS_ALLOW(188, setxattr)
ASYS_ALLOW(189, lsetxattr)
ASYS_ALLOW(190, fsetxattr)
ASYS_ALLOW(191, getxattr)
ASYS_ALLOW(192, lgetxattr)
ASYS_ALLOW(193, fgetxattr)
ASYS_ALLOW(194, listxattr)
ASYS_ALLOW(195, llistxattr)
ASYS_ALLOW(196, flistxattr)
ASYS_ALLOW(197, removexattr)
ASYS_ALLOW(198, lremovexattr)
ASYS_ALLOW(199, fremovexattr)
ASYS_ALLOW(200, tkill)
ASYS_ALLOW(201, time)
/*
 * kernel/futex/pi.c: the owner of a PI futex is a tid, pi_state_cache and
 * pi_blocked_on are one per task, rt_mutex sleeps past the hook
 */
ASYS_CHECK(202, futex, futex)
/*
 * kernel/sched/core.c:affine_move_task: waits for the stopper to move this
 * very task; home goes on meanwhile
 */
ASYS_ALLOW(203, sched_setaffinity)
ASYS_ALLOW(204, sched_getaffinity)
/*
 * fs/aio.c: contexts belong to the mm, each with its own lock and any number
 * of waiters, so the whole family may go
 */
ASYS_ALLOW(206, io_setup)
ASYS_ALLOW(207, io_destroy)
ASYS_ALLOW(208, io_getevents)
ASYS_ALLOW(209, io_submit)
ASYS_ALLOW(210, io_cancel)
ASYS_REFUSE(212, lookup_dcookie, NOSYS)
ASYS_ALLOW(213, epoll_create)
ASYS_ALLOW(216, remap_file_pages)
ASYS_ALLOW(217, getdents64)
/* kernel/fork.c:set_tid_address: what is cleared and woken when the task exits */
ASYS_REFUSE(218, set_tid_address, THREAD)
/* kernel/signal.c:restart_syscall: continues the call that a signal interrupted in home */
ASYS_REFUSE(219, restart_syscall, SIGNAL)
ASYS_ALLOW(221, fadvise64)
/*
 * kernel/time/posix-timers.c:do_timer_create: timers are the process's; CPU
 * time is counted for the task, all contexts together
 */
ASYS_ALLOW(222, timer_create)
ASYS_ALLOW(223, timer_settime)
ASYS_ALLOW(224, timer_gettime)
ASYS_ALLOW(225, timer_getoverrun)
ASYS_ALLOW(226, timer_delete)
ASYS_ALLOW(227, clock_settime)
ASYS_ALLOW(228, clock_gettime)
ASYS_ALLOW(229, clock_getres)
/*
 * kernel/time/hrtimer.c:hrtimer_nanosleep: keeps its arguments in
 * restart_block, which is per context
 */
ASYS_ALLOW(230, clock_nanosleep)
ASYS_REFUSE(231, exit_group, EXIT)
ASYS_ALLOW(232, epoll_wait)
ASYS_ALLOW(233, epoll_ctl)
ASYS_ALLOW(234, tgkill)
ASYS_ALLOW(235, utimes)
ASYS_REFUSE(236, vserver, NOSYS)
/* mm/mempolicy.c:do_mbind: the policy of VMAs, referenced and under mmap_lock */
ASYS_ALLOW(237, mbind)
/*
 * mm/mempolicy.c:do_set_mempolicy: frees the policy that the task's other
 * contexts use without a reference
 */
ASYS_REFUSE(238, set_mempolicy, THREAD)
ASYS_ALLOW(239, get_mempolicy)
ASYS_ALLOW(240, mq_open)
ASYS_ALLOW(241, mq_unlink)
ASYS_ALLOW(242, mq_timedsend)
ASYS_ALLOW(243, mq_timedreceive)
/* ipc/mqueue.c:do_mq_notify: the process registers, not the context */
ASYS_ALLOW(244, mq_notify)
ASYS_ALLOW(245, mq_getsetattr)
/* kernel/kexec.c:do_kexec_load: only loads the image; reboot starts it */
ASYS_ALLOW(246, kexec_load)
/* kernel/exit.c:do_wait: as wait4 */
ASYS_ALLOW(247, waitid)
/*
 * security/keys/process_keys.c:lookup_user_key: may install a keyring with
 * commit_creds(), which must fail on a fibril
 */
ASYS_ALLOW(248, add_key)
/* security/keys/process_keys.c:lookup_user_key: as add_key */
ASYS_ALLOW(249, request_key)
/*
 * security/keys/keyctl.c: JOIN_SESSION_KEYRING, SET_REQKEY_KEYRING,
 * ASSUME_AUTHORITY and what spends that authority (INSTANTIATE,
 * INSTANTIATE_IOV, NEGATE, REJECT) end in commit_creds()
 */
ASYS_CHECK(250, keyctl, keyctl)
ASYS_ALLOW(251, ioprio_set)
ASYS_ALLOW(252, ioprio_get)
ASYS_ALLOW(253, inotify_init)
ASYS_ALLOW(254, inotify_add_watch)
ASYS_ALLOW(255, inotify_rm_watch)
ASYS_ALLOW(256, migrate_pages)
ASYS_ALLOW(257, openat)
ASYS_ALLOW(258, mkdirat)
ASYS_ALLOW(259, mknodat)
ASYS_ALLOW(260, fchownat)
ASYS_ALLOW(261, futimesat)
ASYS_ALLOW(263, unlinkat)
ASYS_ALLOW(264, renameat)
ASYS_ALLOW(265, linkat)
ASYS_ALLOW(266, symlinkat)
ASYS_ALLOW(267, readlinkat)
ASYS_ALLOW(268, fchmodat)
ASYS_ALLOW(269, faccessat)
/* kernel/signal.c:set_user_sigmask: as io_pgetevents */
ASYS_ALLOW(270, pselect6)
/* kernel/signal.c:set_user_sigmask: as io_pgetevents */
ASYS_ALLOW(271, ppoll)
/*
 * kernel/fork.c:ksys_unshare: replaces nsproxy, fs, files, sysvsem and cred
 * that calls in flight use without a reference
 */
ASYS_REFUSE(272, unshare, NAMESPACE)
/* kernel/futex/syscalls.c:set_robust_list: what is walked when the task exits */
ASYS_REFUSE(273, set_robust_list, THREAD)
/* kernel/futex/syscalls.c:get_robust_list: only reads */
ASYS_ALLOW(274, get_robust_list)
ASYS_ALLOW(275, splice)
ASYS_ALLOW(276, tee)
ASYS_ALLOW(277, sync_file_range)
ASYS_ALLOW(278, vmsplice)
ASYS_ALLOW(279, move_pages)
ASYS_ALLOW(280, utimensat)
/* kernel/signal.c:set_user_sigmask: as io_pgetevents */
ASYS_ALLOW(281, epoll_pwait)
/*
 * fs/signalfd.c:do_signalfd4: makes a file; a read of it may wait, and takes
 * what home has blocked
 */
ASYS_ALLOW(282, signalfd)
ASYS_ALLOW(283, timerfd_create)
ASYS_ALLOW(284, eventfd)
ASYS_ALLOW(285, fallocate)
ASYS_ALLOW(286, timerfd_settime)
ASYS_ALLOW(287, timerfd_gettime)
ASYS_ALLOW(288, accept4)
/* fs/signalfd.c:do_signalfd4: as signalfd */
ASYS_ALLOW(289, signalfd4)
ASYS_ALLOW(290, eventfd2)
ASYS_ALLOW(291, epoll_create1)
ASYS_ALLOW(292, dup3)
ASYS_ALLOW(293, pipe2)
ASYS_ALLOW(294, inotify_init1)
ASYS_ALLOW(295, preadv)
ASYS_ALLOW(296, pwritev)
ASYS_ALLOW(297, rt_tgsigqueueinfo)
/* kernel/events/core.c:perf_event_open: measures a task, with the contexts it has */
ASYS_ALLOW(298, perf_event_open)
ASYS_ALLOW(299, recvmmsg)
ASYS_ALLOW(300, fanotify_init)
ASYS_ALLOW(301, fanotify_mark)
ASYS_ALLOW(302, prlimit64)
ASYS_ALLOW(303, name_to_handle_at)
ASYS_ALLOW(304, open_by_handle_at)
ASYS_ALLOW(305, clock_adjtime)
ASYS_ALLOW(306, syncfs)
ASYS_ALLOW(307, sendmmsg)
/* kernel/nsproxy.c:commit_nsset: as unshare */
ASYS_REFUSE(308, setns, NAMESPACE)
ASYS_ALLOW(309, getcpu)
/*
 * mm/process_vm_access.c:process_vm_rw_core: access is judged with the
 * credentials at submission
 */
ASYS_ALLOW(310, process_vm_readv)
ASYS_ALLOW(311, process_vm_writev)
ASYS_ALLOW(312, kcmp)
ASYS_ALLOW(313, finit_module)
ASYS_ALLOW(314, sched_setattr)
ASYS_ALLOW(315, sched_getattr)
ASYS_ALLOW(316, renameat2)
/*
 * kernel/seccomp.c:do_seccomp: what the task may call from now on; TSYNC, what
 * its siblings may
 */
ASYS_REFUSE(317, seccomp, CRED)
ASYS_ALLOW(318, getrandom)
ASYS_ALLOW(319, memfd_create)
/*
 * kernel/bpf/syscall.c:__sys_bpf: a test run has migration disabled and then
 * the task sleeps whole
 */
ASYS_ALLOW(321, bpf)
ASYS_REFUSE(322, execveat, EXEC)
/* fs/userfaultfd.c:handle_userfault: a fibril that faults parks; home can be its own handler */
ASYS_ALLOW(323, userfaultfd)
/*
 * kernel/sched/membarrier.c: of the mm; home passed its own barrier before,
 * GLOBAL waits for a grace period
 */
ASYS_ALLOW(324, membarrier)
ASYS_ALLOW(325, mlock2)
ASYS_ALLOW(326, copy_file_range)
ASYS_ALLOW(327, preadv2)
ASYS_ALLOW(328, pwritev2)
ASYS_ALLOW(329, pkey_mprotect)
/* mm/mprotect.c:pkey_alloc: writes the calling thread's PKRU register */
ASYS_REFUSE(330, pkey_alloc, REGS)
/* mm/mprotect.c:pkey_free: clears a bit in the mm and leaves PKRU alone */
ASYS_ALLOW(331, pkey_free)
ASYS_ALLOW(332, statx)
/*
 * kernel/signal.c:set_user_sigmask: in a fibril the mask is checked and then
 * ignored: no signal interrupts one
 */
ASYS_ALLOW(333, io_pgetevents)
/* kernel/rseq.c:rseq: user memory that is written on each return to user mode */
ASYS_REFUSE(334, rseq, THREAD)

/* 336 to 423 were never assigned: no entry */

ASYS_ALLOW(424, pidfd_send_signal)
/*
 * io_uring/tctx.c:__io_uring_add_tctx_node: per-task context, created after a
 * sleep without a check
 */
ASYS_REFUSE(425, io_uring_setup, RING)
/*
 * io_uring/io_uring.c:io_cqring_wait: cq_wait_nr and the task work of a ring
 * have one waiter, the submitting task
 */
ASYS_REFUSE(426, io_uring_enter, RING)
/*
 * io_uring/register.c:__io_uring_register: as io_uring_setup; can quiesce the
 * task's own requests
 */
ASYS_REFUSE(427, io_uring_register, RING)
ASYS_ALLOW(428, open_tree)
ASYS_ALLOW(429, move_mount)
ASYS_ALLOW(430, fsopen)
ASYS_ALLOW(431, fsconfig)
ASYS_ALLOW(432, fsmount)
ASYS_ALLOW(433, fspick)
ASYS_ALLOW(434, pidfd_open)
ASYS_REFUSE(435, clone3, FORK)
/* fs/file.c:__close_range: CLOSE_RANGE_UNSHARE is an unshare(CLONE_FILES) */
ASYS_CHECK(436, close_range, close_range)
ASYS_ALLOW(437, openat2)
/* kernel/pid.c:pidfd_getfd: installs into this task's files_struct, as open does */
ASYS_ALLOW(438, pidfd_getfd)
ASYS_ALLOW(439, faccessat2)
ASYS_ALLOW(440, process_madvise)
/* kernel/signal.c:set_user_sigmask: as io_pgetevents */
ASYS_ALLOW(441, epoll_pwait2)
ASYS_ALLOW(442, mount_setattr)
ASYS_ALLOW(443, quotactl_fd)
/* security/landlock/syscalls.c: makes a file; only landlock_restrict_self applies it */
ASYS_ALLOW(444, landlock_create_ruleset)
ASYS_ALLOW(445, landlock_add_rule)
/* security/landlock/syscalls.c:landlock_restrict_self: commit_creds() */
ASYS_REFUSE(446, landlock_restrict_self, CRED)
ASYS_ALLOW(447, memfd_secret)
ASYS_ALLOW(448, process_mrelease)
ASYS_ALLOW(449, futex_waitv)
/* mm/mempolicy.c:set_mempolicy_home_node: of VMAs, as mbind */
ASYS_ALLOW(450, set_mempolicy_home_node)
ASYS_ALLOW(451, cachestat)
ASYS_ALLOW(452, fchmodat2)
/*
 * arch/x86/kernel/shstk.c:map_shadow_stack: maps one and writes its token; the
 * register that points to one stays
 */
ASYS_ALLOW(453, map_shadow_stack)
ASYS_ALLOW(454, futex_wake)
ASYS_ALLOW(455, futex_wait)
ASYS_ALLOW(456, futex_requeue)
ASYS_ALLOW(457, statmount)
ASYS_ALLOW(458, listmount)
ASYS_ALLOW(459, lsm_get_self_attr)
/* security/lsm_syscalls.c:lsm_set_self_attr: commit_creds(), as a write to /proc/self/attr/ */
ASYS_REFUSE(460, lsm_set_self_attr, CRED)
ASYS_ALLOW(461, lsm_list_modules)
ASYS_ALLOW(462, mseal)

/* 463 to 479 are not system calls of 6.12: no entry */

ASYS_REFUSE(480, asys_submit, SELF)
ASYS_REFUSE(481, asys_await_completion, SELF)
ASYS_REFUSE(482, asys_enter, SELF)
ASYS_REFUSE(483, asys_control, SELF)

#ifndef ASYS_IA32

/* Calls that i386 has not, or not under this name, or still has */

ASYS_ALLOW(43, accept)
/* ipc/sem.c:get_undo_list: SEM_UNDO relies on the second look at the list, after kzalloc() */
ASYS_ALLOW(65, semop)
ASYS_REFUSE(134, uselib, NOSYS)
ASYS_REFUSE(184, tuxcall, NOSYS)
ASYS_REFUSE(185, security, NOSYS)
ASYS_REFUSE(205, set_thread_area, NOSYS)
ASYS_REFUSE(211, get_thread_area, NOSYS)
ASYS_REFUSE(214, epoll_ctl_old, NOSYS)
ASYS_REFUSE(215, epoll_wait_old, NOSYS)
/* ipc/sem.c:get_undo_list: as semop */
ASYS_ALLOW(220, semtimedop)
ASYS_ALLOW(262, newfstatat)
/* kernel/kexec_file.c:kexec_file_load: as kexec_load */
ASYS_ALLOW(320, kexec_file_load)
/* arch/x86/kernel/uprobes.c:uretprobe: is the return from a probed user function */
ASYS_REFUSE(335, uretprobe, REGS)

#else

/*
 * Calls that x86-64 has not, or not under this name, in the order of
 * arch/x86/entry/syscalls/syscall_32.tbl.  Where calls differ in the width of
 * what they pass only, one has been looked at for all.
 */

/* kernel/exit.c:do_wait: as wait4 */
ASYS_ALLOW(7, waitpid)
ASYS_REFUSE(17, break, NOSYS)
ASYS_ALLOW(18, oldstat)
/* fs/namespace.c:mntput_no_expire: as umount2 */
ASYS_ALLOW(22, umount)
ASYS_ALLOW(25, stime)
ASYS_ALLOW(28, oldfstat)
ASYS_REFUSE(31, stty, NOSYS)
ASYS_REFUSE(32, gtty, NOSYS)
/* kernel/sched/syscalls.c:set_user_nice: as setpriority */
ASYS_ALLOW(34, nice)
ASYS_REFUSE(35, ftime, NOSYS)
ASYS_REFUSE(44, prof, NOSYS)
/* kernel/signal.c:do_sigaction: as rt_sigaction, all of these */
ASYS_REFUSE(48, signal, SIGNAL)
ASYS_REFUSE(53, lock, NOSYS)
ASYS_REFUSE(56, mpx, NOSYS)
ASYS_REFUSE(58, ulimit, NOSYS)
ASYS_ALLOW(59, oldolduname)
ASYS_REFUSE(67, sigaction, SIGNAL)
/* kernel/signal.c:sgetmask: current->blocked is home's, as in rt_sigprocmask */
ASYS_REFUSE(68, sgetmask, SIGNAL)
ASYS_REFUSE(69, ssetmask, SIGNAL)
ASYS_REFUSE(72, sigsuspend, SIGNAL)
/* kernel/signal.c:do_sigpending: as rt_sigpending */
ASYS_ALLOW(73, sigpending)
ASYS_ALLOW(84, oldlstat)
/* fs/exec.c:uselib: maps a file, as mmap */
ASYS_ALLOW(86, uselib)
ASYS_ALLOW(89, readdir)
ASYS_REFUSE(98, profil, NOSYS)
/*
 * net/compat.c: which call it is, it reads from user memory; as each of them
 * may be submitted, it need not be known here
 */
ASYS_ALLOW(102, socketcall)
ASYS_ALLOW(109, olduname)
ASYS_REFUSE(112, idle, NOSYS)
/* arch/x86/kernel/vm86_32.c is not for x86-64 */
ASYS_REFUSE(113, vm86old, NOSYS)
/* ipc/syscall.c:compat_ksys_ipc: any of the semaphore, message and memory calls, as socketcall */
ASYS_ALLOW(117, ipc)
/* arch/x86/kernel/signal_32.c:sigreturn: as rt_sigreturn */
ASYS_REFUSE(119, sigreturn, REGS)
ASYS_REFUSE(126, sigprocmask, SIGNAL)
ASYS_REFUSE(134, bdflush, NOSYS)
ASYS_ALLOW(140, _llseek)
ASYS_ALLOW(142, _newselect)
ASYS_REFUSE(166, vm86, NOSYS)
ASYS_ALLOW(191, ugetrlimit)
ASYS_ALLOW(192, mmap2)
ASYS_ALLOW(193, truncate64)
ASYS_ALLOW(194, ftruncate64)
ASYS_ALLOW(195, stat64)
ASYS_ALLOW(196, lstat64)
ASYS_ALLOW(197, fstat64)
ASYS_ALLOW(198, lchown32)
ASYS_ALLOW(199, getuid32)
ASYS_ALLOW(200, getgid32)
ASYS_ALLOW(201, geteuid32)
ASYS_ALLOW(202, getegid32)
ASYS_REFUSE(203, setreuid32, CRED)
ASYS_REFUSE(204, setregid32, CRED)
ASYS_ALLOW(205, getgroups32)
ASYS_REFUSE(206, setgroups32, CRED)
ASYS_ALLOW(207, fchown32)
ASYS_REFUSE(208, setresuid32, CRED)
ASYS_ALLOW(209, getresuid32)
ASYS_REFUSE(210, setresgid32, CRED)
ASYS_ALLOW(211, getresgid32)
ASYS_ALLOW(212, chown32)
ASYS_REFUSE(213, setuid32, CRED)
ASYS_REFUSE(214, setgid32, CRED)
ASYS_REFUSE(215, setfsuid32, CRED)
ASYS_REFUSE(216, setfsgid32, CRED)
ASYS_ALLOW(221, fcntl64)
ASYS_ALLOW(239, sendfile64)
/* arch/x86/kernel/tls.c:do_set_thread_area: loads home's TLS segments */
ASYS_REFUSE(243, set_thread_area, REGS)
ASYS_REFUSE(244, get_thread_area, REGS)
ASYS_ALLOW(268, statfs64)
ASYS_ALLOW(269, fstatfs64)
ASYS_ALLOW(272, fadvise64_64)
ASYS_ALLOW(300, fstatat64)
ASYS_ALLOW(403, clock_gettime64)
ASYS_ALLOW(404, clock_settime64)
ASYS_ALLOW(405, clock_adjtime64)
ASYS_ALLOW(406, clock_getres_time64)
ASYS_ALLOW(407, clock_nanosleep_time64)
ASYS_ALLOW(408, timer_gettime64)
ASYS_ALLOW(409, timer_settime64)
ASYS_ALLOW(410, timerfd_gettime64)
ASYS_ALLOW(411, timerfd_settime64)
ASYS_ALLOW(412, utimensat_time64)
/* kernel/signal.c:set_compat_user_sigmask: as io_pgetevents, in all of these */
ASYS_ALLOW(413, pselect6_time64)
ASYS_ALLOW(414, ppoll_time64)
ASYS_ALLOW(416, io_pgetevents_time64)
ASYS_ALLOW(417, recvmmsg_time64)
ASYS_ALLOW(418, mq_timedsend_time64)
ASYS_ALLOW(419, mq_timedreceive_time64)
/* ipc/sem.c:get_undo_list: as semtimedop */
ASYS_ALLOW(420, semtimedop_time64)
ASYS_REFUSE(421, rt_sigtimedwait_time64, SIGNAL)
ASYS_CHECK(422, futex_time64, futex)
ASYS_ALLOW(423, sched_rr_get_interval_time64)

#endif

#undef ASYS_ALLOW
#undef ASYS_CHECK
#undef ASYS_REFUSE
#undef ASYS_IA32
