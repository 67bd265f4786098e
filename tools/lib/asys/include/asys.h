/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * libasys: asynchronous system calls, for programs; see asys(7).
 *
 * - Everything that can fail returns a negative errno. The variable errno is
 *   neither read nor written.
 * - There is no global state. A struct asys belongs to the thread that has
 *   initialised it: only that thread may use it, and it can have but one.
 * - Every request that was got from asys_get_request() has exactly one result.
 */
#ifndef LIBASYS_ASYS_H
#define LIBASYS_ASYS_H

/*
 * On i386, calls take offsets in two arguments, and which of them fits struct
 * timespec or struct stat depends on the C library and on how it is used.
 */
#if !defined(__x86_64__) || defined(__ILP32__)
#error "libasys is for 64-bit programs on x86"
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include <linux/asys.h>
#include <linux/futex.h>

#ifdef __cplusplus
extern "C" {
#endif

struct epoll_event;
struct pollfd;
struct stat;
struct statx;
struct timespec;

/* A request that the kernel does not take is answered where it stands. */
union asys_slot {
	struct asys_request request;
	struct asys_completion completion;
};

/*
 * The calls of a thread. The members are the library's: programs use the
 * functions below.
 *
 * A slot holds a completion from @seen up to @refused, and a request from there
 * up to @end. So what was refused needs no memory of its own, and what is to be
 * submitted is an array.
 */
struct asys {
	struct asys_ring *ring;
	/* entries of the ring, a power of 2, minus 1 */
	unsigned int mask;
	/* ASYS_ENTER_* */
	unsigned int flags;
	union asys_slot *slot;
	unsigned int slots;
	unsigned int seen;
	unsigned int refused;
	unsigned int end;
	/* taken by the kernel, and their completions not yet by the program */
	unsigned int in_flight;
	/* of the memory for the ring and the slots */
	size_t size;
};

/**
 * struct asys_closure - what to do when a call has finished
 * @fn: is called with the result of the call and @data
 * @data: whatever @fn needs
 *
 * It belongs to the library until @fn is called. @fn may do anything with it,
 * such as free it, and anything with the &struct asys except asys_exit().
 */
struct asys_closure {
	void (*fn)(struct asys *a, long result, void *data);
	void *data;
};

/* Setting up: asys_init(3) */
int asys_probe(struct asys_info *info);
int asys_init(struct asys *a, unsigned int entries, unsigned int flags);
void asys_exit(struct asys *a);
int asys_set_eventfd(struct asys *a, int fd);

/* Requests: asys_get_request(3), asys_submit_requests(3) */
struct asys_request *asys_get_request(struct asys *a);
int asys_submit_requests(struct asys *a);
int asys_submit_and_wait(struct asys *a, unsigned int min);
int asys_submit_and_wait_for(struct asys *a, unsigned int min,
			     const struct timespec *timeout,
			     const sigset_t *sigmask);

/* Results: asys_take(3) */
bool asys_take(struct asys *a, struct asys_completion *comp);
int asys_next(struct asys *a, struct asys_completion *comp);
unsigned int asys_ready(struct asys *a);
unsigned int asys_pending(const struct asys *a);

/**
 * asys_for_each() - take the results that are there, one after the other
 * @a: calls of this thread
 * @comp: a &struct asys_completion, which is each of them in turn
 *
 * The statement after it is executed for each. It takes as many as there are
 * when it begins, and so it comes to an end, whatever the statement submits.
 */
#define asys_for_each(a, comp)						\
	for (unsigned int _asys_left = asys_ready(a);			\
	     _asys_left && asys_take(a, &(comp)); _asys_left--)

/* Closures: asys_run(3) */
int asys_step(struct asys *a, bool wait);
int asys_run(struct asys *a);

/* Cancelling: asys_cancel(3) */
int asys_cancel(struct asys *a, uint64_t cookie);
int asys_cancel_all(struct asys *a);

/*
 * What a request says beside its call: asys_set_cookie(3). A request comes from
 * asys_get_request() with none of this.
 */

/**
 * asys_set_cookie() - what to know the completion by
 * @req: request
 * @cookie: any number
 */
static inline void asys_set_cookie(struct asys_request *req, uint64_t cookie)
{
	req->cookie = cookie;
}

/**
 * asys_set_data() - the same, for an address
 * @req: request
 * @data: the cookie
 */
static inline void asys_set_data(struct asys_request *req, void *data)
{
	req->cookie = (uintptr_t)data;
}

/**
 * asys_set_closure() - what to do when the call has finished
 * @req: request
 * @closure: its address is the cookie
 */
static inline void asys_set_closure(struct asys_request *req,
				    struct asys_closure *closure)
{
	req->cookie = (uintptr_t)closure;
}

/**
 * asys_set_timeout() - when the call is to end, with %-ETIMEDOUT
 * @req: request; in a chain, the first one
 * @usec: so many microseconds after it has gone to sleep; 0: never
 */
static inline void asys_set_timeout(struct asys_request *req, uint32_t usec)
{
	req->timeout = usec;
}

/**
 * asys_set_link() - make the next request after this one, if this one succeeds
 * @req: request
 */
static inline void asys_set_link(struct asys_request *req)
{
	req->flags |= ASYS_R_LINK;
}

/**
 * asys_use_result() - take an argument from an earlier call of the chain
 * @req: request
 * @arg: which argument, 0 to 5
 * @back: of which call: so many requests before this one, 1 to 15
 *
 * Other numbers make the kernel refuse the chain.
 */
static inline void asys_use_result(struct asys_request *req, unsigned int arg,
				   unsigned int back)
{
	bool good = arg < 6 && back > 0 && back < ASYS_CHAIN_MAX;

	req->use = (uint8_t)(good ? ASYS_USE(arg, back) : ASYS_USE(7, 1));
}

/**
 * asys_completion_data() - the other end of asys_set_data()
 * @comp: completion
 *
 * Return: the address that the request was given.
 */
static inline void *asys_completion_data(const struct asys_completion *comp)
{
	return (void *)(uintptr_t)comp->cookie;
}

/**
 * asys_call_closure() - do what the closure of a finished call says
 * @a: calls of this thread
 * @comp: completion of a request with a closure, or with none: a cookie of 0
 *
 * asys_step() and asys_run() do this with every completion. Only a program that
 * takes completions itself, and has closures as well, needs it.
 */
static inline void asys_call_closure(struct asys *a,
				     const struct asys_completion *comp)
{
	struct asys_closure *closure;

	closure = (struct asys_closure *)asys_completion_data(comp);
	if (closure)
		closure->fn(a, (long)comp->return_code, closure->data);
}

/**
 * asys_cancel_closure() - asys_cancel() for a request with a closure
 * @a: calls of this thread
 * @closure: that of the request
 *
 * Return: as asys_cancel().
 */
static inline int asys_cancel_closure(struct asys *a,
				      const struct asys_closure *closure)
{
	return asys_cancel(a, (uintptr_t)closure);
}

/**
 * asys_prep() - say which call to make
 * @req: request
 * @nr: number of the call, __NR_*
 * @a0: its first argument
 * @a1: and so on; what the call does not have is not looked at
 * @a2: third
 * @a3: fourth
 * @a4: fifth
 * @a5: sixth
 *
 * Nothing else of the request changes. A number that does not fit is one that no
 * call has.
 */
static inline void asys_prep(struct asys_request *req, int nr, uint64_t a0,
			     uint64_t a1, uint64_t a2, uint64_t a3,
			     uint64_t a4, uint64_t a5)
{
	req->nr = (uint16_t)(nr >= 0 && nr <= ASYS_NOP ? nr : ASYS_NOP - 1);
	req->args[0] = a0;
	req->args[1] = a1;
	req->args[2] = a2;
	req->args[3] = a3;
	req->args[4] = a4;
	req->args[5] = a5;
}

/*
 * The same for calls that are made often: asys_prep(3). After the request come
 * the arguments of the call. What they point to belongs to the call until it
 * has finished.
 */

/* No call: finishes at once, with 0. */
static inline void asys_prep_nop(struct asys_request *req)
{
	asys_prep(req, ASYS_NOP, 0, 0, 0, 0, 0, 0);
}

/* Files */

static inline void asys_prep_read(struct asys_request *req, int fd, void *buf,
				  size_t count)
{
	asys_prep(req, __NR_read, fd, (uintptr_t)buf, count, 0, 0, 0);
}

static inline void asys_prep_write(struct asys_request *req, int fd,
				   const void *buf, size_t count)
{
	asys_prep(req, __NR_write, fd, (uintptr_t)buf, count, 0, 0, 0);
}

static inline void asys_prep_pread(struct asys_request *req, int fd, void *buf,
				   size_t count, int64_t offset)
{
	asys_prep(req, __NR_pread64, fd, (uintptr_t)buf, count, offset, 0, 0);
}

static inline void asys_prep_pwrite(struct asys_request *req, int fd,
				    const void *buf, size_t count,
				    int64_t offset)
{
	asys_prep(req, __NR_pwrite64, fd, (uintptr_t)buf, count, offset, 0, 0);
}

static inline void asys_prep_readv(struct asys_request *req, int fd,
				   const struct iovec *iov, int iovcnt)
{
	asys_prep(req, __NR_readv, fd, (uintptr_t)iov, iovcnt, 0, 0, 0);
}

static inline void asys_prep_writev(struct asys_request *req, int fd,
				    const struct iovec *iov, int iovcnt)
{
	asys_prep(req, __NR_writev, fd, (uintptr_t)iov, iovcnt, 0, 0, 0);
}

static inline void asys_prep_openat(struct asys_request *req, int dirfd,
				    const char *path, int flags, mode_t mode)
{
	asys_prep(req, __NR_openat, dirfd, (uintptr_t)path, flags, mode, 0, 0);
}

static inline void asys_prep_close(struct asys_request *req, int fd)
{
	asys_prep(req, __NR_close, fd, 0, 0, 0, 0, 0);
}

static inline void asys_prep_fstat(struct asys_request *req, int fd,
				   struct stat *st)
{
	asys_prep(req, __NR_fstat, fd, (uintptr_t)st, 0, 0, 0, 0);
}

static inline void asys_prep_statx(struct asys_request *req, int dirfd,
				   const char *path, int flags,
				   unsigned int mask, struct statx *stx)
{
	asys_prep(req, __NR_statx, dirfd, (uintptr_t)path, flags, mask,
		  (uintptr_t)stx, 0);
}

static inline void asys_prep_fsync(struct asys_request *req, int fd)
{
	asys_prep(req, __NR_fsync, fd, 0, 0, 0, 0, 0);
}

static inline void asys_prep_fdatasync(struct asys_request *req, int fd)
{
	asys_prep(req, __NR_fdatasync, fd, 0, 0, 0, 0, 0);
}

static inline void asys_prep_fallocate(struct asys_request *req, int fd,
				       int mode, int64_t offset, int64_t len)
{
	asys_prep(req, __NR_fallocate, fd, mode, offset, len, 0, 0);
}

static inline void asys_prep_ftruncate(struct asys_request *req, int fd,
				       int64_t length)
{
	asys_prep(req, __NR_ftruncate, fd, length, 0, 0, 0, 0);
}

static inline void asys_prep_splice(struct asys_request *req, int fd_in,
				    int64_t *off_in, int fd_out,
				    int64_t *off_out, size_t len,
				    unsigned int flags)
{
	asys_prep(req, __NR_splice, fd_in, (uintptr_t)off_in, fd_out,
		  (uintptr_t)off_out, len, flags);
}

static inline void asys_prep_copy_file_range(struct asys_request *req,
					     int fd_in, int64_t *off_in,
					     int fd_out, int64_t *off_out,
					     size_t len, unsigned int flags)
{
	asys_prep(req, __NR_copy_file_range, fd_in, (uintptr_t)off_in, fd_out,
		  (uintptr_t)off_out, len, flags);
}

/* Directories and names */

static inline void asys_prep_getdents64(struct asys_request *req, int fd,
					void *buf, size_t count)
{
	asys_prep(req, __NR_getdents64, fd, (uintptr_t)buf, count, 0, 0, 0);
}

static inline void asys_prep_readlinkat(struct asys_request *req, int dirfd,
					const char *path, char *buf,
					size_t size)
{
	asys_prep(req, __NR_readlinkat, dirfd, (uintptr_t)path, (uintptr_t)buf,
		  size, 0, 0);
}

/* With flags: faccessat2(2) */
static inline void asys_prep_faccessat(struct asys_request *req, int dirfd,
				       const char *path, int mode, int flags)
{
	asys_prep(req, __NR_faccessat2, dirfd, (uintptr_t)path, mode, flags,
		  0, 0);
}

static inline void asys_prep_unlinkat(struct asys_request *req, int dirfd,
				      const char *path, int flags)
{
	asys_prep(req, __NR_unlinkat, dirfd, (uintptr_t)path, flags, 0, 0, 0);
}

static inline void asys_prep_renameat2(struct asys_request *req, int olddirfd,
				       const char *oldpath, int newdirfd,
				       const char *newpath, unsigned int flags)
{
	asys_prep(req, __NR_renameat2, olddirfd, (uintptr_t)oldpath, newdirfd,
		  (uintptr_t)newpath, flags, 0);
}

static inline void asys_prep_mkdirat(struct asys_request *req, int dirfd,
				     const char *path, mode_t mode)
{
	asys_prep(req, __NR_mkdirat, dirfd, (uintptr_t)path, mode, 0, 0, 0);
}

static inline void asys_prep_linkat(struct asys_request *req, int olddirfd,
				    const char *oldpath, int newdirfd,
				    const char *newpath, int flags)
{
	asys_prep(req, __NR_linkat, olddirfd, (uintptr_t)oldpath, newdirfd,
		  (uintptr_t)newpath, flags, 0);
}

static inline void asys_prep_symlinkat(struct asys_request *req,
				       const char *target, int newdirfd,
				       const char *path)
{
	asys_prep(req, __NR_symlinkat, (uintptr_t)target, newdirfd,
		  (uintptr_t)path, 0, 0, 0);
}

static inline void asys_prep_getxattr(struct asys_request *req,
				      const char *path, const char *name,
				      void *value, size_t size)
{
	asys_prep(req, __NR_getxattr, (uintptr_t)path, (uintptr_t)name,
		  (uintptr_t)value, size, 0, 0);
}

/* Sockets */

static inline void asys_prep_accept4(struct asys_request *req, int fd,
				     struct sockaddr *addr, socklen_t *len,
				     int flags)
{
	asys_prep(req, __NR_accept4, fd, (uintptr_t)addr, (uintptr_t)len,
		  flags, 0, 0);
}

static inline void asys_prep_connect(struct asys_request *req, int fd,
				     const struct sockaddr *addr, socklen_t len)
{
	asys_prep(req, __NR_connect, fd, (uintptr_t)addr, len, 0, 0, 0);
}

static inline void asys_prep_sendto(struct asys_request *req, int fd,
				    const void *buf, size_t count, int flags,
				    const struct sockaddr *addr, socklen_t len)
{
	asys_prep(req, __NR_sendto, fd, (uintptr_t)buf, count, flags,
		  (uintptr_t)addr, len);
}

static inline void asys_prep_recvfrom(struct asys_request *req, int fd,
				      void *buf, size_t count, int flags,
				      struct sockaddr *addr, socklen_t *len)
{
	asys_prep(req, __NR_recvfrom, fd, (uintptr_t)buf, count, flags,
		  (uintptr_t)addr, (uintptr_t)len);
}

/* sendto() and recvfrom() without an address */
static inline void asys_prep_send(struct asys_request *req, int fd,
				  const void *buf, size_t count, int flags)
{
	asys_prep_sendto(req, fd, buf, count, flags, NULL, 0);
}

static inline void asys_prep_recv(struct asys_request *req, int fd, void *buf,
				  size_t count, int flags)
{
	asys_prep_recvfrom(req, fd, buf, count, flags, NULL, NULL);
}

static inline void asys_prep_sendmsg(struct asys_request *req, int fd,
				     const struct msghdr *msg, int flags)
{
	asys_prep(req, __NR_sendmsg, fd, (uintptr_t)msg, flags, 0, 0, 0);
}

static inline void asys_prep_recvmsg(struct asys_request *req, int fd,
				     struct msghdr *msg, int flags)
{
	asys_prep(req, __NR_recvmsg, fd, (uintptr_t)msg, flags, 0, 0, 0);
}

static inline void asys_prep_shutdown(struct asys_request *req, int fd, int how)
{
	asys_prep(req, __NR_shutdown, fd, how, 0, 0, 0, 0);
}

/* Waiting. A signal mask would have no effect: the calls are without one. */

static inline void asys_prep_poll(struct asys_request *req, struct pollfd *fds,
				  unsigned long nfds, int timeout)
{
	asys_prep(req, __NR_poll, (uintptr_t)fds, nfds, timeout, 0, 0, 0);
}

/* What is left of the time is stored in *timeout. */
static inline void asys_prep_ppoll(struct asys_request *req, struct pollfd *fds,
				   unsigned long nfds, struct timespec *timeout)
{
	asys_prep(req, __NR_ppoll, (uintptr_t)fds, nfds, (uintptr_t)timeout,
		  0, 0, 0);
}

static inline void asys_prep_epoll_wait(struct asys_request *req, int epfd,
					struct epoll_event *events,
					int maxevents, int timeout)
{
	asys_prep(req, __NR_epoll_wait, epfd, (uintptr_t)events, maxevents,
		  timeout, 0, 0);
}

static inline void asys_prep_nanosleep(struct asys_request *req,
				       const struct timespec *time)
{
	asys_prep(req, __NR_nanosleep, (uintptr_t)time, 0, 0, 0, 0, 0);
}

static inline void asys_prep_clock_nanosleep(struct asys_request *req,
					     clockid_t clockid, int flags,
					     const struct timespec *time)
{
	asys_prep(req, __NR_clock_nanosleep, clockid, flags, (uintptr_t)time,
		  0, 0, 0);
}

/* flags: FUTEX_PRIVATE_FLAG, if no other process uses the futex */
static inline void asys_prep_futex_wait(struct asys_request *req,
					uint32_t *uaddr, uint32_t val,
					int flags,
					const struct timespec *timeout)
{
	asys_prep(req, __NR_futex, (uintptr_t)uaddr, FUTEX_WAIT | flags, val,
		  (uintptr_t)timeout, 0, 0);
}

static inline void asys_prep_futex_wake(struct asys_request *req,
					uint32_t *uaddr, int nr, int flags)
{
	asys_prep(req, __NR_futex, (uintptr_t)uaddr, FUTEX_WAKE | flags, nr,
		  0, 0, 0);
}

/* info: a siginfo_t, or NULL */
static inline void asys_prep_waitid(struct asys_request *req, int idtype,
				    unsigned int id, void *info, int options)
{
	asys_prep(req, __NR_waitid, idtype, id, (uintptr_t)info, options, 0, 0);
}

#ifdef __cplusplus
}
#endif

#endif /* LIBASYS_ASYS_H */
