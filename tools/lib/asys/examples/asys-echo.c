// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A TCP server that sends back what it receives: any number of clients, one
 * thread, and plain blocking calls, each of which goes on in a closure.
 */
#include <arpa/inet.h>
#include <asys.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE	4096
#define ENTRIES		256

struct client {
	struct asys_closure received, sent;
	int fd;
	/* so much of the buffer is to be sent, so much has been */
	size_t size, done;
	char buffer[BUFFER_SIZE];
};

static int listener;
static struct asys_closure accepted;
static bool accepting;
static unsigned int clients, max_clients;
static unsigned long served;

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	stop = sig;
}

/* A request, or NULL if there is to be none. */
static struct asys_request *get(struct asys *a)
{
	return stop ? NULL : asys_get_request(a);
}

/* Have one accept() in flight, as long as there may be more clients. */
static void accept_next(struct asys *a)
{
	struct asys_request *req;

	if (accepting || clients >= max_clients)
		return;
	req = get(a);
	/* It will be tried again when a client has gone. */
	if (!req)
		return;
	asys_prep_accept4(req, listener, NULL, NULL, SOCK_CLOEXEC);
	asys_set_closure(req, &accepted);
	accepting = true;
}

static void drop(struct asys *a, struct client *c)
{
	close(c->fd);
	free(c);
	clients--;
	accept_next(a);
}

static void receive(struct asys *a, struct client *c)
{
	struct asys_request *req = get(a);

	if (!req) {
		drop(a, c);
		return;
	}
	asys_prep_recv(req, c->fd, c->buffer, sizeof(c->buffer), 0);
	asys_set_closure(req, &c->received);
}

static void send_rest(struct asys *a, struct client *c)
{
	struct asys_request *req = get(a);

	if (!req) {
		drop(a, c);
		return;
	}
	asys_prep_send(req, c->fd, c->buffer + c->done, c->size - c->done,
		       MSG_NOSIGNAL);
	asys_set_closure(req, &c->sent);
}

static void on_received(struct asys *a, long result, void *data)
{
	struct client *c = data;

	/* The end, or an error, which is the same to us */
	if (result <= 0) {
		drop(a, c);
		return;
	}
	c->size = (size_t)result;
	c->done = 0;
	send_rest(a, c);
}

static void on_sent(struct asys *a, long result, void *data)
{
	struct client *c = data;

	if (result < 0) {
		drop(a, c);
		return;
	}
	c->done += (size_t)result;
	if (c->done < c->size)
		send_rest(a, c);
	else
		receive(a, c);
}

static void on_accepted(struct asys *a, long result, void *data)
{
	struct client *c;

	(void)data;
	accepting = false;
	switch (result) {
	case -ECANCELED:
		return;
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -ENOMEM:
		/* So many, and not more, until one has gone */
		if (!clients)
			errx(1, "accept: %s", strerror((int)-result));
		max_clients = clients;
		return;
	case -EBADF:
	case -EINVAL:
	case -EOPNOTSUPP:
		errx(1, "accept: %s", strerror((int)-result));
	}
	/* Any other error is that of one connection. */
	if (result >= 0) {
		c = malloc(sizeof(*c));
		if (!c)
			err(1, "malloc");
		c->fd = (int)result;
		c->received.fn = on_received;
		c->received.data = c;
		c->sent.fn = on_sent;
		c->sent.data = c;
		clients++;
		served++;
		receive(a, c);
	}
	accept_next(a);
}

static void listen_on(const char *port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int one = 1;

	addr.sin_port = htons((uint16_t)atoi(port));
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0)
		err(1, "socket");
	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(listener, SOMAXCONN))
		err(1, "port %s", port);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked, before;
	struct asys_info info;
	struct asys a;
	int error;

	if (argc != 2)
		errx(1, "usage: asys-echo port");
	error = asys_probe(&info);
	if (!error)
		error = asys_init(&a, ENTRIES, ASYS_SETUP_DEFER);
	if (error)
		errx(1, "asys_init: %s", strerror(-error));
	/* Each client has one call in flight. */
	max_clients = info.fibrils_max - info.fibrils_max / 8;

	/* Signals come while it waits, and at no other time. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);

	listen_on(argv[1]);
	accepted.fn = on_accepted;
	accept_next(&a);
	while (!stop) {
		error = asys_submit_and_wait_for(&a, 1, NULL, &before);
		if (error && error != -EINTR)
			errx(1, "asys_submit_and_wait_for: %s", strerror(-error));
		asys_step(&a, false);
	}

	/* Calls in flight end, and with them their clients. */
	asys_cancel_all(&a);
	asys_run(&a);
	asys_exit(&a);
	printf("%lu clients, %u left\n", served, clients);
	return 0;
}
