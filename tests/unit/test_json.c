/* SPDX-License-Identifier: GPL-2.0-only */
/* The JSON view: every field of the contract with its type, null for unknown, hostile names, bounds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "fixture_export.h"
#include "view/json.h"

static json_t *render(const struct snapshot *snapshot)
{
	_cleanup_(freep) char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	json_error_t error;

	assert_int_equal(json_render(snapshot, out), 0);
	assert_int_equal(fclose(out), 0);
	/* one object, one line */
	assert_int_equal(text[size - 1], '\n');
	assert_ptr_equal(strchr(text, '\n'), text + size - 1);
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!root)
		fail_msg("%s at %d in %s", error.text, error.position, text);
	return root;
}

/* "targets.0.pid": names and indexes. */
static json_t *at(json_t *value, const char *path)
{
	char copy[128], *rest = copy;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *step; value && (step = strsep(&rest, "."));)
		value = json_is_array(value) ? json_array_get(value, atoi(step)) : json_object_get(value, step);
	if (!value)
		fail_msg("not there: %s", path);
	return value;
}

static void test_every_field_is_there(void **state)
{
	static const struct {
		const char *path;
		json_type type;
	} fields[] = {
		{"schema", JSON_INTEGER}, {"time", JSON_STRING}, {"host", JSON_STRING}, {"version", JSON_STRING},
		{"ended_dropped", JSON_INTEGER},
		{"targets", JSON_ARRAY},
		{"targets.0.pid", JSON_INTEGER}, {"targets.0.ns_pid", JSON_INTEGER},
		{"targets.0.parent_pid", JSON_INTEGER}, {"targets.0.name", JSON_STRING},
		{"targets.0.started", JSON_STRING}, {"targets.0.unit", JSON_STRING},
		{"targets.0.container", JSON_STRING}, {"targets.0.runtime", JSON_STRING},
		{"targets.0.variant", JSON_STRING}, {"targets.0.threads", JSON_INTEGER},
		{"targets.0.memory.rss_bytes", JSON_INTEGER}, {"targets.0.memory.rss_anon_bytes", JSON_INTEGER},
		{"targets.0.memory.rss_file_bytes", JSON_INTEGER}, {"targets.0.memory.rss_shmem_bytes", JSON_INTEGER},
		{"targets.0.memory.attributed_resident_bytes", JSON_INTEGER},
		{"targets.0.memory.unattributed_bytes", JSON_INTEGER},
		{"targets.0.memory.unexplained_bytes", JSON_INTEGER}, {"targets.0.memory.age_seconds", JSON_REAL},
		{"targets.0.memory.unattributed.before_attach", JSON_INTEGER},
		{"targets.0.memory.unattributed.image", JSON_INTEGER},
		{"targets.0.memory.unattributed.inherited", JSON_INTEGER},
		{"targets.0.memory.unattributed.lost", JSON_INTEGER},
		{"targets.0.memory.swapped_bytes", JSON_INTEGER},
		{"targets.0.cgroup.path", JSON_STRING}, {"targets.0.cgroup.memory_max_bytes", JSON_INTEGER},
		{"targets.0.cgroup.memory_current_bytes", JSON_INTEGER}, {"targets.0.cgroup.oom_kills", JSON_INTEGER},
		{"targets.0.cgroup.cpu_quota_cores", JSON_REAL}, {"targets.0.cgroup.pids_max", JSON_INTEGER},
		{"targets.0.cpus.allowed", JSON_INTEGER}, {"targets.0.cpus.online", JSON_INTEGER},
		{"targets.0.pools.0.cpu_fit.formula", JSON_STRING}, {"targets.0.pools.0.cpu_fit.setting", JSON_STRING},
		{"targets.0.pools.0.cpu_fit.size", JSON_INTEGER}, {"targets.0.pools.0.cpu_fit.fits", JSON_INTEGER},
		{"targets.0.events.received", JSON_INTEGER}, {"targets.0.events.lost", JSON_INTEGER},
		{"targets.0.events.reseeds", JSON_INTEGER},
		{"targets.0.limits.0.limit", JSON_STRING}, {"targets.0.limits.0.value", JSON_INTEGER},
		{"targets.0.limits.0.max", JSON_INTEGER}, {"targets.0.limits.0.state", JSON_STRING},
		{"targets.0.limits.0.since", JSON_STRING}, {"targets.0.limits.0.source", JSON_STRING},
		{"targets.0.limits_without_pool", JSON_ARRAY}, {"targets.1.limits_without_pool", JSON_ARRAY},
		{"targets.0.memory_readable", JSON_TRUE}, {"targets.0.memory_traced", JSON_TRUE},
		{"targets.0.verdict", JSON_NULL},
		{"targets.0.pools.0.name", JSON_STRING}, {"targets.0.pools.0.kind", JSON_STRING},
		{"targets.0.pools.0.parent", JSON_NULL}, {"targets.0.pools.0.threads", JSON_INTEGER},
		{"targets.0.pools.0.threads_peak", JSON_INTEGER}, {"targets.0.pools.0.threads_started", JSON_INTEGER},
		{"targets.0.pools.0.threads_exited", JSON_INTEGER}, {"targets.0.pools.0.capacity", JSON_INTEGER},
		{"targets.0.pools.0.running", JSON_INTEGER}, {"targets.0.pools.0.busy", JSON_INTEGER},
		{"targets.0.pools.0.busy_peak", JSON_INTEGER}, {"targets.0.pools.0.queued", JSON_INTEGER},
		{"targets.0.pools.0.running_mean", JSON_REAL}, {"targets.0.pools.0.running_peak", JSON_INTEGER},
		{"targets.0.running_samples", JSON_INTEGER}, {"targets.0.pools.0.right_size.workers", JSON_INTEGER},
		{"targets.0.pools.0.memory.resident_bytes", JSON_INTEGER},
		{"targets.0.pools.0.memory.mapped_bytes", JSON_INTEGER},
		{"targets.0.pools.0.memory.orphaned_bytes", JSON_INTEGER},
		{"targets.0.pools.0.memory.held_bytes", JSON_INTEGER},
		{"targets.0.pools.0.memory.held_unattributed_bytes", JSON_INTEGER},
		{"targets.0.pools.0.memory.grown_bytes", JSON_INTEGER},
		{"targets.0.pools.0.memory.net_grown_bytes", JSON_INTEGER},
		{"targets.0.pools.0.memory.stack.resident_bytes", JSON_INTEGER},
		{"targets.0.pools.0.memory.arena.mapped_bytes", JSON_INTEGER},
		{"targets.0.pools.0.memory.heap.resident_bytes", JSON_INTEGER},
		{"targets.0.pools.0.memory.mmap.mapped_bytes", JSON_INTEGER},
		{"targets.0.pools.0.blame.0.function", JSON_STRING}, {"targets.0.pools.0.blame.0.file", JSON_STRING},
		{"targets.0.pools.0.blame.0.line", JSON_INTEGER}, {"targets.0.pools.0.blame.0.bytes", JSON_INTEGER},
		{"targets.0.pools.0.blame_other_bytes", JSON_INTEGER}, {"targets.0.pools.0.blame_unseen_bytes", JSON_INTEGER},
		{"targets.0.pools.0.limits.0.state", JSON_STRING}, {"targets.0.pools.1.limits", JSON_ARRAY},
		{"targets.0.pools.0.verdict.state", JSON_STRING}, {"targets.0.pools.0.verdict.confidence", JSON_REAL},
		{"targets.0.pools.0.verdict.projected_resident_bytes", JSON_INTEGER},
		{"targets.0.pools.0.verdict.why", JSON_STRING},
		{"targets.0.thread_list.0.tid", JSON_INTEGER}, {"targets.0.thread_list.0.name", JSON_STRING},
		{"targets.0.thread_list.0.pool", JSON_STRING}, {"targets.0.thread_list.0.state", JSON_STRING},
		{"targets.0.thread_list.0.start_routine", JSON_STRING},
		{"targets.0.thread_list.0.busy", JSON_TRUE}, {"targets.0.thread_list.0.doing", JSON_STRING},
		{"targets.0.runtime_readings.passes", JSON_INTEGER},
		{"targets.0.runtime_readings.failed_passes", JSON_INTEGER},
		{"targets.0.runtime_readings.failed_reads", JSON_INTEGER},
		{"targets.0.runtime_readings.unread_threads", JSON_INTEGER},
		{"targets.0.thread_list.0.created_by.tid", JSON_INTEGER},
		{"targets.0.thread_list.0.created_by.started", JSON_STRING},
		{"targets.0.thread_list.0.started", JSON_STRING},
		{"targets.0.thread_list.0.memory.grown_bytes", JSON_INTEGER},
		{"targets.0.thread_list.0.memory.mmap.resident_bytes", JSON_INTEGER},
	};
	json_auto_t *root = render(&fixture_snapshot);

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		json_type type = json_typeof(at(root, fields[i].path));

		if (type != fields[i].type)
			fail_msg("%s has type %d, not %d", fields[i].path, type, fields[i].type);
	}
}

static void test_unknown_is_null(void **state)
{
	static const char *const nulls[] = {
		"targets.1.unit", "targets.1.container", "targets.1.runtime", "targets.1.variant",
		"targets.1.started", "targets.1.ns_pid", "targets.1.memory.rss_bytes",
		"targets.1.memory.rss_anon_bytes", "targets.1.memory.attributed_resident_bytes",
		"targets.1.memory.unexplained_bytes", "targets.1.memory.age_seconds",
		"targets.1.memory.unattributed.lost", "targets.1.cgroup.path",
		"targets.1.cgroup.memory_max_bytes", "targets.1.cgroup.cpu_quota_cores",
		"targets.1.cgroup.pids_max", "targets.1.role", "targets.0.pools.1.processes",
		"targets.0.pools.0.processes.pending_tasks", "targets.1.cpus.allowed", "targets.1.cpus.online", "targets.0.pools.1.cpu_fit",
		"targets.1.events.received", "targets.0.pools.1.kind",
		"targets.0.pools.1.capacity", "targets.0.pools.1.busy", "targets.0.pools.1.busy_peak",
		"targets.0.pools.1.running_mean", "targets.0.pools.1.running_peak", "targets.0.pools.1.right_size",
		"targets.0.pools.1.queued", "targets.0.pools.1.memory.grown_bytes", "targets.0.pools.1.memory.net_grown_bytes",
		"targets.0.pools.1.memory.heap.resident_bytes", "targets.0.pools.1.verdict",
		"targets.0.pools.0.limits.1.max", "targets.0.pools.0.limits.1.state", "targets.0.pools.0.limits.1.since",
		"targets.0.pools.0.blame.1.file", "targets.0.pools.0.blame.1.line", "targets.0.pools.1.blame",
		"targets.0.pools.1.blame_other_bytes", "targets.0.pools.1.blame_unseen_bytes",
		"targets.0.thread_list.1.busy", "targets.0.thread_list.1.doing", "targets.1.runtime_readings",
		"targets.0.thread_list.1.state", "targets.0.thread_list.1.start_routine",
		"targets.0.thread_list.1.created_by", "targets.0.thread_list.1.started",
		"targets.0.thread_list.1.cpu_percent", "targets.0.ended",
	};
	json_auto_t *root = render(&fixture_snapshot);

	for (size_t i = 0; i < ARRAY_SIZE(nulls); i++) {
		if (!json_is_null(at(root, nulls[i])))
			fail_msg("%s is not null", nulls[i]);
	}
}

static void test_values(void **state)
{
	json_auto_t *root = render(&fixture_snapshot);
	static const struct {
		const char *path;
		json_int_t value;
	} integers[] = {
		{"schema", 1}, {"targets.0.pid", 99}, {"targets.0.memory.rss_bytes", 123},
		{"targets.0.memory.unexplained_bytes", 7}, {"targets.0.pools.0.memory.grown_bytes", -7},
		{"targets.0.pools.0.memory.net_grown_bytes", -9},
		{"targets.0.pools.0.memory.heap.resident_bytes", 3},
		{"targets.0.pools.0.memory.mmap.mapped_bytes", 40}, {"targets.0.limits.0.max", 40},
		{"targets.0.pools.0.cpu_fit.fits", 6},
		{"targets.0.pools.0.processes.count", 3}, {"targets.0.pools.0.processes.max", 4},
		{"targets.0.cpus.allowed", 40}, {"targets.0.cpus.online", 64},
		{"targets.0.pools.0.right_size.workers", 8}, {"targets.0.pools.0.right_size.frees_bytes", 2147483648},
		{"targets.0.pools.0.right_size.observed_seconds", 1800}, {"targets.0.pools.0.right_size.looks", 1790},
		{"targets.0.pools.0.right_size.busy_peak", 7}, {"targets.0.pools.0.right_size.busy_or_queued_peak", 7},
		{"targets.1.ended.code", 9}, {"targets.0.pools.0.threads_exited", 6},
		{"targets.0.pools.0.blame.0.bytes", 7}, {"targets.0.pools.0.blame_unseen_bytes", 3},
	};
	static const char *const strings[][2] = {
		{"time", "2023-11-14T22:13:30.123Z"}, {"targets.0.started", "2023-11-14T22:13:20.000Z"},
		{"targets.0.limits.0.since", "2023-11-14T22:13:20.123Z"}, {"targets.0.limits.0.state", "over"},
		{"targets.0.limits.0.source", "config"}, {"targets.0.limits.0.limit", "threads"},
		{"targets.0.pools.1.parent", "anyio"}, {"targets.0.role", "uvicorn worker"}, {"targets.0.thread_list.0.pool", "anyio"},
		{"targets.0.pools.0.verdict.state", "filling"}, {"targets.1.ended.how", "signalled"},
		{"targets.1.name", "or\\ders"}, {"targets.0.limits_without_pool.0.pool", "annyio*"},
		{"targets.0.limits_without_pool.0.limit", "resident_bytes_per_thread"},
		{"targets.0.limits_without_pool.0.source", "option"},
		/* 20 s before the snapshot, by the boot clock */
		{"targets.0.thread_list.0.created_by.started", "2023-11-14T22:13:10.123Z"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(integers); i++)
		assert_int_equal(json_integer_value(at(root, integers[i].path)), integers[i].value);
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		assert_string_equal(json_string_value(at(root, strings[i][0])), strings[i][1]);
	assert_float_equal(json_real_value(at(root, "targets.0.pools.0.verdict.confidence")), 0.97, 1e-9);
}

static void test_hostile_names(void **state)
{
	json_auto_t *root = render(&fixture_snapshot);

	assert_string_equal(json_string_value(at(root, "targets.0.pools.1.name")), "a\"b\\c\nd\x1b[31m\\xff");
	assert_string_equal(json_string_value(at(root, "targets.0.thread_list.1.name")), "x\"\n\x1b[0m\\xfe");
}

static void test_empty_snapshot(void **state)
{
	static const struct snapshot nothing;
	json_auto_t *root = render(&nothing);

	assert_true(json_is_null(at(root, "time")));
	assert_int_equal(json_array_size(at(root, "targets")), 0);
}

static void test_full_disk_is_an_error(void **state)
{
	FILE *full = fopen("/dev/full", "w");

	assert_non_null(full);
	setvbuf(full, NULL, _IONBF, 0);
	assert_int_equal(json_render(&fixture_snapshot, full), -ENOSPC);
	fclose(full);
}

static int allocations_left;

static void *scarce_malloc(size_t size)
{
	return allocations_left-- > 0 ? malloc(size) : NULL;
}

/* Memory runs out at every possible place: -ENOMEM (or, while dumping, what errno says), nothing leaks. */
static void test_no_memory(void **state)
{
	char buffer[65536];
	int r = -1, tries = 0;

	json_set_alloc_funcs(scarce_malloc, free);
	for (; r; tries++) {
		FILE *out = fmemopen(buffer, sizeof(buffer), "w");

		allocations_left = tries;
		r = json_render(&fixture_snapshot, out);
		fclose(out);
		assert_true(r == 0 || r == -ENOMEM || r == -EIO || r == -ENOSPC);
		assert_true(tries < 10000);
	}
	json_set_alloc_funcs(malloc, free);
	assert_true(tries > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field_is_there), cmocka_unit_test(test_unknown_is_null),
		cmocka_unit_test(test_values),		     cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_empty_snapshot),	     cmocka_unit_test(test_full_disk_is_an_error),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
