/* SPDX-License-Identifier: GPL-2.0-only */
/* What a look at the ring brings about, and when the next one is due. It must not know what a single event does. */
#include "../boottime.h"
#include "engine_inside.h"

static void blame(struct engine *engine)
{
	struct fact_sink sink = engine_sink(engine);

	for (size_t i = 0; engine->grew && i < engine->watched.count; i++)
		if (engine->watched.watched[i]->grew)
			(void)watched_blame(engine->watched.watched[i], &sink);
	engine->grew = false;
}

void engine_tell_transitions(struct engine *engine)
{
	struct limit_transition transition;
	uint64_t dropped;

	while (model_next_transition(engine->model, &transition))
		if (engine->options.on_transition)
			engine->options.on_transition(engine->options.context, &transition);
	dropped = model_dropped_transitions(engine->model);
	if (dropped && engine->options.on_dropped)
		engine->options.on_dropped(engine->options.context, dropped);
}

/* Whose worker a newborn is, where a limit asks for it: a refresh reads that by itself. */
static void meet_workers(struct engine *engine)
{
	struct fact_sink sink = engine_sink(engine);
	uint64_t now = boottime();

	for (size_t i = 0; i < engine->watched.count && !engine->is_refreshing; i++) {
		struct watched *watched = engine->watched.watched[i];

		if (watched->meet_ns && watched->meet_ns <= now && !watched->ended)
			(void)watched_meet_workers(watched, &sink);
	}
}

void engine_events(struct engine *engine)
{
	struct fact_sink sink = {.emit = engine_route, .context = engine};
	uint64_t now_ns;

	engine_ask_newborns(engine);
	now_ns = boottime();
	probes_drain(engine->probes, &sink);
	now_ns = probes_heard_until(engine->probes, now_ns);
	blame(engine);
	meet_workers(engine);
	/* What came meanwhile is judged when it is drained. */
	model_judge(engine->model, now_ns);
	engine_tell_transitions(engine);
}

uint64_t engine_due(struct engine *engine)
{
	uint64_t due = model_deadline(engine->model), drain = probes_due(engine->probes);

	for (size_t i = 0; i < engine->watched.count; i++) {
		const struct watched *watched = engine->watched.watched[i];

		if (watched->meet_ns && watched->meet_ns < due && !watched->ended)
			due = watched->meet_ns;
	}
	engine->due_ns = due;
	return drain < due ? drain : due;
}

bool engine_wants_refresh(const struct engine *engine)
{
	return model_wants_refresh(engine->model);
}
