/* SPDX-License-Identifier: GPL-2.0-only */
/* The model: applies facts, answers with snapshots. Pure: no I/O, no clock (facts carry the time),
 * no library beyond libc, no logging. */
#ifndef POOLSCOPE_MODEL_MODEL_H
#define POOLSCOPE_MODEL_MODEL_H

#include "../fact.h"
#include "policy.h"
#include "snapshot.h"

struct model;

struct model_options {
	const struct policy *policy; /* borrowed; must outlive the model */
	uint32_t max_threads;        /* a target; 0: 65,536 */
	uint32_t max_ranges;         /* a target; 0: 262,144 */
	bool keep_ended;             /* ended targets stay in the snapshot (top); else only in groups */
	bool lists_no_threads;       /* none in the snapshot: for views that show no single one (metrics) */
};

int model_new(const struct model_options *options, struct model **ret_model);
void model_free(struct model *model);
DEFINE_CLEANUP(struct model *, model_free)

/* Applying a fact twice changes nothing. 0; -ENOENT: the fact's target is not known; -EINVAL: the
 * fact makes no sense (model unchanged); -ENOMEM. A full table is no error: it is counted. */
int model_apply(struct model *model, const struct fact *fact);

/* Judges what events alone can change (thread limits). Call after a batch of events and at
 * model_deadline(). now_ns: boottime. */
void model_judge(struct model *model, uint64_t now_ns);
/* Newborns whose time to take a name is over by now_ns. Of each it is to be told whether it has had a CPU yet (FACT_THREAD_ASKED)
 * before the events up to then are: one that has not has half as long again, 20 ms at least, for ten seconds at most. From
 * now on nobody's time is over before that was told. Returns how many, up to max; the others are due still. */
struct newborn {
	uint32_t target;
	struct thread_id id;
};
size_t model_due_newborns(struct model *model, uint64_t now_ns, struct newborn *ret_newborns, size_t max);
/* A limit on the threads of some pool of the target: who knows whose a newborn is should say so at once. */
bool model_limits_pools_threads(const struct model *model, uint32_t target);
/* Boottime at which model_judge() must be called even without events; UINT64_MAX: never. */
uint64_t model_deadline(const struct model *model);

/* A change of a limit's state, each reported once, in order. */
struct limit_transition {
	uint64_t time_ns;
	uint32_t target, pid;
	char process[64], pool[64]; /* pool "": the process */
	struct snapshot_limit limit; /* as it is now; limit.since_realtime_ns set */
	enum limit_state before;
};
/* true: *ret_transition filled. */
bool model_next_transition(struct model *model, struct limit_transition *ret_transition);
/* So many found no room since this was asked last. */
uint64_t model_dropped_transitions(struct model *model);

/* True when what was lost makes the target's ranges unsure: reseed it. Cleared by SEED_BEGIN. */
/* The kernel does not count what a probe misses: owners are sure only right after a reseed. */
bool model_losses_unknown(const struct model *model);
bool model_wants_reseed(const struct model *model, uint32_t target);

/* Some target's threads count for nothing until the next refresh, as births or ends were lost. */
bool model_wants_refresh(const struct model *model);

/* Ranges that can hold anonymous pages, sorted, disjoint. Caller frees *ret_spans. */
int model_spans(const struct model *model, uint32_t target, struct span **ret_spans, size_t *ret_count);

/* True when more changed since it was read last than `tolerance` times 64 KiB or a 64th of the anonymous memory, whichever
 * is less; or when there is something that was never read, for want of which other figures are not told. */
bool model_has_moved(const struct model *model, uint32_t target, unsigned int tolerance);

/* The number of the first of the config's own rules that is about the thread; 0: none. */
uint32_t model_rule_of(const struct model *model, uint32_t target, const struct thread_id *id);

/* What no thread owns, for the search for evidence. Caller frees *ret_unowned. */
int model_unowned(const struct model *model, uint32_t target, struct unowned **ret_unowned, size_t *ret_count);

/* A complete copy of what the model knows, as of the last FACT_TICK. Caller frees. */
int model_snapshot(struct model *model, struct snapshot **ret_snapshot);

#endif
