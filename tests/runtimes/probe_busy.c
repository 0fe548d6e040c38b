/* SPDX-License-Identifier: GPL-2.0-only */
/* The agent's engine over a living process, with a clock that the test moves on: each line on stdin is a number of
 * refreshes, 5 s apart; what is known of one pool then is answered as a line of JSON. usage: probe_busy PID POOL.
 * Linked with --wrap=boottime. */
#include "app/engine.h"
#include "edge/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define STEP_NS (5 * NSEC_PER_SEC)

uint64_t __real_boottime(void);
uint64_t __wrap_boottime(void);

static uint64_t ahead_ns;

uint64_t __wrap_boottime(void)
{
	return __real_boottime() + ahead_ns;
}

static void answer(const struct snapshot *snapshot, const char *name)
{
	const struct snapshot_target *target = &snapshot->targets[0];

	for (size_t i = 0; i < target->n_pools; i++) {
		const struct snapshot_pool *pool = &target->pools[i];

		if (strcmp(pool->name, name) != 0)
			continue;
		printf("{\"busy\":%" PRId64 ",\"queued\":%" PRId64 ",\"workers\":%" PRIu64 ",\"advised\":%" PRIu64
		       ",\"observed\":%" PRIu64 ",\"busy_peak\":%" PRIu64 ",\"frees\":%" PRIu64 ",\"resident_mean\":%" PRIu64
		       "}\n",
		       (int64_t)pool->busy, (int64_t)pool->queued, pool->threads, pool->right_size.workers,
		       pool->right_size.observed_seconds, pool->right_size.busy_peak, pool->right_size.frees_bytes,
		       pool->thread_resident_mean);
		fflush(stdout);
		return;
	}
	puts("{}");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
	struct engine_options options = {.interval_ns = NSEC_PER_SEC};
	_cleanup_(config_freep) struct config *config = NULL;
	_cleanup_(engine_freep) struct engine *engine = NULL;
	struct explain explain = {0};
	long count;

	if (argc != 3 || config_new_builtin(&config))
		return 2;
	options.policy = config->policy;
	if (engine_new(&options, &engine, &explain) ||
	    engine_attach(engine, (uint32_t)atoi(argv[1]), false, &explain)) {
		fprintf(stderr, "%s: %s\n", explain.what, explain.why);
		return 1;
	}
	while (scanf("%ld", &count) == 1) {
		for (long i = 0; i < count; i++) {
			snapshot_freep(&snapshot);
			ahead_ns += STEP_NS;
			if (engine_refresh(engine, false, &snapshot) || !snapshot->n_targets)
				return 1;
		}
		answer(snapshot, argv[2]);
	}
	return 0;
}
