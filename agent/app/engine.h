/* SPDX-License-Identifier: GPL-2.0-only */
/* The engine: runs the sources, hands every fact to the model, gives snapshots. It must not know
 * how anything looks, nor what the user typed. */
#ifndef POOLSCOPE_APP_ENGINE_H
#define POOLSCOPE_APP_ENGINE_H

#include "../model/model.h"
#include "../source/probes.h"
#include "../source/procfs.h"
#include "sampler.h"

struct engine;

struct engine_options {
	const struct policy *policy; /* borrowed */
	const char *procfs;          /* NULL: /proc */
	const char *variant;         /* NULL: by trial */
	uint32_t ring_bytes;         /* 0: default */
	uint32_t max_processes;      /* 0: default */
	double cpu_budget;           /* share of one core for page-table readings: 0.01; 0: no bound */
	uint64_t interval_ns;        /* of the refresh */
	bool follow_forks;
	bool keep_ended, lists_no_threads; /* struct model_options */
	/* Called once for each change of a limit's state, in order. May be NULL. */
	void (*on_transition)(void *context, const struct limit_transition *transition);
	/* So many more changes were not told: there were too many at once. May be NULL. */
	void (*on_dropped)(void *context, uint64_t transitions);
	/* Which policy entry a target belongs to and its group's name: written into target->policy and
	 * target->name. Asked at attach, for followed children and again at exec. May be NULL: entry 0,
	 * name = comm. */
	void (*classify)(void *context, struct fact_target *target);
	/* A target was attached to (end NULL) or has ended. May be NULL. */
	void (*on_target)(void *context, const struct fact_target *target, const struct fact_target_gone *end);
	/* Asked between targets while something goes over all of them. May be NULL. True: leave it. */
	bool (*gives_way)(void);
	void *context;
};

int engine_new(const struct engine_options *options, struct engine **ret_engine, struct explain *explain);
void engine_free(struct engine *engine);
DEFINE_CLEANUP(struct engine *, engine_free)

struct procfs *engine_procfs(struct engine *engine); /* borrowed */
const struct probes *engine_probes(const struct engine *engine);

/* Attach, seed, drain. -ESRCH, -EINVAL, -EXDEV, -EOPNOTSUPP ... with *explain filled; -EEXIST (not
 * explained): it is a target already, or in the memory of one. */
int engine_attach(struct engine *engine, uint32_t pid, bool follow_forks, struct explain *explain);
/* The same for a child of a followed target: it takes after that one, if it has called no exec. */
int engine_attach_child(struct engine *engine, uint32_t pid, struct explain *explain);
bool engine_has(const struct engine *engine, uint32_t pid);
bool engine_follows(const struct engine *engine, uint32_t pid); /* a living target whose children are taken in */
/* So many processes that were to be watched are not, for want of room: they count as lost with the map. */
void engine_note_unwatched(struct engine *engine, uint64_t count);
size_t engine_living(const struct engine *engine); /* targets that have not ended */

/* The ring's descriptor: readable means that engine_events() has work. */
int engine_fd(const struct engine *engine);
/* Drains events and judges what they change. */
void engine_events(struct engine *engine);
/* The boottime at which that is to be done next, even if the descriptor says nothing; UINT64_MAX: never. */
uint64_t engine_due(struct engine *engine);
/* Events were lost that only a refresh can make up for. */
bool engine_wants_refresh(const struct engine *engine);
/* One sample of who runs, of all targets. Returns the boottime at which the next is due; UINT64_MAX: never. */
uint64_t engine_sample(struct engine *engine);
/* The budget for page tables is a share of the interval. */
void engine_set_interval(struct engine *engine, uint64_t interval_ns);
/* One refresh: samples, page tables within the budget (whole: without bound), tick, snapshot. The
 * caller frees the snapshot. -EINTR: it has given way, and there is none. */
int engine_refresh(struct engine *engine, bool whole, struct snapshot **ret_snapshot);

#endif
