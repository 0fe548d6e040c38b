/* SPDX-License-Identifier: GPL-2.0-only */
/* The HTTP server and clients that mean no good: it survives (under ASan), and others are served. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/resource.h>

#include "boottime.h"
#include "fixture_export.h"
#include "http_client.h"

#define BLOCK_SIZE (1 << 20)

/* A client at another address is served as if nothing were. */
static void assert_serves(const struct server *server)
{
	_cleanup_(freep) char *answer = client_ask(server, 2, "GET /metrics HTTP/1.1\r\n", NULL);

	if (status_of(answer) != 200 || !strstr(answer, "poolscope_processes{process=\"recsys-api\"} 2\n"))
		fail_msg("not served: %.200s", answer);
}

static int start(void **state)
{
	struct server *server = calloc(1, sizeof(*server));

	server_start(server, (struct http_options){.max_connections = 32, .timeout_seconds = 1});
	server_publish(server, &fixture_snapshot);
	*state = server;
	return 0;
}

static int stop(void **state)
{
	server_stop(*state);
	free(*state);
	return 0;
}

/* `head`, then BLOCK_SIZE times `filler`, as much as the server takes. */
static int status_of_flood(struct server *server, const char *head, char filler)
{
	_cleanup_(freep) char *block = malloc(BLOCK_SIZE);
	int fd = client_open(server, 1);

	memset(block, filler, BLOCK_SIZE);
	client_send(fd, head, strlen(head));
	client_send(fd, block, BLOCK_SIZE);
	_cleanup_(freep) char *answer = client_read(fd, SIZE_MAX, NULL);
	close(fd);
	assert_null(strstr(answer, " 200 "));
	return status_of(answer);
}

static void test_huge_requests(void **state)
{
	/* The answer may be lost when the server closes on unread bytes: then the status reads 0. */
	int url = status_of_flood(*state, "GET /", 'a');
	int header = status_of_flood(*state, "GET /metrics HTTP/1.1\r\nHost: x\r\nX: ", 'a');
	int method = status_of_flood(*state, "", 'A');

	assert_true(url == 0 || url == 414 || url == 400);
	assert_true(header == 0 || header == 431 || header == 413);
	assert_true(method == 0 || method >= 400);
	assert_serves(*state);
}

static void test_requests_that_are_none(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
	} cases[] = {
#define BYTES(text) {text, sizeof(text) - 1}
		BYTES("\r\n\r\n\r\n\r\n"),
		BYTES("\0\0\0\0\r\n\r\n"),
		BYTES("GET\r\n\r\n"),
		BYTES("GET /metrics\r\n\r\n"),
		BYTES("GET /metrics HTTP/9.9\r\n\r\n"),
		BYTES("GET /metrics HTTP/1.1\r\n\r\n"), /* no Host */
		BYTES("GET /metrics HTTP/1.1\r\nHost x\r\n\r\n"),
		BYTES("GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
		BYTES("GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n"),
		BYTES("POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"),
		BYTES("GET /%00%ff%2e%2e/%zz HTTP/1.1\r\nHost: x\r\n\r\n"),
		BYTES("GET /metr\0ics HTTP/1.1\r\nHost: x\r\n\r\n"),
		BYTES("GET http://evil/metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
		BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), /* TLS */
		BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		BYTES("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"),
		BYTES("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: ;;;,,,q=,\"\\\r\nAccept-Encoding: ;;q=\"\r\n\r\n"),
		BYTES("GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n"),
	};

	int fds[ARRAY_SIZE(cases)];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fds[i] = client_open(*state, 3 + (uint8_t)(i % 4));
		client_send(fds[i], cases[i].bytes, cases[i].size);
		shutdown(fds[i], SHUT_WR);
	}
	assert_serves(*state);
	/* What the server owes to a sender that shuts its side is an answer or an end, never a wait. */
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *answer = client_read(fds[i], SIZE_MAX, NULL);
		close(fds[i]);
	}
	assert_serves(*state);
}

/* Every prefix of a request, then gone: with a FIN and with a reset. */
static void test_half_a_request_then_gone(void **state)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n";
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	for (size_t size = 0; size < sizeof(request); size++) {
		int fd = client_open(*state, 1);

		client_send(fd, request, size);
		if (size % 2)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
	}
	assert_serves(*state);
}

/* One address takes all it can get and sits on it: there is still room for another address. */
static void test_a_hoarder_leaves_room_for_others(void **state)
{
	int fds[100];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = client_open(*state, 1);
		client_send(fds[i], "GET /metrics HTTP/1.1\r\n", 23);
	}
	assert_serves(*state);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	assert_serves(*state);
}

/* Many addresses fill every place and say nothing: the timeout frees them, and the next is served. */
static void test_full_house_empties_itself(void **state)
{
	int fds[64];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = client_open(*state, 3 + (uint8_t)(i % 8));
	assert_serves(*state);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

/* A byte now and then defeats a timeout that begins anew with each byte; the request as a whole ends. */
static void test_a_trickler_is_ended(void **state)
{
	static const char start_line[] = "GET /metrics HTTP/1.1\r\nX: ";
	int fd = client_open(*state, 1);
	uint64_t give_up_ns = boottime() + PATIENCE_SECONDS * NSEC_PER_SEC;
	struct pollfd closed = {fd, POLLIN, 0};

	assert_true(client_send(fd, start_line, sizeof(start_line) - 1));
	while (boottime() < give_up_ns && poll(&closed, 1, 200) == 0) {
		if (!client_send(fd, "a", 1))
			break;
	}
	assert_true(boottime() < give_up_ns);
	close(fd);
	assert_serves(*state);
}

/* Pipelined requests of a client that reads nothing: what waits for it is bounded, and it is ended. */
static void test_a_client_that_does_not_read(void **state)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	const int small = 4096;
	struct rusage usage;
	int fd = client_open(*state, 1);

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (int i = 0; i < 20000; i++) {
		if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
	}
	for (int i = 0; i < 50; i++) {
		server_publish(*state, &fixture_snapshot);
		assert_serves(*state);
	}
	close(fd);
	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	assert_true(usage.ru_maxrss < 1 << 20); /* KiB: a gigabyte would be a flood, ASan included */
}

/* Noise in every length; what counts is that the server outlives it. */
static void test_noise(void **state)
{
	static const char *const words[] = {"GET ", "/metrics", " HTTP/1.1", "\r\n", "Host: x", "\r\n\r\n", ":", "\0",
					    "Content-Length: 3", "Transfer-Encoding: chunked", "\xff\xfe", "Accept: "};
	uint32_t seed = 42;

	for (int round = 0; round < 300; round++) {
		int fd = client_open(*state, 1);

		for (int i = 0; i < 12; i++) {
			seed = seed * 1664525 + 1013904223;
			const char *word = words[(seed >> 16) % ARRAY_SIZE(words)];

			client_send(fd, word, *word ? strlen(word) : 1);
		}
		close(fd);
	}
	assert_serves(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_huge_requests, start, stop),
		cmocka_unit_test_setup_teardown(test_requests_that_are_none, start, stop),
		cmocka_unit_test_setup_teardown(test_half_a_request_then_gone, start, stop),
		cmocka_unit_test_setup_teardown(test_a_hoarder_leaves_room_for_others, start, stop),
		cmocka_unit_test_setup_teardown(test_full_house_empties_itself, start, stop),
		cmocka_unit_test_setup_teardown(test_a_trickler_is_ended, start, stop),
		cmocka_unit_test_setup_teardown(test_a_client_that_does_not_read, start, stop),
		cmocka_unit_test_setup_teardown(test_noise, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
