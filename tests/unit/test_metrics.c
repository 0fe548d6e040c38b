/* SPDX-License-Identifier: GPL-2.0-only */
/* The metrics view: every family of the contract, both formats, escaping, unknown figures, budget. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fixture_export.h"
#include "view/metrics.h"
#include "view/metrics_families.h"

static const struct self_stat self = {
	.cpu_seconds = 1.25, .start_time_seconds = 1700000000.5, .resident_bytes = 9437184, .open_fds = 21,
};

static char *render(const struct snapshot *snapshot, enum metrics_format format, bool mapped)
{
	const struct metrics_options options = {.mapped = mapped, .self = &self};
	char *text = NULL;
	size_t size = 0;

	assert_int_equal(metrics_render(snapshot, format, &options, &text, &size), 0);
	assert_int_equal(strlen(text), size);
	return text;
}

static void assert_line(const char *text, const char *line)
{
	size_t length = strlen(line);

	for (const char *at = text; (at = strstr(at, line)); at++) {
		if ((at == text || at[-1] == '\n') && at[length] == '\n')
			return;
	}
	fail_msg("no line: %s\nin:\n%s", line, text);
}

static void assert_no(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("must not be there: %s", part);
}

static void test_samples_of_the_contract(void **state)
{
	static const char *const lines[] = {
		"poolscope_pool_threads{process=\"recsys-api\",pool=\"anyio\"} 40",
		"poolscope_pool_threads_running{process=\"recsys-api\",pool=\"anyio\"} 2",
		"poolscope_pool_threads_busy{process=\"recsys-api\",pool=\"anyio\"} 3",
		"poolscope_pool_threads_peak{process=\"recsys-api\",pool=\"anyio\"} 41",
		"poolscope_pool_threads_capacity{process=\"recsys-api\",pool=\"anyio\"} 40",
		"poolscope_pool_queued_tasks{process=\"recsys-api\",pool=\"anyio\"} 17",
		"poolscope_pool_info{process=\"recsys-api\",pool=\"anyio\",kind=\"WorkerThread\"} 1",
		"poolscope_pool_threads_started_total{process=\"recsys-api\",pool=\"anyio\"} 46",
		"poolscope_pool_threads_exited_total{process=\"recsys-api\",pool=\"anyio\"} 6",
		"poolscope_pool_memory_resident_bytes{process=\"recsys-api\",pool=\"anyio\",region=\"stack\"} 1048576",
		"poolscope_pool_memory_resident_bytes{process=\"recsys-api\",pool=\"anyio\",region=\"arena\"} 335544320",
		"poolscope_pool_memory_resident_bytes{process=\"recsys-api\",pool=\"anyio\",region=\"heap\"} 0",
		"poolscope_pool_memory_resident_bytes{process=\"recsys-api\",pool=\"anyio\",region=\"mmap\"} 2097152",
		"poolscope_pool_memory_orphaned_bytes{process=\"recsys-api\",pool=\"anyio\"} 5242880",
		"poolscope_pool_thread_memory_max_resident_bytes{process=\"recsys-api\",pool=\"anyio\"} 83886080",
		"poolscope_pool_limit_used_ratio{process=\"recsys-api\",pool=\"anyio\",limit=\"threads\"} 1.025",
		"poolscope_pool_over_limit{process=\"recsys-api\",pool=\"anyio\",limit=\"threads\"} 1",
		"poolscope_pool_over_limit{process=\"recsys-api\",pool=\"anyio\",limit=\"resident_bytes\"} 0",
		"poolscope_pool_limit_violations_total{process=\"recsys-api\",pool=\"anyio\",limit=\"threads\"} 2",
		"poolscope_pool_verdict{process=\"recsys-api\",pool=\"anyio\",verdict=\"filling\"} 1",
		"poolscope_pool_verdict{process=\"recsys-api\",pool=\"anyio\",verdict=\"leaking\"} 0",
		"poolscope_pool_verdict_confidence_ratio{process=\"recsys-api\",pool=\"anyio\"} 0.97",
		"poolscope_pool_memory_projected_bytes{process=\"recsys-api\",pool=\"anyio\"} 671088640",
		"poolscope_process_limit_used_ratio{process=\"recsys-api\",limit=\"resident_bytes\"} 0.33",
		"poolscope_process_over_limit{process=\"recsys-api\",limit=\"resident_bytes\"} 0",
		"poolscope_process_limit_violations_total{process=\"recsys-api\",limit=\"resident_bytes\"} 0",
		"poolscope_process_verdict{process=\"recsys-api\",verdict=\"steady\"} 1",
		"poolscope_processes{process=\"recsys-api\"} 2",
		"poolscope_processes_started_total{process=\"recsys-api\"} 3",
		"poolscope_process_threads{process=\"recsys-api\"} 43",
		"poolscope_process_threads_limit{process=\"recsys-api\"} 4915",
		"poolscope_process_cpu_limit_cores{process=\"recsys-api\"} 2.5",
		"poolscope_process_memory_resident_bytes{process=\"recsys-api\",type=\"anon\"} 356515840",
		"poolscope_process_memory_resident_bytes{process=\"recsys-api\",type=\"file\"} 31457280",
		"poolscope_process_memory_resident_bytes{process=\"recsys-api\",type=\"shmem\"} 0",
		"poolscope_process_memory_limit_bytes{process=\"recsys-api\"} 1073741824",
		"poolscope_process_memory_swapped_bytes{process=\"recsys-api\"} 0",
		"poolscope_process_memory_unattributed_bytes{process=\"recsys-api\",reason=\"before_attach\"} 12582912",
		"poolscope_process_memory_unattributed_bytes{process=\"recsys-api\",reason=\"lost\"} 0",
		"poolscope_process_memory_unexplained_bytes{process=\"recsys-api\"} -8192",
		"poolscope_events_total{probe=\"thread_born\"} 46",
		"poolscope_events_total{probe=\"brk\"} 2",
		"poolscope_events_lost_total{reason=\"ring\"} 1",
		"poolscope_reseeds_total 1",
		"poolscope_probe_attached{group=\"memory\",variant=\"tracepoint\"} 1",
		"poolscope_snapshot_timestamp_seconds 1700000010.123",
		"poolscope_series_dropped_total 0",
		"poolscope_build_info{version=\"0.1-test\"} 1",
		"process_cpu_seconds_total 1.25",
		"process_resident_memory_bytes 9437184",
		"process_open_fds 21",
		"process_start_time_seconds 1700000000.5",
	};

	for (enum metrics_format format = 0; format < METRICS_FORMAT_COUNT; format++) {
		_cleanup_(freep) char *text = render(&fixture_snapshot, format, false);

		for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
			assert_line(text, lines[i]);
		assert_no(text, "mapped");
	}
}

static void test_formats_differ_where_they_must(void **state)
{
	_cleanup_(freep) char *text = render(&fixture_snapshot, METRICS_TEXT, false);
	_cleanup_(freep) char *open = render(&fixture_snapshot, METRICS_OPENMETRICS, false);

	assert_line(text, "# TYPE poolscope_reseeds_total counter");
	assert_no(text, "# EOF");
	assert_no(text, "# UNIT");
	assert_line(open, "# TYPE poolscope_reseeds counter");
	assert_line(open, "# UNIT poolscope_pool_memory_resident_bytes bytes");
	assert_string_equal(open + strlen(open) - 6, "# EOF\n");
}

static void test_unknown_has_no_sample(void **state)
{
	_cleanup_(freep) char *text = render(&fixture_snapshot, METRICS_TEXT, false);

	assert_line(text, "poolscope_processes{process=\"or\\\\ders\"} 0");
	assert_no(text, "process_threads_limit{process=\"or");
	assert_no(text, "process_cpu_limit_cores{process=\"or");
	assert_no(text, "process_memory_unexplained_bytes{process=\"or");
	assert_no(text, "process_verdict{process=\"or");
	assert_no(text, "limit_used_ratio{process=\"recsys-api\",pool=\"anyio\",limit=\"resident_bytes_per_thread\"}");
	assert_no(text, "events_lost_total{reason=\"kretprobe\"}");
	assert_no(text, "18446744073709551615");
	assert_no(text, "nan");

	static const struct snapshot nothing;
	const struct metrics_options options = {0};
	_cleanup_(freep) char *empty = NULL;
	size_t size;

	assert_int_equal(metrics_render(&nothing, METRICS_TEXT, &options, &empty, &size), 0);
	assert_no(empty, "pool_threads"); /* no head without a sample */
	assert_no(empty, "process_open_fds");
}

static void test_hostile_label_values(void **state)
{
	_cleanup_(freep) char *text = render(&fixture_snapshot, METRICS_TEXT, false);

	assert_line(text, "poolscope_pool_threads{process=\"recsys-api\","
			  "pool=\"a\\\"b\\\\c\\nd\\\\x1b[31m\\\\xff\"} 1");
	assert_line(text, "poolscope_pool_info{process=\"recsys-api\","
			  "pool=\"a\\\"b\\\\c\\nd\\\\x1b[31m\\\\xff\",kind=\"unknown\"} 1");
	for (const char *at = text; *at; at++)
		assert_true(*at == '\n' || (*at >= 0x20 && *at < 0x7f));
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Prometheus keeps one of two equal label sets without a word. */
static void test_label_sets_are_unique(void **state)
{
	static struct snapshot_group_pool pools[] = {{.name = "\xff"}, {.name = "\xfe"}, {.name = "\\xff"},
						     {.name = "\\x5cxff"}};
	static struct snapshot_group group = {.name = "g", .pools = pools, .n_pools = ARRAY_SIZE(pools)};
	const struct snapshot snapshot = {.groups = &group, .n_groups = 1};
	_cleanup_(freep) char *text = render(&snapshot, METRICS_TEXT, true);
	char *series[1024], *rest = text;
	size_t n = 0;

	for (char *line; (line = strsep(&rest, "\n"));) {
		if (*line == '#' || !*line)
			continue;
		*strrchr(line, ' ') = '\0';
		assert_true(n < ARRAY_SIZE(series));
		series[n++] = line;
	}
	assert_true(n > ARRAY_SIZE(pools) * 10);
	qsort(series, n, sizeof(series[0]), compare_lines);
	for (size_t i = 1; i < n; i++)
		assert_string_not_equal(series[i - 1], series[i]);
}

static size_t count_lines_with(const char *text, const char *part)
{
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, part)); at++)
		n++;
	return n;
}

/* The budget: 24 series a pool and 3 a limit, so 33 with three limits; 4 more with mapped. */
static void test_series_budget_of_a_pool(void **state)
{
	struct snapshot_group_pool pool = fixture_group_pools[0];
	struct snapshot_group group = {.name = "g", .pools = &pool, .n_pools = 1};
	const struct snapshot snapshot = {.groups = &group, .n_groups = 1};

	pool.limits[2].used_ratio = 0.1;
	for (pool.n_limits = 0; pool.n_limits <= 3; pool.n_limits++) {
		_cleanup_(freep) char *text = render(&snapshot, METRICS_TEXT, false);
		_cleanup_(freep) char *mapped = render(&snapshot, METRICS_TEXT, true);

		assert_int_equal(count_lines_with(text, "pool=\"anyio\""), 24 + 3 * pool.n_limits);
		assert_int_equal(count_lines_with(mapped, "pool=\"anyio\""), 28 + 3 * pool.n_limits);
	}
}

static void test_families_are_well_formed(void **state)
{
	for (size_t i = 0; i < n_metrics_families; i++) {
		const struct metrics_family *family = &metrics_families[i];

		assert_null(strstr(family->name, "_total"));
		assert_non_null(family->help);
		assert_int_equal(family->help[strlen(family->help) - 1], '.');
		if (family->unit) {
			size_t at = strlen(family->name) - strlen(family->unit);

			assert_string_equal(family->name + at, family->unit);
			assert_int_equal(family->name[at - 1], '_');
		}
		for (size_t j = 0; j < i; j++) {
			bool same_prefix = (family->scope == SCOPE_SELF) == (metrics_families[j].scope == SCOPE_SELF);

			assert_false(same_prefix && !strcmp(family->name, metrics_families[j].name));
		}
	}
}

/* Feeds text to a shell command, which must accept it and say nothing. */
static void assert_accepted(const char *text, const char *command)
{
	char said[4096] = "", line[1024];
	char path[] = "/tmp/test_metrics.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	snprintf(line, sizeof(line), "(%s) <%s 2>&1", command, path);
	FILE *checker = popen(line, "r");
	size_t n = fread(said, 1, sizeof(said) - 1, checker);
	int status = pclose(checker);

	unlink(path);
	if (status || n)
		fail_msg("%s ended with %d and said:\n%s", command, status, said);
}

/* What others say of it, hostile names included: Prometheus' own linter and the strict parser of
 * python3-prometheus-client, which also must read back as many samples as there are. */
static void test_others_accept_it(void **state)
{
	static const char parse[] = "/usr/bin/python3 -c 'import sys; "
				    "from prometheus_client.openmetrics.parser import text_string_to_metric_families as f; "
				    "t = sys.stdin.read(); n = sum(len(m.samples) for m in f(t)); "
				    "assert n == sum(not l.startswith(\"#\") for l in t.splitlines()), n'";

	for (int mapped = 0; mapped < 2; mapped++) {
		_cleanup_(freep) char *text = render(&fixture_snapshot, METRICS_TEXT, mapped);
		_cleanup_(freep) char *open = render(&fixture_snapshot, METRICS_OPENMETRICS, mapped);

		assert_accepted(text, "promtool check metrics");
		assert_accepted(open, parse);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples_of_the_contract),
		cmocka_unit_test(test_formats_differ_where_they_must),
		cmocka_unit_test(test_unknown_has_no_sample),
		cmocka_unit_test(test_hostile_label_values),
		cmocka_unit_test(test_label_sets_are_unique),
		cmocka_unit_test(test_series_budget_of_a_pool),
		cmocka_unit_test(test_families_are_well_formed),
		cmocka_unit_test(test_others_accept_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
