// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * echo-client PORT CLIENTS: so many connections at a time to an echo server,
 * each with data of its own, all of which has to come back, and then the end.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS	8
#define MOST	10000

static size_t fill(char *buf, int client, int round)
{
	uint32_t x = client * 2654435761U + round * 40503U + 1;
	size_t size = 1 + x % MOST, i;

	for (i = 0; i < size; i++) {
		x = x * 1664525 + 1013904223;
		buf[i] = (char)(x >> 24);
	}
	return size;
}

static int try_connect(int port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	addr.sin_port = htons((uint16_t)port);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		err(1, "socket");
	/* The server may not have come so far. */
	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		if (errno != ECONNREFUSED)
			err(1, "connect");
		usleep(10000);
	}
	return fd;
}

int main(int argc, char **argv)
{
	char sent[MOST], got[MOST];
	unsigned long bytes = 0;
	int i, nr, round, *fds;
	size_t size;

	if (argc != 3)
		errx(1, "usage: echo-client port clients");
	nr = atoi(argv[2]);
	fds = calloc(nr, sizeof(*fds));
	if (!fds)
		err(1, "calloc");
	for (i = 0; i < nr; i++)
		fds[i] = try_connect(atoi(argv[1]));

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < nr; i++) {
			size = fill(sent, i, round);
			if (send(fds[i], sent, size, 0) != (ssize_t)size)
				err(1, "send");
		}
		for (i = 0; i < nr; i++) {
			size = fill(sent, i, round);
			if (recv(fds[i], got, size, MSG_WAITALL) != (ssize_t)size)
				err(1, "recv");
			if (memcmp(got, sent, size))
				errx(1, "client %d has got something else", i);
			bytes += size;
		}
	}
	for (i = 0; i < nr; i++) {
		if (shutdown(fds[i], SHUT_WR) || recv(fds[i], got, 1, 0))
			errx(1, "client %d has got too much", i);
	}
	printf("%d clients, %lu bytes\n", nr, bytes);
	return 0;
}
