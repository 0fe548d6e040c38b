/* SPDX-License-Identifier: GPL-2.0-only */
/* A refresh from its beginning to its snapshot: counters, reseeds, readings, who has ended. It must not know what a single
 * event does. */
#include "../boottime.h"
#include "engine_inside.h"

#include "origin.h"

#include <errno.h>

/* A reseed costs a read of all mappings: a target that loses events all the time must not turn
 * the agent into a load of its own. Less than a usual interval, or a refresh that comes a moment early passes it over. */
#define RESEED_SPACING_NS (NSEC_PER_SEC / 2)

/* at_once: without regard to the spacing, for a snapshot that is the last word. */
static void reseed_if_wanted(struct engine *engine, struct watched *watched, bool at_once)
{
	struct fact lives_lost = {.kind = FACT_LIVES_LOST, .target = watched->id};
	struct fact_sink sink = engine_sink(engine);
	uint64_t now = boottime();
	int lost_exec = 0;

	bool wanted = model_wants_reseed(engine->model, watched->id) || (at_once && model_losses_unknown(engine->model));

	watched->doubts_image |= wanted;
	if (watched->doubts_image)
		lost_exec = engine_heed_lost_exec(engine, watched);
	watched->doubts_image = lost_exec == -EAGAIN;
	if (lost_exec != 1 && (!wanted || (!at_once && now - watched->reseed_ns < RESEED_SPACING_NS)))
		return;
	watched->reseed_ns = now;
	watched_seed(watched, SEED_LOST, &sink);
	engine_events(engine);
	/* Ends that are in the ring yet came before who was listed. */
	lives_lost.time_ns = boottime();
	if (probes_are_behind(engine->probes))
		(void)sink.emit(sink.context, &lives_lost);
}

static void read_counters(struct engine *engine, bool whole)
{
	struct fact_sink sink = engine_sink(engine);
	size_t living = engine_living(engine);

	engine->living = living ? living : 1;
	probes_counters(engine->probes, &sink);
	for (size_t i = 0; i < engine->watched.count; i++)
		reseed_if_wanted(engine, engine->watched.watched[i], whole);
}

static void bury_ended(struct engine *engine)
{
	for (size_t i = 0; i < engine->watched.count; i++) {
		struct watched *watched = engine->watched.watched[i];

		if (watched->ended || !watched_gone(watched))
			continue;
		engine_events(engine); /* reading took its time: its end may have been told meanwhile, and is before it is gone */
		if (!watched->ended)
			engine_end_unheard(engine, watched);
	}
	/* Ended targets need no sources any more; the model keeps what is to be shown. */
	watched_list_bury(&engine->watched);
}

static int settled_snapshot(struct engine *engine, struct snapshot **ret_snapshot)
{
	int error = engine_settle(engine);

	/* Nothing is drained between the two: a snapshot of two moments would have workers busy that have gone. */
	if (!error)
		error = engine_tick(engine);
	engine_tell_transitions(engine);
	return error ? error : model_snapshot(engine->model, ret_snapshot);
}

static int resume(struct engine *engine)
{
	struct fact_sink sink = {.emit = engine_route, .context = engine};

	for (size_t i = 0; i < engine->watched.count; i++)
		engine->watched.watched[i]->settled = false;
	return held_tell(&engine->later, &sink);
}

static int refresh(struct engine *engine, bool whole, struct snapshot **ret_snapshot)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
	int error, resumed;

	engine_events(engine);
	read_counters(engine, whole);
	error = engine_read(engine, whole);
	if (error)
		return error;
	bury_ended(engine);
	error = settled_snapshot(engine, &snapshot);
	resumed = resume(engine);
	if (error || resumed)
		return error ? error : resumed;
	origin_stamp(engine->probes, snapshot);
	*ret_snapshot = TAKE_PTR(snapshot);
	return 0;
}

int engine_refresh(struct engine *engine, bool whole, struct snapshot **ret_snapshot)
{
	int error;

	engine->is_refreshing = true;
	error = refresh(engine, whole, ret_snapshot);
	engine->is_refreshing = false;
	return error;
}
