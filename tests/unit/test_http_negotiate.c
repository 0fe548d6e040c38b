/* SPDX-License-Identifier: GPL-2.0-only */
/* Content negotiation: what real clients send, q-values, and headers that no client should send. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "edge/http_negotiate.h"

static void test_format(void **state)
{
	static const struct {
		const char *accept;
		enum metrics_format format;
	} cases[] = {
		{NULL, METRICS_TEXT},
		{"", METRICS_TEXT},
		{"*/*", METRICS_TEXT}, /* curl */
		/* Prometheus 2.42 */
		{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
		 "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", METRICS_OPENMETRICS},
		/* Prometheus 3 */
		{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
		 "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
		 "text/plain;version=0.0.4;q=0.2,*/*;q=0.1", METRICS_OPENMETRICS},
		/* before 2.34: knows only 0.0.1 */
		{"application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", METRICS_TEXT},
		/* a browser */
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", METRICS_TEXT},
		{"application/openmetrics-text", METRICS_OPENMETRICS},
		{"Application/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=1.000", METRICS_OPENMETRICS},
		{"application/openmetrics-text;q=0", METRICS_TEXT},
		{"application/openmetrics-text;q=0.000", METRICS_TEXT},
		{"application/openmetrics-text;q=0.5,text/plain;q=0.6", METRICS_TEXT},
		{"application/openmetrics-text;q=0.6,text/plain;q=0.5", METRICS_OPENMETRICS},
		{"application/openmetrics-text;q=0.5,text/*;q=0.501", METRICS_TEXT},
		{"application/openmetrics-text;q=0.5,text/plain;version=0.0.1,*/*;q=0.1", METRICS_OPENMETRICS},
		{"application/openmetrics-text;q=0.5,*/*", METRICS_TEXT},
		{"application/openmetrics-text;q=0.5,text/plain;q=0.1,*/*", METRICS_OPENMETRICS},
		{"application/openmetrics-text;q=0.4,application/openmetrics-text;q=0.9,text/plain;q=0.5",
		 METRICS_OPENMETRICS},
		/* malformed weights weigh nothing */
		{"application/openmetrics-text;q=2", METRICS_TEXT},
		{"application/openmetrics-text;q=1.001", METRICS_TEXT},
		{"application/openmetrics-text;q=0.0001", METRICS_TEXT},
		{"application/openmetrics-text;q=", METRICS_TEXT},
		{"application/openmetrics-text;q=-1", METRICS_TEXT},
		{"application/openmetrics-text;q=0,5", METRICS_TEXT},
		{"application/openmetrics-text;q=nan", METRICS_TEXT},
		{"xapplication/openmetrics-text", METRICS_TEXT},
		{"application/openmetrics-textx", METRICS_TEXT},
		{",,;;,=,\"", METRICS_TEXT},
		{"a;b=\"application/openmetrics-text,application/openmetrics-text\"", METRICS_TEXT},
		{"a;b=\"\\\",\",application/openmetrics-text", METRICS_OPENMETRICS},
		{"a;b=\"\\", METRICS_TEXT},
		{"application/openmetrics-text;version=\"1.0.0", METRICS_TEXT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (http_negotiate_format(cases[i].accept) != cases[i].format)
			fail_msg("wrong format for: %s", cases[i].accept);
	}
}

static void test_gzip(void **state)
{
	static const struct {
		const char *accept;
		bool gzip;
	} cases[] = {
		{NULL, false},		 {"", false},
		{"gzip", true},		 {"gzip, deflate, br", true},
		{"x-gzip", true},	 {"GZIP;q=0.1", true},
		{"*", true},		 {"*;q=0", false},
		{"gzip;q=0", false},	 {"gzip;q=0, *", false},
		{"identity", false},	 {"deflate", false},
		{"identity, gzip", true}, {"identity;q=1, gzip;q=0.5", false},
		{"identity;q=0.5, *;q=0.1", false}, {"identity;q=0, gzip;q=0.1", true},
		{"gzipped", false},	 {"gzip;q=1.5", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (http_negotiate_gzip(cases[i].accept) != cases[i].gzip)
			fail_msg("wrong encoding for: %s", cases[i].accept);
	}
}

/* Exact-size heap copies, so that a read past the end is seen by the sanitizer. */
static void test_random_headers_are_survived(void **state)
{
	static const char alphabet[] = "q=;,\"\\*/ 01.gzip\ttext/plain";
	uint32_t seed = 1;

	for (int round = 0; round < 20000; round++) {
		char header[48];
		size_t length = (size_t)(seed >> 8) % (sizeof(header) - 1);

		for (size_t i = 0; i < length; i++) {
			seed = seed * 1664525 + 1013904223;
			header[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		header[length] = '\0';
		seed += 7919;
		_cleanup_(freep) char *copy = strdup(header);
		enum metrics_format format = http_negotiate_format(copy);

		assert_true(format == METRICS_TEXT); /* nothing in the alphabet spells OpenMetrics */
		http_negotiate_gzip(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_random_headers_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
