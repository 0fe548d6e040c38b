/* SPDX-License-Identifier: GPL-2.0-only */
/* A snapshot for the tests of the views, the origin's case: a service whose executor stands at its 40 workers,
 * with limits over and near, and one pool with a hostile name. Static: nothing to free, may be changed. */
#ifndef TESTS_FIXTURE_SNAPSHOT_H
#define TESTS_FIXTURE_SNAPSHOT_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/snapshot.h"

#define FIXTURE_MIB(n) ((uint64_t)((n) * 1048576.0))
/* 2026-11-22 12:05:11 UTC */
#define FIXTURE_NOW (1795349111ULL * NSEC_PER_SEC)
#define FIXTURE_AGO(seconds) (FIXTURE_NOW - (seconds) * NSEC_PER_SEC)
/* Clears the screen, rings, turns the text round, and is no UTF-8. */
#define FIXTURE_NAME_HOSTILE "\033[2J\a\"x\\\n\xe2\x80\xae\xff"

enum { FIXTURE_MAIN, FIXTURE_ANYIO, FIXTURE_EXECUTOR, FIXTURE_OPENMP, FIXTURE_HOSTILE, FIXTURE_IO_URING, FIXTURE_POOLS };

struct fixture {
	struct snapshot snapshot;
	struct snapshot_target targets[3];
	struct snapshot_pool pools[FIXTURE_POOLS];
	struct snapshot_thread threads[64];
	struct snapshot_limit process_limits[2], pool_limits[3];
	uint64_t histories[FIXTURE_POOLS][120];
};

static inline void fixture_pool(struct fixture *fixture, int index, const char *name, uint64_t threads, double stack,
				double arena, double heap, double mmap, double grown)
{
	struct snapshot_pool *pool = &fixture->pools[index];
	double total = stack + arena + heap + mmap;

	*pool = (struct snapshot_pool){
		.kind = "threads",
		.parent = -1,
		.threads = threads,
		.threads_peak = threads,
		.threads_started = threads,
		.capacity = UNKNOWN_U64,
		.busy = UNKNOWN_U64,
		.busy_peak = UNKNOWN_U64,
		.queued = UNKNOWN_U64,
		.teams = UNKNOWN_U64,
		.team_bound = UNKNOWN_U64,
		.parallelism = UNKNOWN_U64,
		.blame_other = UNKNOWN_U64,
		.blame_unseen = UNKNOWN_U64,
		.memory = {
			.resident = { FIXTURE_MIB(stack), FIXTURE_MIB(arena), FIXTURE_MIB(heap), FIXTURE_MIB(mmap) },
			.mapped = { threads * FIXTURE_MIB(8), FIXTURE_MIB(arena * 1.1), FIXTURE_MIB(heap), FIXTURE_MIB(mmap) },
			.resident_bytes = FIXTURE_MIB(stack) + FIXTURE_MIB(arena) + FIXTURE_MIB(heap) + FIXTURE_MIB(mmap),
			.mapped_bytes = threads * FIXTURE_MIB(8) + FIXTURE_MIB(arena * 1.1 + heap + mmap),
			.net_grown_bytes = (int64_t)FIXTURE_MIB(grown),
			.kept_bytes = UNKNOWN_U64,
		},
		.faults_per_second = UNKNOWN_U64,
		.thread_resident_mean = FIXTURE_MIB(total) / threads,
		.thread_resident_max = FIXTURE_MIB(total * 1.1) / threads,
		.growth_per_minute = (int64_t)FIXTURE_MIB(grown / 100),
		.history = fixture->histories[index],
		.n_history = 120,
	};
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	/* Fills like an executor: steep, then less and less. */
	for (size_t i = 0; i < pool->n_history; i++)
		pool->history[i] = FIXTURE_MIB(total - grown * (1 - (double)i / 119) * (1 - (double)i / 119));
}

static inline void fixture_thread(struct fixture *fixture, uint32_t tid, const char *name, uint32_t pool, char state,
				  const char *routine, const char *module)
{
	struct snapshot_target *target = &fixture->targets[0];
	struct snapshot_thread *thread = &fixture->threads[target->n_threads_list++];
	const struct snapshot_pool *of = &fixture->pools[pool];
	/* Not all alike, but adding up to nearly the pool's. */
	double share = (0.9 + 0.2 * ((double)(tid % 10) / 10)) / (double)of->threads;

	*thread = (struct snapshot_thread){
		.id = { tid, 1000 + tid },
		.pool = pool,
		.state = state,
		.cpu_percent = state == 'R' ? 87.5 : (double)(tid % 4) / 10,
		.started_realtime_ns = FIXTURE_AGO(7200 - tid % 100 * 60),
		.age_ns = (7200 - tid % 100 * 60) * NSEC_PER_SEC,
	};
	snprintf(thread->name, sizeof(thread->name), "%.15s", name);
	snprintf(thread->start_routine, sizeof(thread->start_routine), "%s", routine);
	snprintf(thread->module, sizeof(thread->module), "%s", module);
	for (size_t i = 0; i < REGION_COUNT; i++) {
		thread->memory.resident[i] = (uint64_t)(share * (double)of->memory.resident[i]);
		thread->memory.resident_bytes += thread->memory.resident[i];
		thread->memory.mapped[i] = thread->memory.resident[i] + 4096;
		thread->memory.mapped_bytes += thread->memory.mapped[i];
	}
	thread->memory.net_grown_bytes = (int64_t)(share * (double)of->memory.net_grown_bytes);
	thread->stack_used = thread->memory.resident[REGION_STACK];
}

static inline void fixture_limits(struct fixture *fixture)
{
	fixture->process_limits[0] = (struct snapshot_limit){
		LIMIT_RESIDENT_BYTES, LIMIT_WARN, LIMIT_SOURCE_BUILTIN, FIXTURE_MIB(3250), FIXTURE_MIB(3686.4),
		FIXTURE_AGO(252), 0, true, 0, false, 90
	};
	fixture->process_limits[1] = (struct snapshot_limit){
		LIMIT_THREADS, LIMIT_OK, LIMIT_SOURCE_BUILTIN, 54, 460, FIXTURE_AGO(7000), 0, true, 0, false, 90
	};
	fixture->pool_limits[0] = (struct snapshot_limit){
		LIMIT_THREADS, LIMIT_OVER, LIMIT_SOURCE_OPTION, 41, 40, FIXTURE_AGO(120), 1, false, 0, false, 0
	};
	fixture->pool_limits[1] = (struct snapshot_limit){
		LIMIT_RESIDENT_BYTES_PER_THREAD, LIMIT_WARN, LIMIT_SOURCE_CONFIG, FIXTURE_MIB(71), FIXTURE_MIB(80),
		FIXTURE_AGO(61), 0, false, 0, false, 0
	};
	fixture->pool_limits[2] = (struct snapshot_limit){
		LIMIT_THREADS, LIMIT_OK, LIMIT_SOURCE_CONFIG, 7, 40, FIXTURE_AGO(7000), 0, false, 0, false, 0
	};
	fixture->targets[0].limits = fixture->process_limits;
	fixture->targets[0].n_limits = 2;
	fixture->pools[FIXTURE_ANYIO].limits = fixture->pool_limits;
	fixture->pools[FIXTURE_ANYIO].n_limits = 2;
	fixture->pools[FIXTURE_EXECUTOR].limits = &fixture->pool_limits[2];
	fixture->pools[FIXTURE_EXECUTOR].n_limits = 1;
}

static inline void fixture_target(struct fixture *fixture)
{
	struct snapshot_target *target = &fixture->targets[0];

	*target = (struct snapshot_target){
		.id = 1,
		.info = { .pid = 4711, .ns_pid = 7, .parent_pid = 1, .name = "recsys-api", .comm = "uvicorn",
			  .exe = "/usr/bin/python3.11", .unit = "recsys-api.service", .runtime = "cpython 3.11.2" },
		.started_realtime_ns = FIXTURE_AGO(7260),
		.attached_realtime_ns = FIXTURE_AGO(3600),
		.variant = "fexit",
		.threads = 54,
		.threads_peak = 54,
		.threads_running = 3,
		.memory = { FIXTURE_MIB(3180), FIXTURE_MIB(61.2), 0, 0, 0 },
		.unattributed = { FIXTURE_MIB(40), FIXTURE_MIB(21), 0, 0 },
		.unattributed_bytes = FIXTURE_MIB(40) + FIXTURE_MIB(21),
		.age_seconds = 0.4,
		.cgroup = { .path = "/system.slice/recsys-api.service", .memory_max = FIXTURE_MIB(4096),
			    .memory_current = FIXTURE_MIB(3277), .oom_kills = 0, .pids_max = 512, .cpu_quota_cores = 2,
			    .host_memory_total = FIXTURE_MIB(65536) },
		.growth_1m_seconds = 60,
		.growth_5m_seconds = 299,
		.growth_1m = (int64_t)FIXTURE_MIB(19.5),
		.growth_5m = (int64_t)FIXTURE_MIB(22.1),
		.growth_anon = (int64_t)FIXTURE_MIB(19.4),
		.growth_file = (int64_t)FIXTURE_MIB(0.1),
		.seconds_to_memory_max = 41.9 * 60,
		.cgroup_seconds_to_memory_max = NAN,
		.events_received = 12345,
		.reseed_age_seconds = NAN,
		.ranges = 812,
		.verdict = { .projected_resident_bytes = UNKNOWN_U64 },
		.pools = fixture->pools,
		.n_pools = FIXTURE_POOLS,
		.threads_list = fixture->threads,
		.history = fixture->histories[FIXTURE_ANYIO],
		.n_history = 120,
	};
}

/* Builds it anew: the same each time. */
static inline struct fixture *fixture_snapshot(void)
{
	static struct fixture fixture;
	struct snapshot_target *target = &fixture.targets[0];
	uint32_t tid = 4711;
	char name[32];

	memset(&fixture, 0, sizeof(fixture));
	fixture_pool(&fixture, FIXTURE_MAIN, "main", 1, 0.2, 0, 88, 31, 4);
	fixture_pool(&fixture, FIXTURE_ANYIO, "anyio-worker-*", 41, 5.1, 2583, 0, 2.5, 2470);
	fixture_pool(&fixture, FIXTURE_EXECUTOR, "ThreadPoolExecutor-0_*", 7, 0.9, 371, 0, 1, 0);
	fixture_pool(&fixture, FIXTURE_OPENMP, "libgomp:gomp_thread_start", 3, 0.3, 23, 0, 12, 12);
	fixture_pool(&fixture, FIXTURE_HOSTILE, FIXTURE_NAME_HOSTILE, 1, 0.1, 0, 0, 0.25, 0.25);
	fixture_pool(&fixture, FIXTURE_IO_URING, "io_uring", 1, 0, 0, 0, 0, 0);
	fixture.pools[FIXTURE_ANYIO].capacity = 40;
	fixture.pools[FIXTURE_ANYIO].running = 2;
	fixture.pools[FIXTURE_ANYIO].threads_started = 47;
	fixture.pools[FIXTURE_ANYIO].threads_exited = 6;
	fixture.pools[FIXTURE_ANYIO].memory.orphaned_bytes = FIXTURE_MIB(12);
	fixture.pools[FIXTURE_MAIN].running = 1;
	snprintf(fixture.pools[FIXTURE_IO_URING].kind, sizeof(fixture.pools->kind), "io_uring workers");
	fixture_target(&fixture);
	fixture_limits(&fixture);
	for (size_t i = 0; i < FIXTURE_POOLS; i++)
		target->attributed_bytes += fixture.pools[i].memory.resident_bytes;
	target->unexplained_bytes = (int64_t)(target->memory.rss_anon - target->attributed_bytes -
					      target->unattributed_bytes);

	fixture_thread(&fixture, tid++, "uvicorn", FIXTURE_MAIN, 'R', "main", "python3.11");
	for (int i = 0; i < 41; i++) {
		snprintf(name, sizeof(name), "anyio-worker-%d", i);
		fixture_thread(&fixture, tid++, name, FIXTURE_ANYIO, i % 20 == 3 ? 'R' : 'S', "thread_run", "python3.11");
	}
	for (int i = 0; i < 7; i++) /* cut at 15 bytes as the kernel does */
		fixture_thread(&fixture, tid++, "ThreadPoolExecu", FIXTURE_EXECUTOR, 'S', "thread_run", "python3.11");
	for (int i = 0; i < 3; i++)
		fixture_thread(&fixture, tid++, "uvicorn", FIXTURE_OPENMP, 'S', "gomp_thread_start", "libgomp.so.1");
	fixture_thread(&fixture, tid++, FIXTURE_NAME_HOSTILE, FIXTURE_HOSTILE, 'S', "", "");
	fixture_thread(&fixture, tid++, "iou-wrk-4711", FIXTURE_IO_URING, 'S', "", "");

	fixture.snapshot = (struct snapshot){
		.time_ns = 7260 * NSEC_PER_SEC,
		.realtime_ns = FIXTURE_NOW,
		.refresh = 3600,
		.targets = fixture.targets,
		.n_targets = 1,
		.host = "fixture",
		.version = "test",
	};
	return &fixture;
}

#endif
