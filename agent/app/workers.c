/* SPDX-License-Identifier: GPL-2.0-only */
/* The workers of one target whose runtime waits in a way that is known, and where each stood when it was looked at last.
 * It must not know how that is read. */
#include "workers.h"

void workers_clear(struct workers *workers)
{
	free(workers->worker);
	*workers = (struct workers){0};
}

static size_t place_of(const struct workers *workers, uint32_t tid)
{
	return TABLE_PLACE(workers->worker, workers->count, id.tid, tid);
}

static void drop(struct workers *workers, size_t place)
{
	workers->count--;
	memmove(&workers->worker[place], &workers->worker[place + 1],
		(workers->count - place) * sizeof(*workers->worker));
}

int workers_add(struct workers *workers, const struct rule_evidence *evidence, const struct thread_id *id)
{
	size_t place = place_of(workers, id->tid);
	const struct worker_waits *waits;

	if (place < workers->count && workers->worker[place].id.tid == id->tid) {
		if (thread_id_equal(workers->worker[place].id, *id))
			return 0;
		drop(workers, place);
	}
	waits = runtime_rules_waits(evidence);
	if (!waits || workers->count == WORKERS_MAX)
		return 0;
	if (TABLE_GROW(workers->worker, workers->count, workers->room, 16))
		return -ENOMEM;
	memmove(&workers->worker[place + 1], &workers->worker[place],
		(workers->count - place) * sizeof(*workers->worker));
	workers->count++;
	workers->worker[place] = (struct worker){.id = *id, .waits = waits, .wanted = WORKER_STACK_MIN};
	text_copy(workers->worker[place].routine.symbol, sizeof(workers->worker[place].routine.symbol), evidence->routine);
	text_copy(workers->worker[place].routine.module, sizeof(workers->worker[place].routine.module), evidence->module);
	return 0;
}

struct worker *workers_find(const struct workers *workers, struct thread_id id)
{
	size_t place = place_of(workers, id.tid);

	return place < workers->count && thread_id_equal(workers->worker[place].id, id) ? &workers->worker[place] : NULL;
}

void workers_remove(struct workers *workers, struct thread_id id)
{
	struct worker *worker = workers_find(workers, id);

	if (worker)
		drop(workers, (size_t)(worker - workers->worker));
}

void workers_keep_seen(struct workers *workers)
{
	size_t kept = 0;

	for (size_t i = 0; i < workers->count; i++)
		if (workers->worker[i].is_seen)
			workers->worker[kept++] = workers->worker[i];
	workers->count = kept;
}
