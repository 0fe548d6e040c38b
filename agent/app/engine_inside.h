/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the engine share. For engine*.c alone: others know engine.h. */
#ifndef POOLSCOPE_APP_ENGINE_INSIDE_H
#define POOLSCOPE_APP_ENGINE_INSIDE_H

#include "engine.h"
#include "held.h"
#include "watched_list.h"

struct engine {
	struct engine_options options;
	struct probes *probes;
	struct procfs *procfs;
	struct model *model;
	struct watched_list watched;
	size_t living; /* of them, when the refresh began; at least 1 */
	bool is_refreshing;
	bool grew;        /* somebody made much usable, by the drain that runs */
	uint64_t due_ns;  /* of engine_due(), as it was asked last */
	struct growers_budget asking;
	struct held held; /* readings wait here for the drain that makes them comparable */
	struct held later; /* what comes of settled targets waits here until their figures are told */
};

/* Into the model, as facts of the sources are. */
struct fact_sink engine_sink(struct engine *engine);
/* What an event of the kernel's does; context: the engine. */
int engine_route(void *context, const struct fact *fact);
/* Before what was drained is judged by how old they are. */
void engine_ask_newborns(struct engine *engine);
int engine_tick(struct engine *engine);
void engine_tell_transitions(struct engine *engine);
/* It may have called exec unheard. 1: it has, and is looked at anew, but for its threads; 0: it has not; -EAGAIN: open still. */
int engine_heed_lost_exec(struct engine *engine, struct watched *watched);
/* It is gone, and no event has told how. */
void engine_end_unheard(struct engine *engine, struct watched *watched);
/* What a refresh reads of all targets, in the model; whole: whatever it costs. -EINTR: it was to give way. */
int engine_read(struct engine *engine, bool whole);
/* Reads again what moved meanwhile; then targets are settled: what comes of them waits. -EINTR. */
int engine_settle(struct engine *engine);

#endif
