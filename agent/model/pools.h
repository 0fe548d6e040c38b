/* SPDX-License-Identifier: GPL-2.0-only */
/* The pools of one target: which one a thread belongs to, and what each has counted. It must not know
 * threads beyond what a name is made from. */
#ifndef POOLSCOPE_MODEL_POOLS_H
#define POOLSCOPE_MODEL_POOLS_H

#include "busy_watch.h"
#include "history.h"
#include "limits.h"
#include "pool_names.h"
#include "runtime_rules.h"
#include "threads.h"

/* Resident bytes; and what grows of them: without the share of what arenas held before the attach, which moves as their
 * users come and go. */
enum pool_history { POOL_HISTORY_RESIDENT, POOL_HISTORY_GROWN, POOL_HISTORY_COLUMNS };
#define POOL_HISTORY_ROWS 60 /* points of the sparkline; a minute at one refresh a second */
#define BIRTHS_SECONDS 60

/* Births in the last minute, by second. */
struct births {
	uint64_t newest; /* the second of the newest bucket */
	uint32_t count[BIRTHS_SECONDS];
	uint64_t total;
};

void births_change(struct births *births, uint64_t time_ns, int change);
uint64_t births_count(struct births *births, uint64_t now_ns);

struct pool {
	char name[POOL_NAME_SIZE];
	char pattern[POOL_NAME_SIZE]; /* of a name family: all digits folded; else "" */
	const char *kind;
	bool reserved;                    /* has room beyond max_pools */
	uint32_t number;                  /* of this pool, never used again; an index may be */
	/* as its rule has it (runtime_rules.h) */
	bool has_parallelism, is_teams, is_programs_main, is_makers_own;
	bool is_runtimes_own; /* none of the program's work: a collector, a compiler */
	uint32_t threads_found; /* of a refresh after losses: members that lived at one moment for certain */
	uint32_t threads, threads_peak;   /* living; newborns whose name does not count yet are not in */
	uint64_t left_ns;                 /* when a thread went from it to another pool; 0: never */
	uint32_t threads_then;            /* at target.passed_ns, by what is known of them now */
	uint32_t unread;                  /* of threads: in no limit, peak or count of births yet (thread.is_unread) */
	uint32_t guests;                  /* such newborns, if they are to come here; no peak has them in */
	uint64_t seen, started, exited;   /* there at attach; born since; ended */
	uint64_t started_told;            /* as of the last refresh, without young ones; never falls */
	uint32_t young;                   /* of started, as of the last refresh: they may turn out to be another's */
	uint64_t faults;                  /* page faults that its threads took since attach */
	struct births births;
	struct limit_track limits[LIMIT_KIND_COUNT];
	struct history history; /* enum pool_history */
	/* as of the last refresh; UNKNOWN_U64 unless a runtime tells */
	uint64_t capacity, queued, borrowed, busy, busy_peak, executor_peak;
	uint64_t processes, processes_max, processes_pending; /* of a ProcessPoolExecutor whose manager is in it */
	bool has_processes;
	bool has_executors, had_executors;
	bool has_others; /* threads of no executor */
	bool had_activity; /* of some thread it was told by where it stood */
	uint32_t n_executors; /* that its capacity is the sum of */
	uint64_t only_executor; /* 0: it has none, or several */
	struct busy_watch busy_watch;
	/* as of the last refresh */
	uint32_t ended_maker; /* the number of the pool whose threads made those that have ended; 0: not known */
	bool has_ended_makers; /* several pools did */
	uint32_t parent, parent_number;          /* whose threads made its threads; POOL_NONE: none, or not known */
	uint64_t teams, team_threads; /* how many, and the largest with all within; UNKNOWN_U64: it has none, or not known */
	uint64_t team_threads_peak;   /* the largest at any refresh */
	bool has_teams_within;        /* helpers have teams themselves */
	struct snapshot_bytes memory;
	uint64_t gave_back; /* by threads that have ended since the last refresh */
	struct base base;
	uint64_t thread_resident_max, thread_resident_sum, shown_threads, running, active;
	/* samples of who runs since the last refresh; and what they came to up to it */
	uint64_t running_ns, running_now, running_sum, running_most; /* the sample that is being told; all before */
	double running_mean;   /* NAN: no sample */
	uint64_t running_peak; /* UNKNOWN_U64: no sample */
	uint64_t faults_new; /* since the last refresh */
	uint64_t faults_left; /* of threads that have ended since then; not yet in the two above */
	uint64_t fault_rate; /* a second; UNKNOWN_U64 */
	bool has_fault_rate; /* some thread's faults were counted twice */
};

/* Which rules may be about threads of one routine: a program that makes threads makes the same ones again. */
struct rule_memo {
	char symbol[FACT_SYMBOL_SIZE], module[64];
	bool is_leader, is_filled;
	struct rule_set set;
};

#define DROPPED_POOLS_MAX 8192 /* as many names are told apart to count them */

struct pools {
	struct rule_memo memo[4];
	uint32_t next_memo; /* the one that is given up next */
	struct pool *pool;
	uint32_t numbers; /* given so far */
	uint32_t count, capacity, room; /* room taken by pools that are not reserved */
	uint64_t *dropped_names;        /* hashes of what max_pools folded into `other`, ascending */
	uint32_t n_dropped, dropped_room;
};

void pools_clear(struct pools *pools);

/* What a thread's pool is judged by. Strings may be "". */
struct pool_subject {
	const char *name, *symbol, *module;
	const char *process; /* comm of the process */
	const char *runtime; /* as fact_target.runtime */
	bool programs_file; /* the module is the program's own file */
	const char *creator; /* of a leader its parent's comm, else the creator's name */
	uint32_t makers_pool; /* where the creator is, or was last; POOL_NONE: not known */
	bool leader, io_worker;
	bool own_name; /* the name is the process's own: it says nothing */
	const struct fact_executor *executor; /* whose worker it is; NULL: nobody's */
};

/* The pool that the subject belongs to, made if need be (its limits bound to the policy's). */
int pools_place(struct pools *pools, const struct policy_entry *policy, const struct pool_subject *subject,
		uint64_t time_ns, uint32_t *ret_pool);
/* The same if there is one already, else POOL_NONE (also where the rest, `other`, would take it). */
uint32_t pools_find(struct pools *pools, const struct policy_entry *policy, const struct pool_subject *subject);
/* The number of the first of the config's rules that is about it, from 1 on; 0: none. */
uint32_t pools_rule_of(const struct policy_entry *policy, const struct pool_subject *subject);
/* What its threads are started with lies on the stack of who made them (runtime_rules.h). */
bool pools_have_creators_argument(struct pools *pools, const struct pool_subject *subject);
/* The program's first thread, and what has no pool of its own. */
bool pool_is_nobodys_parent(const struct pool *pool);
/* Has anything to show: threads or what they left. */
bool pool_is_listed(const struct pool *pool);
/* A listed pool has a name that the glob of a limit matches. */
bool pools_any_matches(const struct pools *pools, const char *glob);

#endif
