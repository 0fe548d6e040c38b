/* SPDX-License-Identifier: GPL-2.0-only */
/* Asks whether newborns, whose time to take a name is over, have had a CPU at all. It must not know what follows from it. */
#include "../boottime.h"
#include "engine_inside.h"

/* Between two looks at the ring, of a burst. */
#define ASKED_MAX 256

void engine_ask_newborns(struct engine *engine)
{
	struct fact fact = {.kind = FACT_THREAD_ASKED, .time_ns = boottime()};
	struct newborn due[ASKED_MAX];
	size_t count;

	if (fact.time_ns < engine->due_ns) /* whoever was born since has its time still */
		return;
	count = model_due_newborns(engine->model, fact.time_ns, due, ASKED_MAX);
	for (size_t i = 0; i < count; i++) {
		const struct watched *watched = watched_list_find(&engine->watched, due[i].target);

		fact.target = due[i].target;
		fact.thread = (struct fact_thread){.id = due[i].id, .has_run = true};
		if (watched && !watched->ended)
			procfs_ask(engine->procfs, watched->info.pid, &fact.thread);
		fact.time_ns = boottime(); /* what it has done by then is in the ring */
		(void)model_apply(engine->model, &fact);
	}
}
