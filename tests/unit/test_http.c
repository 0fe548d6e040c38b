/* SPDX-License-Identifier: GPL-2.0-only */
/* The HTTP server as a well-meaning client sees it: routes, formats, gzip, health, one rendering a
 * snapshot, and what is said when it cannot listen. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <zlib.h>

#include "boottime.h"
#include "edge/http_listen.h"
#include "edge/selfstat.h"
#include "fixture_export.h"
#include "http_client.h"

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

static const char *body_of(const char *answer)
{
	const char *body = strstr(answer, "\r\n\r\n");

	assert_non_null(body);
	return body + 4;
}

static int start(void **state)
{
	struct server *server = calloc(1, sizeof(*server));

	server_start(server, (struct http_options){.version = "1.2-test"});
	*state = server;
	return 0;
}

static int stop(void **state)
{
	server_stop(*state);
	free(*state);
	return 0;
}

static void test_routes(void **state)
{
	static const struct {
		const char *head;
		int status;
		const char *part;
	} cases[] = {
		{"GET / HTTP/1.1\r\n", 200, "1.2-test"},
		{"GET / HTTP/1.1\r\n", 200, "Content-Type: text/html"},
		{"GET /metrics HTTP/1.1\r\n", 200, "Content-Type: text/plain; version=0.0.4; charset=utf-8"},
		{"GET /metrics?name=x HTTP/1.1\r\n", 200, "poolscope_processes{process=\"recsys-api\"} 2\n"},
		{"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\n", 200,
		 "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8"},
		{"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\n", 200, "\n# EOF\n"},
		{"GET /metrics HTTP/1.1\r\n", 200, "Vary: Accept, Accept-Encoding"},
		{"GET /nothing HTTP/1.1\r\n", 404, "/metrics"},
		{"GET /metrics/ HTTP/1.1\r\n", 404, "/metrics"},
		{"GET /../../etc/passwd HTTP/1.1\r\n", 404, "/metrics"},
		{"POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n", 405, "Allow: GET, HEAD"},
		{"DELETE / HTTP/1.1\r\n", 405, "only GET"},
		{"GET /metrics HTTP/1.1\r\nContent-Length: 5\r\n", 400, "no body"},
		{"GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", 400, "no body"},
	};

	server_publish(*state, &fixture_snapshot);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *answer = client_ask(*state, 1, cases[i].head, NULL);

		if (status_of(answer) != cases[i].status)
			fail_msg("%s: %s", cases[i].head, answer);
		assert_has(answer, cases[i].part);
	}
}

static void test_head_has_no_body(void **state)
{
	server_publish(*state, &fixture_snapshot);
	_cleanup_(freep) char *answer = client_ask(*state, 1, "HEAD /metrics HTTP/1.1\r\n", NULL);

	assert_int_equal(status_of(answer), 200);
	assert_has(answer, "Content-Length: ");
	assert_string_equal(body_of(answer), "");
}

static void test_gzip_holds_the_same_bytes(void **state)
{
	static char unpacked[1 << 20];
	size_t size;

	server_publish(*state, &fixture_snapshot);
	_cleanup_(freep) char *packed =
		client_ask(*state, 1, "GET /metrics HTTP/1.1\r\nAccept-Encoding: gzip\r\n", &size);
	assert_has(packed, "Content-Encoding: gzip");
	const char *body = body_of(packed);
	z_stream stream = {
		.next_in = (Bytef *)body, .avail_in = size - (body - packed),
		.next_out = (Bytef *)unpacked, .avail_out = sizeof(unpacked) - 1,
	};
	assert_int_equal(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(stream.avail_in, 0);
	inflateEnd(&stream);
	assert_has(unpacked, "poolscope_processes{process=\"recsys-api\"} 2\n");
	assert_has(unpacked, "# TYPE poolscope_reseeds_total counter\n");
}

/* The agent's CPU time moves from scrape to scrape; equal bytes mean that the second was not rendered. */
static void test_rendered_once_a_snapshot(void **state)
{
	struct snapshot next = fixture_snapshot;

	server_publish(*state, &fixture_snapshot);
	_cleanup_(freep) char *first = client_ask(*state, 1, "GET /metrics HTTP/1.1\r\n", NULL);
	_cleanup_(freep) char *second = client_ask(*state, 1, "GET /metrics HTTP/1.1\r\n", NULL);
	assert_string_equal(body_of(first), body_of(second));
	assert_has(first, "poolscope_reseeds_total 1\n");

	next.reseeds = 77;
	server_publish(*state, &next);
	_cleanup_(freep) char *third = client_ask(*state, 1, "GET /metrics HTTP/1.1\r\n", NULL);
	assert_has(third, "poolscope_reseeds_total 77\n");
	assert_string_not_equal(strstr(first, "process_cpu_seconds_total "), strstr(third, "process_cpu_seconds_total "));
	server_publish(*state, NULL);
}

static void test_health(void **state)
{
	/* from the future, so that no delay of this test makes it old */
	struct snapshot fresh = {.time_ns = boottime() + 3600 * NSEC_PER_SEC};
	struct snapshot old = {.time_ns = boottime() - 4 * NSEC_PER_SEC};

	_cleanup_(freep) char *none = client_ask(*state, 1, "GET /healthz HTTP/1.1\r\n", NULL);
	assert_int_equal(status_of(none), 503);
	assert_has(none, "no snapshot yet");
	_cleanup_(freep) char *metrics = client_ask(*state, 1, "GET /metrics HTTP/1.1\r\n", NULL);
	assert_int_equal(status_of(metrics), 503);

	server_publish(*state, &fresh);
	_cleanup_(freep) char *good = client_ask(*state, 1, "GET /healthz HTTP/1.1\r\n", NULL);
	assert_int_equal(status_of(good), 200);
	assert_string_equal(body_of(good), "ok\n");

	server_publish(*state, &old); /* more than three refreshes of 1 s ago */
	_cleanup_(freep) char *bad = client_ask(*state, 1, "GET /healthz HTTP/1.1\r\n", NULL);
	assert_int_equal(status_of(bad), 503);
	assert_has(bad, "s old; one is due every 1.0 s");
	server_publish(*state, NULL);
}

static void test_keep_alive_and_pipelining(void **state)
{
	static const char three[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
				    "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
				    "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	static const char one[] = "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n";
	int fd = client_open(*state, 1);

	for (int i = 0; i < 5; i++) {
		assert_true(client_send(fd, one, sizeof(one) - 1));
		_cleanup_(freep) char *answer = client_read(fd, 1, NULL);
		assert_int_equal(status_of(answer), 404);
	}
	assert_true(client_send(fd, three, sizeof(three) - 1));
	_cleanup_(freep) char *answers = client_read(fd, SIZE_MAX, NULL);
	close(fd);
	assert_has(answers, "HTTP/1.1 503");
	assert_has(answers, "HTTP/1.1 404");
	assert_has(answers, "HTTP/1.1 200");
}

static void test_what_cannot_be_listened_on(void **state)
{
	const struct server *server = *state;
	char taken[64];

	snprintf(taken, sizeof(taken), "127.0.0.1:%u", server->port);
	const struct {
		const char *listen;
		int error;
		const char *why, *remedy;
	} cases[] = {
		{taken, -EADDRINUSE, "the port is taken", "--listen ADDRESS:PORT"},
		{"192.0.2.1:10464", -EADDRNOTAVAIL, "does not have the address", "--listen"},
		{"127.0.0.1", -EINVAL, "not an address and a port", "127.0.0.1:10464"},
		{"", -EINVAL, "not an address", "--listen"},
		{"127.0.0.1:", -EINVAL, "not an address", "--listen"},
		{"127.0.0.1:x", -EINVAL, "not an address", "--listen"},
		{"127.0.0.1:-1", -EINVAL, "not an address", "--listen"},
		{"127.0.0.1:65536", -EINVAL, "not an address", "--listen"},
		{"127.0.0.1:999999999999", -EINVAL, "not an address", "--listen"},
		{"::1:10464", -EINVAL, "not an address", "[::1]:10464"},
		{"[::1]", -EINVAL, "not an address", "[::1]:10464"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct http_options options = {.listen = cases[i].listen};
		struct http *http = NULL;
		struct explain explain = {0};

		assert_int_equal(http_open(&options, &http, &explain), cases[i].error);
		assert_null(http);
		assert_has(explain.what, "cannot listen on ");
		assert_has(explain.what, cases[i].listen);
		assert_has(explain.why, cases[i].why);
		assert_has(explain.remedy, cases[i].remedy);
	}
}

static void test_every_form_of_address(void **state)
{
	static const char *const forms[][2] = {
		{"127.0.0.1:0", "127.0.0.1:"}, {"localhost:0", ":"}, {":0", ":"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		const struct http_options options = {.listen = forms[i][0]};
		_cleanup_(http_closep) struct http *http = NULL;
		struct explain explain;

		assert_int_equal(http_open(&options, &http, &explain), 0);
		assert_has(http_name(http), forms[i][1]);
		assert_true(atoi(strrchr(http_name(http), ':') + 1) > 0);
		assert_true(http_fd(http) >= 0);
	}
}

static void test_self_stat(void **state)
{
	struct self_stat before, after;

	selfstat_read(&before);
	int fd = dup(0);
	selfstat_read(&after);
	close(fd);
	assert_true(after.cpu_seconds >= before.cpu_seconds && after.cpu_seconds > 0);
	assert_true(after.resident_bytes > 1 << 20 && after.resident_bytes < 1ULL << 40);
	assert_int_equal(after.open_fds, before.open_fds + 1);
	assert_float_equal(after.start_time_seconds, before.start_time_seconds, 1);
	assert_true(after.start_time_seconds <= (double)time(NULL) + 1);
	assert_true(after.start_time_seconds > (double)time(NULL) - 3600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_routes, start, stop),
		cmocka_unit_test_setup_teardown(test_head_has_no_body, start, stop),
		cmocka_unit_test_setup_teardown(test_gzip_holds_the_same_bytes, start, stop),
		cmocka_unit_test_setup_teardown(test_rendered_once_a_snapshot, start, stop),
		cmocka_unit_test_setup_teardown(test_health, start, stop),
		cmocka_unit_test_setup_teardown(test_keep_alive_and_pipelining, start, stop),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_listened_on, start, stop),
		cmocka_unit_test(test_every_form_of_address),
		cmocka_unit_test(test_self_stat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
