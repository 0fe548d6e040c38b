/* SPDX-License-Identifier: GPL-2.0-only */
/* A snapshot for the tests of the exporting views: two groups, hostile names, every kind of figure,
 * and figures that are not known. Static: nothing to free. */
#ifndef TESTS_FIXTURE_EXPORT_H
#define TESTS_FIXTURE_EXPORT_H

#include <math.h>

#include "model/snapshot.h"

#define FIXTURE_MIB (1ULL << 20)
/* Quotes, backslash, newline, escape sequence, a byte that is not UTF-8. */
#define FIXTURE_HOSTILE_NAME "a\"b\\c\nd\x1b[31m\xff"

static const struct snapshot_verdict fixture_verdict = {
	.state = VERDICT_FILLING, .confidence = 0.97, .projected_resident_bytes = 640 * FIXTURE_MIB,
	.why = "8 of 40 workers were added in the last minute",
};

static struct snapshot_group_pool fixture_group_pools[] = {
	{
		.name = "anyio", .kind = "WorkerThread", .threads = 40, .running = 2, .busy = 3, .peak = 41,
		.capacity = 40, .queued = 17, .started_total = 46, .exited_total = 6,
		.resident = {1 * FIXTURE_MIB, 320 * FIXTURE_MIB, 0, 2 * FIXTURE_MIB},
		.mapped = {320 * FIXTURE_MIB, 400 * FIXTURE_MIB, 0, 4 * FIXTURE_MIB},
		.orphaned = 5 * FIXTURE_MIB, .thread_resident_max = 80 * FIXTURE_MIB,
		.limits = {{LIMIT_THREADS, 1.025, true, 2}, {LIMIT_RESIDENT_BYTES, 0.5, false, 0},
			   {LIMIT_RESIDENT_BYTES_PER_THREAD, NAN, false, 0}},
		.n_limits = 3, .verdict = fixture_verdict,
	},
	{
		.name = FIXTURE_HOSTILE_NAME, .kind = "", .threads = 1, .running = 0, .peak = 1,
		.busy = UNKNOWN_U64, .capacity = UNKNOWN_U64, .queued = UNKNOWN_U64, .started_total = 1,
		.resident = {4096, UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64},
		.mapped = {UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64},
		.orphaned = 0, .thread_resident_max = UNKNOWN_U64,
	},
};

static struct snapshot_group fixture_groups[] = {
	{
		.name = "recsys-api", .processes = 2, .processes_started_total = 3, .threads = 43,
		.threads_limit = 4915, .cpu_limit_cores = 2.5, .rss_anon = 340 * FIXTURE_MIB,
		.rss_file = 30 * FIXTURE_MIB, .rss_shmem = 0, .memory_limit = 1024 * FIXTURE_MIB, .swapped = 0,
		.unattributed = {12 * FIXTURE_MIB, 4096, 0, 0}, .unexplained = -8192,
		.limits = {{LIMIT_RESIDENT_BYTES, 0.33, false, 0}}, .n_limits = 1,
		.verdict = {.state = VERDICT_STEADY, .confidence = 0.5, .projected_resident_bytes = UNKNOWN_U64},
		.pools = fixture_group_pools, .n_pools = ARRAY_SIZE(fixture_group_pools),
	},
	{
		.name = "or\\ders", .processes = 0, .processes_started_total = 1, .threads = 0,
		.threads_limit = UNKNOWN_U64, .cpu_limit_cores = NAN, .rss_anon = UNKNOWN_U64,
		.rss_file = UNKNOWN_U64, .rss_shmem = UNKNOWN_U64, .memory_limit = UNKNOWN_U64,
		.swapped = UNKNOWN_U64,
		.unattributed = {UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64},
		.unexplained = UNKNOWN_I64,
	},
};

static struct snapshot_limit fixture_limits[] = {
	{.kind = LIMIT_THREADS, .state = LIMIT_OVER, .source = LIMIT_SOURCE_CONFIG, .value = 41, .max = 40,
	 .since_realtime_ns = 1700000000123000000ULL, .violations = 2},
	{.kind = LIMIT_RESIDENT_BYTES, .state = LIMIT_OK, .source = LIMIT_SOURCE_BUILTIN, .value = UNKNOWN_U64,
	 .max = UNKNOWN_U64, .is_percent = true},
};

static struct snapshot_unmatched fixture_unmatched[] = {
	{"annyio*", LIMIT_RESIDENT_BYTES_PER_THREAD, LIMIT_SOURCE_OPTION},
};

static struct snapshot_blame fixture_blame[] = {
	{.function = "pre\x1b[2Jdict", .file = "app.py", .line = 42, .bytes = 7},
	{.function = "f", .bytes = 1},
};

static struct snapshot_pool fixture_pools[] = {
	{
		.name = "anyio", .kind = "WorkerThread", .parent = -1, .threads = 40, .threads_peak = 41,
		.threads_started = 46, .threads_exited = 6, .capacity = 40, .busy = 3, .busy_peak = 40,
		.queued = 17, .running = 2, .running_mean = 1.5, .running_peak = 4,
		.right_size = {8, 2147483648ULL, 1800, 1790, 7, 7},
		.memory = {.resident = {1, 2, 3, 4}, .mapped = {10, 20, 30, 40}, .resident_bytes = 10,
			   .mapped_bytes = 100, .orphaned_bytes = 5, .grown_bytes = -7, .net_grown_bytes = -9},
		.has_processes = true, .processes = 3, .processes_max = 4, .processes_pending = UNKNOWN_U64,
		.fit = {32, 6, "workers", "min(32, 40 CPUs + 4)", "max_workers=6"},
		.thread_resident_mean = 8, .thread_resident_max = 9, .growth_per_minute = 60,
		.blame = fixture_blame, .n_blame = ARRAY_SIZE(fixture_blame), .blame_other = 0, .blame_unseen = 3,
		.limits = fixture_limits, .n_limits = ARRAY_SIZE(fixture_limits), .verdict = fixture_verdict,
	},
	{
		.name = FIXTURE_HOSTILE_NAME, .parent = 0, .threads = 1, .threads_peak = 1,
		.capacity = UNKNOWN_U64, .busy = UNKNOWN_U64, .busy_peak = UNKNOWN_U64, .queued = UNKNOWN_U64,
		.running_mean = NAN, .running_peak = UNKNOWN_U64,
		.memory = {.resident = {UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64},
			   .mapped = {UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64},
			   .resident_bytes = UNKNOWN_U64, .mapped_bytes = UNKNOWN_U64,
			   .orphaned_bytes = UNKNOWN_U64, .grown_bytes = UNKNOWN_I64, .net_grown_bytes = UNKNOWN_I64},
		.thread_resident_mean = UNKNOWN_U64, .thread_resident_max = UNKNOWN_U64,
		.growth_per_minute = UNKNOWN_I64, .blame_other = UNKNOWN_U64, .blame_unseen = UNKNOWN_U64,
	},
};

static struct snapshot_function fixture_functions[] = {{.name = "pre\x1b[2Jdict", .file = "app.py"}};

static struct snapshot_thread fixture_threads[] = {
	{
		.id = {100, 90000000000ULL}, .name = "anyio-1", .pool = 0, .state = 'S', .cpu_percent = 12.5,
		.activity = WORKER_BUSY, .function = 0, .line = 42,
		.start_routine = "thread_run", .module = "python3.11", .started_realtime_ns = 1700000000000000000ULL,
		.age_ns = 10 * NSEC_PER_SEC, .stack_used = 16384, .creator = {99, 80000000000ULL},
		.memory = {.resident = {1, 2, 3, 4}, .mapped = {10, 20, 30, 40}, .resident_bytes = 10,
			   .mapped_bytes = 100, .grown_bytes = 1, .net_grown_bytes = 1},
	},
	{
		.id = {101, 0}, .name = "x\"\n\x1b[0m\xfe", .pool = 1, .cpu_percent = NAN,
		.stack_used = UNKNOWN_U64, .age_ns = UNKNOWN_U64, .function = FUNCTION_NONE,
		.memory = {.resident_bytes = UNKNOWN_U64, .grown_bytes = UNKNOWN_I64, .net_grown_bytes = UNKNOWN_I64},
	},
};

static struct snapshot_target fixture_targets[] = {
	{
		.id = 1, .info = {.pid = 99, .ns_pid = 7, .parent_pid = 1, .name = "recsys-api", .comm = "uvicorn",
				  .unit = "recsys-api.service", .container = "0123456789ab", .runtime = "cpython 3.11.2"},
		.started_realtime_ns = 1700000000000000000ULL, .attached_realtime_ns = 1700000001000000000ULL,
		.variant = "tracepoint", .threads = 41, .threads_peak = 42, .threads_running = 2,
		.memory = {.rss_anon = 100, .rss_file = 20, .rss_shmem = 3, .swapped = 0},
		.attributed_bytes = 80, .unattributed = {11, 2, 0, 0}, .unattributed_bytes = 13,
		.unexplained_bytes = 7, .age_seconds = 0.4,
		.cgroup = {.path = "/system.slice/recsys-api.service", .memory_max = 1024 * FIXTURE_MIB,
			   .memory_current = 512 * FIXTURE_MIB, .oom_kills = 0, .pids_max = 4915,
			   .cpu_quota_cores = 2.5, .cpus_allowed = 40, .cpus_online = 64},
		.growth_1m = 60, .growth_5m = UNKNOWN_I64, .seconds_to_memory_max = NAN, .cgroup_seconds_to_memory_max = NAN,
		.events_received = 1000, .events_lost = 1, .reseeds = 1,
		.limits = fixture_limits, .n_limits = 1,
		.unmatched = fixture_unmatched, .n_unmatched = ARRAY_SIZE(fixture_unmatched),
		.verdict = {.state = VERDICT_NONE},
		.pools = fixture_pools, .n_pools = ARRAY_SIZE(fixture_pools),
		.threads_list = fixture_threads, .n_threads_list = ARRAY_SIZE(fixture_threads),
		.functions = fixture_functions, .n_functions = ARRAY_SIZE(fixture_functions),
		.runtime = {.passes = 9, .failed_passes = 1, .failed_reads = 4, .unread = 2, .role = PROCESS_UVICORN_WORKER},
	},
	{
		.id = 2, .info = {.pid = 200, .name = "or\\ders"}, .ended = true,
		.end = {TARGET_END_SIGNALLED, 9}, .ended_realtime_ns = 1700000005000000000ULL,
		.memory = {UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64, 0},
		.attributed_bytes = UNKNOWN_U64, .unattributed_bytes = UNKNOWN_U64,
		.unattributed = {UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64},
		.unexplained_bytes = UNKNOWN_I64, .age_seconds = NAN,
		.cgroup = {.memory_max = UNKNOWN_U64, .memory_current = UNKNOWN_U64, .oom_kills = UNKNOWN_U64,
			   .pids_max = UNKNOWN_U64, .cpu_quota_cores = NAN},
		.growth_1m = UNKNOWN_I64, .growth_5m = UNKNOWN_I64, .seconds_to_memory_max = NAN, .cgroup_seconds_to_memory_max = NAN,
		.events_received = UNKNOWN_U64, .events_lost = UNKNOWN_U64,
	},
};

static const struct snapshot fixture_snapshot = {
	.time_ns = 100000000000ULL, .realtime_ns = 1700000010123456789ULL, .refresh = 10,
	.targets = fixture_targets, .n_targets = ARRAY_SIZE(fixture_targets),
	.groups = fixture_groups, .n_groups = ARRAY_SIZE(fixture_groups),
	.lost = {1, 0, 2, UNKNOWN_U64}, .received = {46, 6, 1, 0, 1000, 900, 3, 700, 2}, .reseeds = 1,
	.host = "host-1", .version = "0.1-test",
	.attached = {{"threads", "tp_btf"}, {"memory", "tracepoint"}}, .n_attached = 2,
};

#endif
