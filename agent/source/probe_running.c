/* SPDX-License-Identifier: GPL-2.0-only */
/* Samples of who runs: one pass of the task iterator over all targets, in which the kernel tells of none but those
 * that are on a CPU or ready for one. It must not know pools. */
#include "../boottime.h"
#include "probes.h"

#include "probe_state.h"
#include "probe_tasks.h"

#include <errno.h>

struct pass {
	struct probes *probes;
	uint64_t time_ns;
	const struct fact_sink *sink;
};

static int emit_running(void *context, const void *bytes)
{
	const struct pass *pass = context;
	const struct running_record *record = bytes;
	const struct probe_space *space = probe_spaces_find(pass->probes->spaces, record->space);
	struct fact fact = {.kind = FACT_THREAD_RUNNING, .time_ns = pass->time_ns};

	/* A followed child whose birth is still in the ring, or a thread without a number in that procfs. */
	if (!space || !record->tid)
		return 0;
	fact.target = space->target;
	fact.thread.id = (struct thread_id){record->tid, record->start_ns};
	return pass->sink->emit(pass->sink->context, &fact);
}

static int emit_end(const struct pass *pass)
{
	int r = 0;

	for (struct probe_space *space = probe_spaces_next(pass->probes->spaces, NULL); space && !r;
	     space = probe_spaces_next(pass->probes->spaces, space)) {
		struct fact fact = {.kind = FACT_RUNNING_SAMPLED, .target = space->target, .time_ns = pass->time_ns};

		r = pass->sink->emit(pass->sink->context, &fact);
	}
	return r;
}

int probes_running(struct probes *probes, const struct fact_sink *sink)
{
	struct pass pass = {probes, boottime(), sink};
	int r;

	if (!probes->set.iterator)
		return -EOPNOTSUPP;
	if (!probe_spaces_next(probes->spaces, NULL))
		return 0;
	probes->set.object->bss->wanted_running = 1;
	r = probe_iterate(&probes->set, sizeof(struct running_record), emit_running, &pass);
	return r ? r : emit_end(&pass);
}
