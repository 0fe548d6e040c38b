/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests of the HTTP server: the server in a thread of its own, and a client that sends raw bytes. */
#ifndef TESTS_HTTP_CLIENT_H
#define TESTS_HTTP_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "boottime.h"
#include "edge/http.h"
#include "edge/loop.h"

/* Long enough for any machine; reached only when the server is broken. */
#define PATIENCE_SECONDS 30

struct server {
	struct http *http;
	pthread_t thread;
	pthread_mutex_t lock;
	int quit;
	uint16_t port;
};

static void *server_thread(void *context)
{
	struct server *server = context;

	for (;;) {
		struct pollfd fds[] = {{server->quit, POLLIN, 0}, {http_fd(server->http), POLLIN, 0}};

		pthread_mutex_lock(&server->lock);
		uint64_t deadline = http_deadline(server->http), now = boottime();
		pthread_mutex_unlock(&server->lock);
		uint64_t left_ms = deadline > now ? (deadline - now) / NSEC_PER_MSEC + 1 : 0;

		poll(fds, 2, deadline == UINT64_MAX || left_ms > 60000 ? -1 : (int)left_ms);
		if (fds[0].revents)
			return NULL;
		pthread_mutex_lock(&server->lock);
		int r = http_run(server->http);
		pthread_mutex_unlock(&server->lock);
		if (r)
			return (void *)"http_run failed";
	}
}

static void server_publish(struct server *server, const struct snapshot *snapshot)
{
	pthread_mutex_lock(&server->lock);
	http_publish(server->http, snapshot);
	pthread_mutex_unlock(&server->lock);
}

static void server_start(struct server *server, struct http_options options)
{
	struct explain explain;

	if (!options.listen)
		options.listen = "127.0.0.1:0";
	pthread_mutex_init(&server->lock, NULL);
	server->quit = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(http_open(&options, &server->http, &explain), 0);
	server->port = (uint16_t)atoi(strrchr(http_name(server->http), ':') + 1);
	assert_true(server->port > 0);
	assert_int_equal(pthread_create(&server->thread, NULL, server_thread, server), 0);
}

static void server_stop(struct server *server)
{
	void *failure;

	assert_int_equal(eventfd_write(server->quit, 1), 0);
	pthread_join(server->thread, &failure);
	assert_null(failure);
	http_close(server->http);
	close(server->quit);
}

/* A connection from 127.0.0.`from`. */
static int client_open(const struct server *server, uint8_t from)
{
	const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	address.sin_addr.s_addr = htonl(0x7f000000 | from);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons(server->port);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* False: the server has closed. */
static bool client_send(int fd, const void *bytes, size_t size)
{
	for (size_t sent = 0; sent < size;) {
		ssize_t n = send(fd, (const char *)bytes + sent, size - sent, MSG_NOSIGNAL);

		if (n < 0)
			return false;
		sent += (size_t)n;
	}
	return true;
}

/* Reads until the server closes or `enough` bytes are there; caller frees. A server that neither
 * answers nor closes fails the test. */
static char *client_read(int fd, size_t enough, size_t *ret_size)
{
	size_t room = 1 << 16, size = 0;
	char *bytes = malloc(room + 1);

	while (size < enough) {
		if (size == room)
			bytes = realloc(bytes, (room *= 2) + 1);
		ssize_t n = recv(fd, bytes + size, room - size, 0);

		if (n < 0 && errno == EAGAIN)
			fail_msg("the server neither answers nor closes");
		if (n <= 0)
			break;
		size += (size_t)n;
	}
	bytes[size] = '\0';
	if (ret_size)
		*ret_size = size;
	return bytes;
}

/* One request on a connection of its own; `head` is request line and headers, each with CR LF, without
 * the empty line and Connection. */
static char *client_ask(const struct server *server, uint8_t from, const char *head, size_t *ret_size)
{
	int fd = client_open(server, from);

	client_send(fd, head, strlen(head));
	client_send(fd, "Host: x\r\nConnection: close\r\n\r\n", 30);
	char *answer = client_read(fd, SIZE_MAX, ret_size);

	close(fd);
	return answer;
}

static int status_of(const char *answer)
{
	int status = 0;

	sscanf(answer, "HTTP/1.1 %d", &status);
	return status;
}

#endif
