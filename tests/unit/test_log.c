/* SPDX-License-Identifier: GPL-2.0-only */
/* The log: one event is one line whatever a target calls itself; levels, sinks, the ring. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "edge/log.h"

struct capture {
	char text[2 * LOG_LINE_SIZE];
	size_t length, lines;
};

static void capture_line(void *context, const char *line, size_t length)
{
	struct capture *capture = context;

	assert_true(length <= LOG_LINE_SIZE && length <= sizeof(capture->text) - 1 - capture->length);
	assert_int_equal(line[length - 1], '\n');
	assert_null(memchr(line, '\n', length - 1));
	memcpy(capture->text + capture->length, line, length);
	capture->length += length;
	capture->text[capture->length] = '\0';
	capture->lines++;
}

static int begin(void **state)
{
	static struct capture capture;

	capture = (struct capture){ 0 };
	*state = &capture;
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_set_level(LOG_LEVEL_INFO);
	log_set_sink(capture_line, &capture);
	return 0;
}

static int end(void **state)
{
	log_set_sink(NULL, NULL);
	return 0;
}

static void hostile_values_stay_in_their_line(void **state)
{
	struct capture *capture = *state;

	log_event(LOG_LEVEL_WARN, "renamed", "a", "plain", "b", "", "c", "two words", "d", "x=1", "e", "q\"\\", "f",
		  "\n\x1b[2Jlevel=error", "g", "\xff\xc3", "left_out", NULL, "h", "last", NULL);
	assert_string_equal(capture->text,
			    "level=warn event=renamed a=plain b=\"\" c=\"two words\" d=\"x=1\" e=\"q\\\"\\\\\" "
			    "f=\"\\n\\x1b[2Jlevel=error\" g=\"\\xff\\xc3\" h=last\n");
}

static void long_values_are_cut(void **state)
{
	struct capture *capture = *state;
	char huge[3 * LOG_LINE_SIZE];

	for (int filler = 0; filler < 2; filler++) {
		capture->length = 0;
		memset(huge, filler ? '\n' : 'x', sizeof(huge) - 1);
		huge[sizeof(huge) - 1] = '\0';
		log_event(LOG_LEVEL_ERROR, "huge", "value", huge, "after", "no room", NULL);
		assert_true(capture->length > LOG_LINE_SIZE - 8);
		/* The quote is closed, and no escape sequence is cut in half. */
		assert_string_equal(capture->text + capture->length - 4, filler ? "\\n\"\n" : "xx\"\n");
		assert_null(strstr(capture->text, "after"));
	}
}

static void levels(void **state)
{
	struct capture *capture = *state;
	enum log_level level = LOG_LEVEL_COUNT;

	log_event(LOG_LEVEL_DEBUG, "hidden", NULL);
	assert_int_equal(capture->lines, 0);
	assert_int_equal(log_level_parse("debug", &level), 0);
	log_set_level(level);
	log_event(LOG_LEVEL_DEBUG, "shown", "n", LOG_NUMBER(-3), NULL);
	assert_string_equal(capture->text, "level=debug event=shown n=-3\n");
	assert_int_equal(log_level_parse("loud", &level), -ENOENT);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
}

/* Outside the journal a line carries its own time. */
static void time_outside_the_journal(void **state)
{
	struct capture *capture = *state;
	unsigned year;

	unsetenv("JOURNAL_STREAM");
	log_event(LOG_LEVEL_INFO, "x", NULL);
	assert_int_equal(sscanf(capture->text, "time=%4u-", &year), 1);
	assert_true(year >= 2020);
	assert_string_equal(strstr(capture->text, "Z "), "Z level=info event=x\n");
}

static void limit_transitions(void **state)
{
	struct capture *capture = *state;
	struct limit_transition transition = {
		.pid = 7,
		.process = "orders",
		.pool = "http \"nio\"",
		.before = LIMIT_WARN,
		.limit = { .kind = LIMIT_THREADS,
			   .value = 41,
			   .max = 40,
			   .state = LIMIT_OVER,
			   .source = LIMIT_SOURCE_CONFIG,
			   .since_realtime_ns = 1700000000ULL * NSEC_PER_SEC + 42 * NSEC_PER_MSEC },
	};

	log_limit_transition(&transition);
	assert_string_equal(capture->text,
			    "level=warn event=limit_state process=orders pid=7 pool=\"http \\\"nio\\\"\" limit=threads value=41 "
			    "max=40 state=over was=warn since=2023-11-14T22:13:20.042Z source=config\n");
	capture->length = 0;
	transition.pool[0] = '\0';
	transition.limit.state = LIMIT_OK;
	transition.before = LIMIT_OVER;
	transition.limit.max = UNKNOWN_U64;
	transition.limit.since_realtime_ns = 0;
	log_limit_transition(&transition);
	assert_string_equal(capture->text, "level=info event=limit_state process=orders pid=7 limit=threads value=41 max=n/a "
					   "state=ok was=over since=n/a source=config\n");
}

static void explains(void **state)
{
	struct capture *capture = *state;
	const struct explain explain = { .what = "cannot attach", .why = "gone" };

	log_explain(LOG_LEVEL_ERROR, "attach_failed", &explain);
	assert_string_equal(capture->text, "level=error event=attach_failed what=\"cannot attach\" why=gone\n");
}

/* Nobody reads: no line may stop the agent, and how many were lost is told as soon as there is room. */
static void a_log_that_is_stuck(void **state)
{
	static char text[1 << 16];
	int ends[2], kept = dup(STDERR_FILENO);
	unsigned told = 0, dropped = 0;
	ssize_t length;

	log_set_sink(NULL, NULL);
	assert_int_equal(pipe(ends), 0);
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, 8192) >= 8192 && dup2(ends[1], STDERR_FILENO) >= 0);
	for (int i = 0; i < 1000; i++)
		log_event(LOG_LEVEL_INFO, "flood", "number", LOG_NUMBER(i), NULL);
	length = read(ends[0], text, sizeof(text) - 1);
	assert_true(length > 0);
	log_event(LOG_LEVEL_INFO, "later", NULL);
	length += read(ends[0], text + length, sizeof(text) - 1 - (size_t)length);
	text[length] = '\0';
	dup2(kept, STDERR_FILENO);
	for (const char *at = text; (at = strstr(at, "event=flood")); at++)
		told++;
	assert_true(told > 0 && told < 1000);
	assert_int_equal(sscanf(strstr(text, "event=log_lines_dropped"), "event=log_lines_dropped lines=%u ", &dropped), 1);
	assert_int_equal(told + dropped, 1000);
	assert_non_null(strstr(text, "event=later"));
	close(kept);
	close(ends[0]);
	close(ends[1]);
}

static void ring_keeps_the_newest(void **state)
{
	_cleanup_(log_ring_freep) struct log_ring *ring = NULL;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(log_ring_new(3, &ring), 0);
	log_set_sink(log_ring_write, ring);
	for (int i = 0; i < 5; i++)
		log_event(LOG_LEVEL_INFO, "e", "i", LOG_NUMBER(i), NULL);
	log_ring_flush(ring, out);
	log_event(LOG_LEVEL_INFO, "e", "i", "later", NULL);
	log_ring_flush(ring, out);
	log_ring_flush(ring, out);
	fclose(out);
	assert_string_equal(text, "level=info event=log_cut lines=2\nlevel=info event=e i=2\nlevel=info event=e i=3\n"
				  "level=info event=e i=4\nlevel=info event=e i=later\n");
	free(text);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(hostile_values_stay_in_their_line),
		LOG_TEST(long_values_are_cut),
		LOG_TEST(levels),
		LOG_TEST(time_outside_the_journal),
		LOG_TEST(limit_transitions),
		LOG_TEST(explains),
		LOG_TEST(a_log_that_is_stuck),
		LOG_TEST(ring_keeps_the_newest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
