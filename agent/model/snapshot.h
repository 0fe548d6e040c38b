/* SPDX-License-Identifier: GPL-2.0-only */
/* The snapshot: everything that a view may show, at one moment, complete in itself. Every view is a
 * function of one `const struct snapshot *`. It must not point into the model: it outlives it.
 *
 * Unknown figures are UNKNOWN_U64 / UNKNOWN_I64 / NAN. Times named `_realtime_ns` are CLOCK_REALTIME
 * (0: not known). Strings that come from a target are raw, hostile bytes: views escape them. */
#ifndef POOLSCOPE_MODEL_SNAPSHOT_H
#define POOLSCOPE_MODEL_SNAPSHOT_H

#include "../fact.h"
#include "policy.h"

enum region { REGION_STACK, REGION_ARENA, REGION_HEAP, REGION_MMAP, REGION_COUNT };
const char *region_name(enum region region); /* "stack", ... */

enum unattributed { UNATTRIBUTED_BEFORE_ATTACH, UNATTRIBUTED_IMAGE, UNATTRIBUTED_INHERITED,
		    UNATTRIBUTED_LOST, UNATTRIBUTED_COUNT };
const char *unattributed_name(enum unattributed reason); /* "before_attach", ... */
const char *loss_reason_name(enum loss_reason reason);   /* "ring", "map", "recursion", "kretprobe" */
const char *executor_kind_name(enum executor_kind kind); /* "ThreadPoolExecutor", ... */
const char *process_role_name(enum process_role role);   /* "uvicorn worker", ... */
const char *probe_name(enum probe probe);                /* "thread_born", "mmap", ... */

/* Tables that a target can make grow: each has a bound. */
enum table_kind { TABLE_OF_THREADS, TABLE_OF_RANGES, TABLE_OF_HEAPS, TABLE_OF_EXECUTORS, TABLE_OF_FUNCTIONS,
		  TABLE_OF_BLAME, TABLE_KIND_COUNT };
const char *table_kind_name(enum table_kind table); /* "threads", ... */

enum limit_state { LIMIT_OK, LIMIT_WARN, LIMIT_OVER };
const char *limit_state_name(enum limit_state state); /* "ok", "warn", "over" */

enum verdict_state { VERDICT_NONE, VERDICT_STEADY, VERDICT_FILLING, VERDICT_FULL, VERDICT_LEAKING,
		     VERDICT_CHURNING, VERDICT_ORPHANED, VERDICT_UNKNOWN, VERDICT_COUNT };
const char *verdict_state_name(enum verdict_state state);

/* Regions are exclusive: they add up to the totals. What is resident is UNKNOWN_U64 before the first reading. */
struct snapshot_bytes {
	uint64_t resident[REGION_COUNT], mapped[REGION_COUNT];
	uint64_t resident_bytes, mapped_bytes;
	uint64_t orphaned_bytes; /* resident, of threads that have exited; part of resident_bytes */
	uint64_t held_bytes;     /* resident, from before the attach, of who holds it: its maker was not seen; part of resident_bytes */
	/* Resident, from before the attach, known then to this one alone, but perhaps made by another: unattributed, and part of no
	 * other figure here. */
	uint64_t held_unattributed_bytes;
	int64_t grown_bytes;     /* resident now less resident at attach */
	/* As that, both less the base, and less what was made anew of memory that it gave back and had before the attach: what
	 * a reader is told that it has grown. */
	int64_t net_grown_bytes;
	uint64_t base; /* share of what arenas held before the attach: it moves as their users come and go, and is no growth */
	uint64_t kept_bytes; /* resident, but free: kept by glibc's malloc; UNKNOWN_U64: it could not be read whole */
	uint64_t kept_sum, kept_unread; /* what it comes from: what was read, and bytes of which the inside was not */
	bool shared;             /* part of it is an arena that several threads share */
};

struct snapshot_limit {
	enum limit_kind kind;
	enum limit_state state;
	enum limit_source source;
	uint64_t value, max; /* count or bytes; max with percentages resolved; UNKNOWN_U64: no bound */
	uint64_t since_realtime_ns; /* when the present state began */
	uint64_t violations;        /* how often it became `over` */
	bool is_percent;            /* max came from a percentage of a natural bound */
	uint64_t over_in_ns;        /* beyond max, but not for long enough yet: the time until it is over; else 0 */
	bool is_falling;            /* no longer what its state says, but not for long enough yet */
	double percent;             /* of the natural bound, as it was asked for; is_percent */
};

/* A percentage of what is not known says nothing: then its state is none, not `ok`. (What it had reached falls later.) */
static inline bool snapshot_limit_is_judged(const struct snapshot_limit *limit)
{
	return limit->max != UNKNOWN_U64 || limit->state != LIMIT_OK;
}

/* The user asked for it, and it cannot be judged. What is built in may be without a bound in silence. */
static inline bool snapshot_limit_wants_bound(const struct snapshot_limit *limit)
{
	return limit->is_percent && !snapshot_limit_is_judged(limit) && limit->source != LIMIT_SOURCE_BUILTIN;
}

/* A limit that the user asked for and that no pool of the target has: a slip of the pen, or a pool that is
 * still to come. */
struct snapshot_unmatched {
	char pool[64]; /* the glob, as the user wrote it */
	enum limit_kind kind;
	enum limit_source source;
};

struct snapshot_verdict {
	enum verdict_state state; /* VERDICT_NONE: null */
	double confidence;
	uint64_t projected_resident_bytes;
	char why[256];
};

/* A pool whose size is what its runtime makes of the number of CPUs, where the cgroup's CPU quota is less. */
struct snapshot_fit {
	uint64_t size, fits; /* size 0: no such pool. fits: what the same rule makes of the quota */
	char unit[40], formula[56], setting[48]; /* "workers", "min(32, 40 CPUs + 4)", "max_workers=6" */
};

/* How many workers would have done for the load that was seen, where busy is proven. */
struct snapshot_right_size {
	uint64_t workers; /* 0: nothing is advised */
	uint64_t frees_bytes; /* UNKNOWN_U64: too much of the memory is from before the attach, or lost */
	uint64_t observed_seconds, looks;
	uint64_t busy_peak, demand_peak; /* in these looks; demand: busy, and the tasks that waited then */
	uint64_t active_peak; /* workers that had CPU time between two looks: at once or one after another */
};

/* A function under which memory was made that is still resident. */
struct snapshot_blame {
	char function[FACT_SYMBOL_SIZE], file[64]; /* file "": not known */
	uint32_t line; /* where the function begins; 0: not known */
	uint64_t bytes;
};
#define BLAME_SHOWN 5

struct snapshot_pool {
	char name[64];   /* a valid glob for --limit that matches itself */
	char kind[32];   /* "threads", "io_uring workers", "ThreadPoolExecutor", ...; "" unknown */
	bool is_runtimes_own; /* none of the program's work: a collector, a compiler */
	int32_t parent;  /* index in pools, -1: none */
	uint64_t threads, threads_peak, threads_started, threads_exited;
	uint64_t threads_started_told; /* as a counter, which never falls */
	uint64_t capacity, busy, busy_peak, queued; /* UNKNOWN_U64 until a runtime tells */
	uint64_t borrowed; /* tokens that anyio's limiter has lent, to workers or to whoever asks; UNKNOWN_U64: no limiter */
	struct snapshot_right_size right_size;
	/* OpenMP: teams, threads of the largest with the teams within it, and what teams as large as the largest so far come to
	 * when each worker of the parent has one. UNKNOWN_U64 */
	uint64_t teams, team_threads, team_bound;
	uint64_t team_threads_peak; /* that largest so far; 0: none was seen */
	uint64_t parallelism; /* threads that its runtime lets run at a time (GOMAXPROCS); UNKNOWN_U64 */
	struct snapshot_fit fit;
	bool has_processes; /* its thread manages child processes: how many, at most, tasks not done; UNKNOWN_U64 */
	uint64_t processes, processes_max, processes_pending;
	uint64_t running;                           /* threads in state R at the last sample */
	double running_mean;                        /* of the samples since the last snapshot; NAN: there was none */
	uint64_t running_peak;                      /* most in one of them; UNKNOWN_U64 */
	uint64_t faults_total, faults_per_second;   /* page faults of its threads; UNKNOWN_U64 */
	struct snapshot_bytes memory;
	uint64_t thread_resident_mean, thread_resident_max; /* over living threads */
	int64_t growth_per_minute;                           /* bytes; over the last minute */
	uint64_t *history; /* resident bytes, oldest first, one a refresh; owned */
	size_t n_history;
	/* What its threads made usable since attach, and is resident now: the functions that hold most of it (owned), the
	 * largest first; under others; and of makers that were not seen at it. UNKNOWN_U64: no runtime tells functions. */
	struct snapshot_blame *blame;
	size_t n_blame;
	uint64_t blame_other, blame_unseen;
	struct snapshot_limit *limits; /* owned */
	size_t n_limits;
	struct snapshot_verdict verdict;
};

/* A function of the target's own language, as its runtime names it. */
struct snapshot_function {
	char name[FACT_SYMBOL_SIZE], file[64]; /* file "": not known */
};
#define FUNCTION_NONE UINT32_MAX

struct snapshot_thread {
	struct thread_id id, creator; /* creator.tid 0: not known */
	char name[FACT_NAME_SIZE];
	uint32_t pool;   /* index in pools */
	char state;      /* 0: not known */
	uint64_t faults_per_second; /* page faults; UNKNOWN_U64 */
	double cpu_percent; /* of one core since the last refresh; NAN: not known */
	char start_routine[FACT_SYMBOL_SIZE]; /* symbol, "main" for the leader, "" unknown */
	char module[64];
	enum worker_activity activity; /* WORKER_UNKNOWN unless it is an executor's, or a pool's that is told by where it waits */
	uint32_t function, line;       /* what it runs: index in functions, FUNCTION_NONE; line 0: not known */
	uint64_t started_realtime_ns;
	uint64_t age_ns;
	uint64_t stack_used; /* from its stack pointer, as of the last sample, to the stack's top; UNKNOWN_U64 */
	struct snapshot_bytes memory;
};

struct snapshot_target {
	uint32_t id; /* as in the facts */
	struct fact_target info;
	uint64_t started_realtime_ns, attached_realtime_ns;
	char variant[16];
	bool ended, stopped;
	struct fact_target_gone end; /* when ended */
	uint64_t ended_realtime_ns;

	uint64_t threads, threads_peak, threads_running;
	uint64_t running_samples; /* of who runs, since the last snapshot: what running_mean is over */
	struct fact_memory memory;
	uint64_t attributed_bytes; /* the sum over pools; UNKNOWN_U64 before the first reading, as what follows */
	uint64_t unattributed[UNATTRIBUTED_COUNT], unattributed_bytes;
	int64_t unexplained_bytes; /* rss_anon - attributed - unattributed; UNKNOWN_I64 */
	double age_seconds;        /* of the oldest page-table reading that counts, at its end if it has ended; NAN: none */
	struct fact_cgroup cgroup;
	struct fact_children children;
	int64_t growth_1m, growth_5m;         /* of RssAnon + RssFile + RssShmem, bytes a minute;
						 UNKNOWN_I64 before the window is full enough */
	double growth_1m_seconds, growth_5m_seconds; /* what the rates are over by now: less, at first */
	int64_t growth_anon, growth_file, growth_shmem; /* the parts of growth_1m */
	double seconds_to_memory_max;         /* at growth_1m; NAN: does not grow, or no bound */
	double cgroup_seconds_to_memory_max;  /* as it grows as a whole: NAN unless that is clearly sooner */
	uint64_t events_received, events_lost; /* of this target; UNKNOWN_U64: not told apart */
	uint64_t reseeds;
	double reseed_age_seconds; /* NAN: none */
	uint64_t ranges;                 /* entries of the interval map */
	uint64_t refused[TABLE_KIND_COUNT]; /* what found the table full */

	struct snapshot_limit *limits; /* of the process; owned */
	size_t n_limits;
	uint64_t pools_dropped; /* that max_pools folded, of this one */
	struct snapshot_unmatched *unmatched; /* owned */
	size_t n_unmatched;
	struct snapshot_verdict verdict;
	struct snapshot_pool *pools; /* sorted by name; the view sorts for itself */
	size_t n_pools;
	struct snapshot_thread *threads_list; /* sorted by tid */
	size_t n_threads_list;
	struct snapshot_function *functions; /* owned */
	size_t n_functions;
	struct fact_runtime runtime; /* passes 0: no runtime is read */
	double activity_age_seconds; /* of busy, queued, borrowed, and of what threads do; NAN: nothing was told */
	uint64_t *history; /* rss_anon, oldest first; owned */
	size_t n_history;
};

/* All targets of one name: what Prometheus sees. Gauges are sums over the living, peaks and maxima
 * the largest process; counters keep what ended processes counted. */
struct snapshot_group_limit {
	enum limit_kind kind;
	double used_ratio; /* of the worst process; NAN: unknown */
	bool over;
	uint64_t violations;
};

struct snapshot_group_pool {
	char name[64], kind[32];
	uint64_t threads, running, busy, peak, capacity, queued;
	uint64_t started_total, exited_total, faults_total;
	uint64_t resident[REGION_COUNT], mapped[REGION_COUNT], orphaned, thread_resident_max;
	struct snapshot_group_limit limits[LIMIT_KIND_COUNT];
	size_t n_limits;
	struct snapshot_verdict verdict;
};

/* Names come from the config, or are comms of targets: bounded, the rest is the group `other`. */
#define PROCESS_NAMES_MAX 1024

struct snapshot_group {
	char name[64];
	uint64_t processes, processes_started_total, threads, threads_limit;
	double cpu_limit_cores;
	uint64_t rss_anon, rss_file, rss_shmem, memory_limit, swapped;
	uint64_t unattributed[UNATTRIBUTED_COUNT];
	int64_t unexplained;
	double activity_age_seconds; /* the oldest of its processes; NAN */
	struct snapshot_group_limit limits[LIMIT_KIND_COUNT];
	size_t n_limits;
	struct snapshot_verdict verdict;
	struct snapshot_group_pool *pools; /* owned; names are unique */
	size_t n_pools;
};

struct snapshot {
	uint64_t time_ns, realtime_ns; /* of the refresh */
	uint64_t refresh;              /* 1, 2, ... */
	struct snapshot_target *targets;
	size_t n_targets;
	struct snapshot_group *groups;
	size_t n_groups;
	uint64_t lost[LOSS_REASON_COUNT]; /* UNKNOWN_U64: the kernel cannot say */
	uint64_t received[PROBE_COUNT];
	uint64_t reseeds;
	uint64_t series_dropped; /* all that is in an `other`: pools that max_pools folded, those of ended processes beyond what a
				  * group keeps, and: */
	uint64_t names_dropped;  /* of processes: folded, or refused; a name that comes back counts again */
	uint64_t ended_dropped;  /* targets that ended and were to be kept, but others were kept instead */

	/* set by the wiring, not by the model */
	char host[64], version[32];
	struct {
		char group[24], variant[16]; /* probe_attached{group,variant} */
	} attached[8];
	size_t n_attached;
};

/* All that a pool's functions are a part of; UNKNOWN_U64. */
uint64_t snapshot_blame_total(const struct snapshot_pool *pool);
/* What a thread runs as one text, "predict (app.py:42)"; false: not known, or it is idle. */
bool snapshot_doing(const struct snapshot_target *target, const struct snapshot_thread *thread, char *ret_text,
		    size_t size);
/* What the process is there for among its like, "uvicorn worker"; "": there is no evidence. */
const char *snapshot_role(const struct snapshot_target *target);
void snapshot_free(struct snapshot *snapshot);
DEFINE_CLEANUP(struct snapshot *, snapshot_free)

#endif
