/* SPDX-License-Identifier: GPL-2.0-only */
/* Asks the threads of a target that have grown what they do, and tells what was made to be blamed on it. It must not know
 * how a stack is read, nor what becomes of the answer. */
#include "../boottime.h"
#include "watched.h"

#include <errno.h>

int watched_blame_begin(struct watched *watched)
{
	/* Losing sight of it in the kernel (-ESRCH) is an end that comes by itself. */
	int error = probes_want_growth(watched->probes, watched->id);

	return error ? 0 : growers_new(&watched->growers);
}

bool watched_note(struct watched *watched, const struct fact *fact)
{
	/* Without memory for it, a newborn is asked after the next reading. */
	if (fact->kind == FACT_THREAD_BORN && watched->growers)
		(void)cpython_note_birth(watched->cpython, &fact->thread);
	return watched->growers && growers_note(watched->growers, fact);
}

static int emit_blame(const struct watched *watched, const struct grower *grower, struct fact *fact,
		      const struct fact_sink *sink)
{
	int error = 0;

	for (uint32_t i = 0; i < grower->n_pieces && !error; i++) {
		fact->blame.start = grower->piece[i].start;
		fact->blame.length = grower->piece[i].length;
		error = sink->emit(sink->context, fact);
	}
	return error;
}

int watched_blame(struct watched *watched, const struct fact_sink *sink)
{
	struct fact fact = {.kind = FACT_BLAME, .target = watched->id};
	struct grower *grower;
	int error = 0;

	watched->grew = false;
	while (watched->growers && !watched->ended && !error) {
		uint64_t cost_ns = 0;

		fact.time_ns = boottime();
		grower = growers_next(watched->growers, fact.time_ns);
		if (!grower || !growers_may_read(watched->growers, fact.time_ns, watched->runtime_share))
			break;
		fact.blame = (struct fact_blame){.who = grower->who};
		error = cpython_function(watched->cpython, grower->who, &fact.blame, &cost_ns);
		growers_paid(watched->growers, cost_ns);
		if (error == -ENOMEM)
			break;
		if (error && error != -ENODATA) {
			growers_quiet(grower, fact.time_ns);
			error = 0;
			continue;
		}
		/* What it did when it grew is over: that stays unseen. */
		error = error ? 0 : emit_blame(watched, grower, &fact, sink);
		growers_forget(grower);
	}
	return error;
}
