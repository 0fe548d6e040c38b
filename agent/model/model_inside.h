/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the model share: a target, and the functions between the parts. For agent/model
 * alone: other rooms know model.h and snapshot.h. */
#ifndef POOLSCOPE_MODEL_MODEL_INSIDE_H
#define POOLSCOPE_MODEL_MODEL_INSIDE_H

#include "arenas.h"
#include "blame.h"
#include "briefs.h"
#include "doubt.h"
#include "executors.h"
#include "functions.h"
#include "history.h"
#include "limits.h"
#include "model.h"
#include "pools.h"
#include "range_map.h"
#include "recent.h"
#include "threads.h"

/* Columns of a target's history. */
enum { HISTORY_ANON, HISTORY_FILE, HISTORY_SHMEM, HISTORY_TOTAL, HISTORY_CGROUP, HISTORY_COLUMNS };
#define TARGET_HISTORY_ROWS 334 /* five minutes at HISTORY_SPACING_NS */
#define GROWTH_LONG_NS (300 * NSEC_PER_SEC)
#define GROWTH_SHORT_NS (60 * NSEC_PER_SEC)
/* A rate is told once samples span so much of its window. Over less it says nothing: an arena's lump of 64 MiB would be
 * a flood, and what a start took a trend. */
#define GROWTH_LONG_LEAST_NS (GROWTH_LONG_NS / 2)
#define GROWTH_SHORT_LEAST_NS (GROWTH_SHORT_NS / 6)
#define OWN_NAMES 4
/* A thread that moves to another pool this soon after it came takes its count of a start along: its
 * routine was resolved late, or it named itself late. Later moves count neither as start nor as end. */
#define SETTLING_NS NSEC_PER_SEC
/* DESIGN.md, "a newborn that still carries its creator's name": how long its rename is waited for. */
#define NAME_WAIT_NS (20 * NSEC_PER_MSEC)
/* Who seems to have had no CPU may have woken just now: it is asked again. */
#define UNSURE_NS (2 * NSEC_PER_MSEC)
/* Who gets no CPU for so long is what it seems. */
#define UNRUN_NS (10 * NSEC_PER_SEC)
/* A share of less time than this says nothing: who has just begun was on a CPU all the time. */
#define SAMPLE_SPAN_NS (50 * NSEC_PER_MSEC)
/* A rate of page faults over less says what one burst did; the first one is better than none. */
#define FAULT_SPAN_NS (250 * NSEC_PER_MSEC)
#define GROUP_NONE UINT32_MAX

struct target {
	uint32_t id;
	struct fact_target info;
	const struct policy_entry *policy;
	char variant[16];
	uint64_t attached_ns, ended_ns;
	bool ended;
	uint32_t group;        /* its place in model.group */
	uint32_t former_group; /* GROUP_NONE; else what was counted so far is that group's */
	struct fact_target_gone end;

	struct threads threads;
	struct pools pools;
	struct range_map *ranges;
	struct arenas arenas;
	struct told_executors executors;
	struct functions functions;
	struct blame blame;
	struct briefs briefs;
	uint64_t briefs_ns; /* when they were counted last */
	uint64_t turns; /* births, ends and briefs so far: their order */
	uint64_t briefs_turn; /* ends up to that one are among the briefs, if they have to be */
	struct recent recent;
	uint64_t heard_ns;  /* up to then all births, names and ends were told, as far as that is known */
	uint64_t passed_ns; /* up to then all of recent have passed, and what they make of a pool's limit is told */
	uint64_t recent_due_ns, recent_last_due_ns; /* when the first and the last that nobody waits for pass; UINT64_MAX: none */
	struct fact_runtime runtime;
	uint64_t runtime_told; /* passes that told something, up to the last refresh */
	uint64_t runtime_told_ns, activity_told_ns; /* when; 0: not yet */
	double activity_age_seconds; /* of the older of the two, as of the last refresh; NAN: nothing was told */
	char own_names[OWN_NAMES][FACT_NAME_SIZE]; /* the process's own: no name family */
	uint32_t n_own_names;
	uint32_t threads_peak;
	bool has_teams; /* some pool is its makers' own */
	struct births births;
	uint64_t stack_start, stack_length; /* [stack] of the main thread, as the seed showed it */
	bool stacks_sought;                 /* some thread's stack is still to be found */
	bool had_threads;

	struct fact_memory memory;
	struct fact_cgroup cgroup;
	struct fact_children children;
	struct fact_loss loss;
	struct fact_events events;
	bool has_loss, has_events;
	uint64_t last_refresh_ns, before_last_refresh_ns;
	uint64_t rates_ns; /* the last refresh that counted rates of faults */
	bool has_rates;    /* it was not the first */
	struct history history;
	struct limit_track limits[LIMIT_KIND_COUNT];

	struct doubt doubt;
	bool read, outside;     /* since the last refresh: page tables read; pages in no range */
	uint32_t outside_streak, outside_reseeds; /* readings in a row; reseeds that they asked for */
	int64_t unexplained, unexplained_reseeded; /* at the last refresh; when it last asked for a reseed */
	uint32_t unexplained_streak; /* refreshes in which it has hardly moved */
	enum seed_reason seed_reason;
	uint64_t reseeds, reseed_ns;

	/* as of the last refresh */
	uint64_t attributed, unattributed[UNATTRIBUTED_COUNT];
	uint64_t oldest_scan_ns; /* 0: no figure yet */
	bool was_read;           /* a range had a figure once */
	bool whole;              /* every range had a figure once */
	bool listed;             /* a refresh has come after the attach: all that was there is known */
	uint64_t base_left;      /* of what nobody had at the attach: as of the last refresh */
	bool had_base;           /* some once */
	bool based;              /* what growth is counted from is known: since then, or since exec */
	uint64_t thread_resident_max, threads_running;

	uint64_t running_sampled_ns;                     /* of the last whole sample of who runs */
	uint64_t running_samples, running_samples_shown; /* since the last refresh; and up to it */
};

struct ended_pool { /* what ended processes counted */
	char name[POOL_NAME_SIZE];
	const char *kind;
	uint64_t started, exited, faults, violations[LIMIT_KIND_COUNT];
	bool limited[LIMIT_KIND_COUNT];
};

struct group {
	char name[64];
	uint64_t processes_started, violations[LIMIT_KIND_COUNT];
	bool limited[LIMIT_KIND_COUNT];
	bool is_configs;     /* an entry of the config has its name */
	uint32_t n_targets;  /* living, those among them that have yet to bring what they counted under this name */
	uint64_t emptied_as; /* the number of the leaving that was the last here */
	struct ended_pool *pool;
	uint32_t n_pools, capacity;
};

#define TRANSITIONS_MAX 512

struct model {
	struct model_options options;
	struct target **target; /* by id, ascending */
	uint32_t n_targets, target_capacity;
	struct target *last; /* found by the last look-up, or NULL */
	struct group *group;
	uint32_t n_groups, group_capacity;
	uint64_t leavings; /* of targets from groups: their order */
	uint64_t names_dropped, ended_pools_dropped; /* for want of room among the groups, and in one of them */
	uint64_t ended_dropped;                      /* targets */
	char variant[16];
	struct fact_loss loss;
	struct fact_events events;
	uint64_t doubted_ns; /* when losses that nobody counts were last assumed */
	bool is_told_unrun; /* it asks which newborns have had no CPU */
	bool lives_unsure; /* of some target */
	uint64_t refresh, time_ns, realtime_ns;
	uint64_t reseeds, dropped_before; /* of targets that went */
	struct {
		struct limit_transition entry;
		uint64_t since_ns;
	} *transition; /* ring of TRANSITIONS_MAX */
	uint64_t transitions_dropped;
	uint32_t transition_first, n_transitions;
};

/* target.c */
int target_new(const struct model *model, const struct fact *fact, struct target **ret_target);
void target_free(struct target *target);
bool target_is_own_name(const struct target *target, const char *name);
void target_note_own_name(struct target *target, const char *name);
/* The base name of the program's file, without " (deleted)". */
const char *target_file(const struct target *target);
void target_bind_policy(struct model *model, struct target *target, uint64_t time_ns);
/* True: some threads that were listed since the exec are to be told of again. */
bool target_exec(struct model *model, struct target *target, uint64_t time_ns);

/* Handlers: apply_target.c, apply_threads.c, apply_ranges.c, apply_runtime.c */
int apply_target(struct model *model, const struct fact *fact);
int apply_target_gone(struct model *model, struct target *target, const struct fact *fact);
int apply_memory(struct model *model, struct target *target, const struct fact *fact);
int apply_cgroup(struct model *model, struct target *target, const struct fact *fact);
int apply_children(struct model *model, struct target *target, const struct fact *fact);
int apply_loss(struct model *model, struct target *target, const struct fact *fact);
int apply_lives_lost(struct model *model, struct target *target, const struct fact *fact);
int apply_events(struct model *model, struct target *target, const struct fact *fact);
int apply_variant(struct model *model, struct target *target, const struct fact *fact);
int apply_thread_arrived(struct model *model, struct target *target, const struct fact *fact);
int apply_thread_exited(struct model *model, struct target *target, const struct fact *fact);
int apply_thread_renamed(struct model *model, struct target *target, const struct fact *fact);
int apply_thread_sampled(struct model *model, struct target *target, const struct fact *fact);
int apply_thread_asked(struct model *model, struct target *target, const struct fact *fact);
int apply_thread_routine(struct model *model, struct target *target, const struct fact *fact);
int apply_thread_arena(struct model *model, struct target *target, const struct fact *fact);
int apply_range(struct model *model, struct target *target, const struct fact *fact);
int apply_seed_begin(struct model *model, struct target *target, const struct fact *fact);
int apply_seed_end(struct model *model, struct target *target, const struct fact *fact);
int apply_resident(struct model *model, struct target *target, const struct fact *fact);
int apply_arena_kept(struct model *model, struct target *target, const struct fact *fact);
int apply_range_held(struct model *model, struct target *target, const struct fact *fact);
int apply_range_owner(struct model *model, struct target *target, const struct fact *fact);
int apply_arena(struct model *model, struct target *target, const struct fact *fact);
int apply_runtime(struct model *model, struct target *target, const struct fact *fact);
int apply_executor(struct model *model, struct target *target, const struct fact *fact);
int apply_worker(struct model *model, struct target *target, const struct fact *fact);
int apply_activity(struct model *model, struct target *target, const struct fact *fact);
/* running.c: the samples of who runs; and what they come to at a refresh, which is one of them if all threads'
 * states are fresh */
int apply_thread_running(struct model *model, struct target *target, const struct fact *fact);
int apply_running_sampled(struct model *model, struct target *target, const struct fact *fact);
void target_figure_running(struct target *target, bool is_sample);
int apply_blame(struct model *model, struct target *target, const struct fact *fact);
/* apply_runtime.c: what the executors of each pool hold and how many are busy, as of this refresh */
void target_figure_executors(struct target *target, uint64_t now_ns);
/* What was told of who is busy is too old to be shown: the readings are put off, or fail. */
bool target_activity_is_stale(const struct target *target);

/* lineage.c: who made threads that were there before; which pool made which, as of this refresh */
void target_find_creators(struct target *target);
void target_figure_lineage(struct target *target);

/* fit.c: is its size what its runtime makes of the number of CPUs, and what would it make of the quota */
void pool_fit(const struct target *target, const struct pool *pool, struct snapshot_fit *ret_fit);

/* members.c: threads in and out of pools */
/* Those that were there are known; a followed child's are from its birth on. */
bool target_is_listed(const struct target *target);
static inline void target_heard(struct target *target, uint64_t time_ns)
{
	if (time_ns > target->heard_ns)
		target->heard_ns = time_ns;
}
/* It has given itself a name, which counts. */
void thread_name(struct model *model, struct target *target, struct thread *thread, uint64_t now_ns);
void thread_settle(struct model *model, struct target *target, struct thread *thread, uint64_t now_ns);
/* As pools_rule_of(). */
uint32_t thread_rule(struct target *target, struct thread *thread);
/* Its runtime says whose worker it is (0: nobody's): so it has been from its start. */
void thread_recognise(struct model *model, struct target *target, struct thread *thread, uint64_t executor,
		      uint64_t now_ns);
/* Its runtime says whose worker it is (0: nobody's). */
void thread_is_told(struct model *model, struct target *target, struct thread *thread, uint64_t executor,
		    uint64_t now_ns);
/* Who was not told of, or not in time, stays where it is. */
void target_count_unread(struct model *model, struct target *target, uint64_t now_ns);
/* It has never been here: in no count, nor in what waits. */
void thread_take_back(struct target *target, struct thread *thread);
void thread_leave(struct model *model, struct target *target, struct thread *thread, uint64_t time_ns);
/* The creator's pool while it lives; after that, the last one that it was in. POOL_NONE: not known. */
uint32_t thread_makers_pool(struct target *target, struct thread *thread);
/* A thread was placed there: a team is below those who made it, however soon it ends. */
void pool_note_maker(struct target *target, uint32_t index, uint32_t makers_pool);
/* It has ended; who made it counts on for its pool's parent. */
void thread_note_maker_at_end(struct target *target, const struct thread *thread);
/* Its start routine's argument lay on the stack of who made it. */
bool thread_has_creators_argument(struct target *target, struct thread *thread);
/* Teams are in pools below those of their makers, who may be told late. */
void target_follow_makers(struct model *model, struct target *target, uint64_t now_ns);
/* is_named: it has one, but those that were there come first. */
void thread_await_name(struct target *target, struct thread *thread, bool is_named);
/* It was born so short a while ago that it may still take a name. */
bool thread_is_young(const struct thread *thread, uint64_t now_ns);
/* Or its creator's is not known. */
bool thread_carries_creators_name(const struct thread *thread);
void thread_note_creator(struct target *target, struct thread *thread);
void thread_lives_from_now(struct target *target, struct thread *thread);
void thread_upgrade_born(struct model *model, struct target *target, struct thread *thread, uint64_t time_ns);
void target_settle_due(struct model *model, struct target *target, uint64_t now_ns, bool seen_too);
/* Newborns whose name does not count yet are shown where they are going, if that is a pool already: else who makes many
 * that live for a moment only had some of them whenever one looks. */
void target_place_guests(struct target *target);
/* The pool that a thread is shown in; a newborn that is not on its way to any is its creator's guest. */
uint32_t thread_shown_pool(const struct target *target, const struct thread *thread);
const char *thread_symbol(const struct target *target, const struct thread *thread);
const char *thread_module(const struct target *target, const struct thread *thread);

/* newborns.c */
/* When its time to take a name is over. */
uint64_t thread_settle_due(const struct thread *thread);
/* Of those who wait, the first whose time counts. */
uint32_t target_first_due(const struct target *target);
/* Up to when no newborn waits for its pool. */
bool target_newborns_are_late(const struct target *target, uint64_t now_ns);
uint64_t target_newborns_until(const struct target *target);
/* Up to when it is known of what pool those were who were born. */
uint64_t target_placed_until(const struct target *target, uint64_t now_ns);
size_t target_due_newborns(struct target *target, uint64_t now_ns, struct newborn *ret_newborns, size_t max);
uint64_t target_settle_deadline(const struct target *target);
/* Who tells whose it is has not told yet: its pool does not count it. */
bool thread_is_to_be_told(const struct target *target, const struct thread *thread, const struct pool *pool, uint64_t now_ns);
/* It has ended before its pool counted it, and while that was not to be told: it may have been another's. Or it is about to
 * be counted, or has been until now, while others wait for a CPU that have lived with it. */
void thread_note_brief(struct model *model, struct target *target, const struct thread *thread, bool member,
		       uint64_t time_ns, bool is_counted);
bool thread_had_to_wait(const struct target *target, const struct thread *thread);
/* The first that waits for a CPU is found out. */
void target_note_recent_ends(struct target *target);
bool target_briefs_wait(const struct target *target, uint64_t now_ns);
/* What lived at once and ended before it was counted: it may be the peak, or too many. */
void target_count_briefs(struct model *model, struct target *target, uint64_t now_ns);

/* counts.c */
/* Another pool counts it; POOL_NONE: none. The first does so since its birth, if that has not passed. */
void thread_counts_in(struct target *target, struct thread *thread, uint32_t before, uint32_t after, uint64_t now_ns);
/* It has ended; was_counted: its pool had counted it. */
void thread_counted_until(struct target *target, const struct thread *thread, bool was_counted, uint64_t time_ns);
/* What was counted while those that were there were told one by one, between births and ends that came before, never lived at
 * one time. */
void target_count_from_now(struct target *target, uint64_t now_ns);
/* It was born before the sample and is in it. */
static inline bool thread_is_found(const struct thread *thread, uint64_t sample_ns)
{
	return sample_ns && thread->seen_ns >= sample_ns && thread->id.start_ns <= sample_ns;
}
/* Births, ends or names were lost: until a refresh has found who lives, no count is one. */
void target_doubt_lives(struct target *target, uint64_t now_ns);
/* After losses: those that lived at one moment for certain are the least that did. */
void target_count_found(struct model *model, struct target *target, uint64_t now_ns);
/* How many lived at once at the time up to which all newborns have their pools. */
void target_pass_recent(struct model *model, struct target *target, uint64_t until_ns, uint64_t now_ns);
/* All that is told of an image, or of the process, that ends. */
void target_pass_all(struct model *model, struct target *target, uint64_t now_ns);
/* What counts that are unsure seem to be is none. */
void target_note_peak(struct target *target);
void pool_note_peak(const struct target *target, struct pool *pool);

/* given_back.c */
/* How much more than then `made` bytes are now. */
int64_t base_net_grown(const struct base *base, uint64_t made);
/* Before the fact is applied. */
void given_back_note(struct target *target, const struct fact *fact);
/* based: what is left of what was there at the attach and nobody had. What is gone was theirs who freed it. */
void given_back_settle(struct target *target, uint64_t based);

/* stacks.c */
void thread_take_stack(struct model *model, struct target *target, struct thread *thread, bool born,
		       uint64_t time_ns);
void leader_take_stack(struct target *target, uint64_t time_ns);
void target_seek_stacks(struct target *target, uint64_t time_ns);

/* judge.c */
void judge_threads(struct model *model, struct target *target, uint32_t pool, uint64_t now_ns);
/* So many were found to live. */
void judge_threads_found(struct model *model, struct target *target, uint32_t pool, uint64_t threads, uint64_t now_ns);
/* A pool's count changed at a time that all have passed. */
void judge_threads_then(struct model *model, struct target *target, uint32_t pool, int32_t change, uint64_t then_ns);
/* So many lived in a pool at some time since the first one, as is found now: too many are told at once. */
void judge_threads_recalled(struct model *model, struct target *target, uint32_t pool, uint64_t threads, uint64_t since_ns,
			    uint64_t now_ns);
void judge_release(struct model *model, struct target *target, uint64_t now_ns);
void judge_target(struct model *model, struct target *target, bool memory_too, uint64_t now_ns);
uint64_t target_judge_deadline(const struct target *target);
void limit_fill(const struct model *model, const struct limit_track *track, struct snapshot_limit *ret_limit);
uint64_t model_realtime(const struct model *model, uint64_t time_ns); /* 0 stays 0 */

/* refresh.c: what a tick does */
void target_refresh(struct model *model, struct target *target, uint64_t heard_ns, uint64_t now_ns);

/* groups.c */
/* The place of the group of that name, made if need be; it stays while it has targets. 0 or -ENOMEM. */
int model_group(struct model *model, const char *name, uint32_t *ret_group);
void group_enter(struct model *model, struct target *target, uint32_t group);
/* What was counted until now is the former group's: exec will say so, or the next refresh. */
void group_change(struct model *model, struct target *target, uint32_t group);
/* Adds what the target has counted to what its group keeps; one that has ended leaves it. */
void group_retire(struct model *model, struct target *target);
int groups_fill(struct model *model, struct snapshot *snapshot);

/* snapshot_target.c */
int target_fill(struct model *model, struct target *target, struct snapshot_target *ret_target);

#endif
