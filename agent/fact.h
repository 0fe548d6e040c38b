/* SPDX-License-Identifier: GPL-2.0-only */
/* The fact: the one record through which everything that poolscope learns travels from the
 * sources to the model. It must not know who makes facts or what they mean. */
#ifndef POOLSCOPE_FACT_H
#define POOLSCOPE_FACT_H

#include "base.h"

/* Room for a comm (TASK_COMM_LEN, 16 since Linux 2.6) with its NUL. Bytes are the target's own:
 * hostile until escaped by a view. */
#define FACT_NAME_SIZE 16
#define FACT_SYMBOL_SIZE 128
#define FACT_PLACE "+0x" /* and the address as the file has it: stands for a symbol */
#define FACT_PATH_SIZE 256

/* A thread. The tid is the one that the procfs in use (--procfs) shows; start_ns is boottime. A start
 * read from /proc is truncated to clock ticks, so compare with thread_id_equal() only. */
struct thread_id {
	uint32_t tid;
	uint64_t start_ns; /* 0: not known; equals any start of the same tid */
};

static inline bool thread_id_equal(struct thread_id a, struct thread_id b)
{
	return a.tid == b.tid && (!a.start_ns || !b.start_ns ||
				  a.start_ns / NSEC_PER_TICK == b.start_ns / NSEC_PER_TICK);
}

enum fact_kind {
	FACT_TICK = 1, /* a refresh: the time goes on; one per refresh, before the snapshot */

	/* the target as a whole */
	FACT_TARGET,      /* a target is attached (or its description changed: exec) */
	FACT_TARGET_GONE, /* it ended */
	FACT_MEMORY,      /* RSS by kind */
	FACT_CGROUP,
	FACT_CHILDREN, /* children that are not followed, and what they hold */

	/* threads */
	FACT_THREAD_BORN,    /* seen being created */
	FACT_THREAD_SEEN,    /* was there already (attach, reseed) */
	FACT_THREAD_EXITED,  /* time_ns is when it ended */
	FACT_THREAD_RENAMED, /* `thread.name` is the new name */
	FACT_THREAD_SAMPLED, /* state and CPU time */
	FACT_THREAD_ASKED,   /* thread.id, .has_run, .is_unsure, .state: of a newborn (model_due_newborns()) */
	FACT_THREAD_ROUTINE, /* its start routine, once resolved to a symbol and a module */
	FACT_THREAD_RUNNING, /* a sample found it on a CPU, or ready for one; `thread.id` alone is set */
	FACT_RUNNING_SAMPLED, /* that sample is complete: whoever was not told with this time did not run */

	/* address ranges; `range.who` made the call */
	FACT_RANGE_MADE,        /* mmap returned: replaces whatever was there */
	FACT_RANGE_FREED,       /* munmap (or mremap's source) at entry */
	FACT_RANGE_FREE_FAILED, /* that call of `who` failed: what it freed last is there again */
	FACT_RANGE_MOVED,       /* mremap returned: `range` is the new place, `old` the former */
	FACT_RANGE_PROTECTED,   /* mprotect returned */
	FACT_BRK,               /* brk returned: heap is [range.start, range.start + range.length) now */
	FACT_RANGE_SEEN,        /* a mapping in /proc/PID/maps (only between SEED_BEGIN and SEED_END) */
	FACT_SEED_BEGIN,
	FACT_SEED_END, /* time_ns: when the seed was read; events before it are still to be drained */
	FACT_RESIDENT, /* page-table reading of one span; time_ns: when the reading began */
	FACT_ARENA,    /* the glibc heap at arena.heap belongs to arena.address */
	FACT_THREAD_ARENA,
	FACT_ARENA_KEPT, /* the inside of one heap (arena.heap; of the main arena: all of brk's) was read */
	FACT_RANGE_OWNER, /* evidence: `range.who` made this range, though nobody saw it */
	FACT_RANGE_HELD,  /* evidence: `range.who` alone knows this range; who made it may be another */

	/* what a language runtime tells */
	FACT_RUNTIME,  /* which it is, and how its readings go: the last of what one of them tells */
	FACT_EXECUTOR, /* an executor instance as it is now; or `gone`: it is no more */
	FACT_WORKER,   /* what one of its threads does now, and whose worker it is */
	FACT_ACTIVITY, /* whether a worker of another runtime is in a task, by where it stands */
	FACT_BLAME,    /* what a thread did when it was seen to have made a range usable */

	/* the observer itself */
	FACT_LOSS,    /* events lost so far, by reason */
	FACT_LIVES_LOST, /* births, ends or names of threads have just been lost */
	FACT_EVENTS,  /* events received so far, by probe */
	FACT_VARIANT, /* which variant of the memory probes is in use */
	FACT_KIND_COUNT,
};

enum target_end {
	TARGET_END_UNKNOWN, /* gone, nobody could say how */
	TARGET_END_EXITED,  /* code */
	TARGET_END_SIGNALLED,
	TARGET_END_OOM_KILLED,
};

enum seed_reason {
	SEED_ATTACH,    /* unowned bytes are `before_attach` */
	SEED_INHERITED, /* a followed child just after fork: unowned bytes are `inherited` */
	SEED_LOST,      /* a reseed after lost events: unowned bytes are `lost` */
	SEED_EXEC,      /* a new image: everything that was there is dropped first; unowned bytes are `image` */
};

/* What a range is; more than one may be set. */
enum range_flag {
	RANGE_ANON = 1 << 0,
	RANGE_FILE = 1 << 1,    /* file mapping; private: copy-on-write pages are `image` */
	RANGE_SHARED = 1 << 2,  /* shared: never charged */
	RANGE_HUGETLB = 1 << 3, /* looks anonymous, is not in RssAnon: never charged */
	RANGE_STACK = 1 << 4,   /* MAP_STACK, or the [stack] of the main thread in a seed */
	RANGE_NORESERVE = 1 << 5,
	RANGE_HEAP = 1 << 6, /* [heap] in a seed */
	RANGE_GROWSDOWN = 1 << 7,
	RANGE_DONTUNMAP = 1 << 8, /* FACT_RANGE_MOVED: the source stays mapped, empty */
	RANGE_UP_TO_HOLE = 1 << 9, /* FACT_RANGE_PROTECTED: the call failed, what lies before the first hole was changed */
};

enum loss_reason {
	LOSS_RING,      /* the ring buffer was full (or past its share) */
	LOSS_MAP,       /* a kernel map was full */
	LOSS_RECURSION, /* recursion_misses of a program */
	LOSS_KRETPROBE, /* `missed` of a kretprobe link */
	LOSS_REASON_COUNT,
};

/* A probe of which received events are counted; the label `probe` of events_total. */
enum probe {
	PROBE_THREAD_BORN,
	PROBE_THREAD_EXITED,
	PROBE_THREAD_RENAMED,
	PROBE_EXEC,
	PROBE_MMAP,
	PROBE_MUNMAP,
	PROBE_MREMAP,
	PROBE_MPROTECT,
	PROBE_BRK,
	PROBE_COUNT,
};

struct fact_target {
	uint32_t pid;        /* in the procfs in use */
	uint32_t ns_pid;     /* in the innermost PID namespace of the target */
	uint32_t parent_pid; /* 0: unknown */
	/* The target that it descends from, by who forked whom: who forked it may have ended, and /proc names another parent
	 * then. Its own: of those watched nobody has. 0: unknown */
	uint32_t family;
	uint64_t start_ns;   /* boottime */
	uint64_t image_ns;   /* when it last called exec, as far as that was seen; 0: not since the attach */
	uint32_t policy;     /* index of the policy entry that matched (struct policy) */
	bool followed;       /* came by --follow-forks */
	bool execed;         /* it has called exec since its fork: it has inherited nothing */
	bool is_past;        /* this image is over: /proc tells of another, or of nobody */
	bool search_cut;     /* who holds large blocks from before the attach was not looked for to the end */
	bool memory_hidden;  /* its memory may not be read: what stands in it is no evidence */
	bool is_32_bit;      /* its system calls are not traced: what it maps is not known */
	char name[64];       /* the group: the label `process` */
	char comm[FACT_NAME_SIZE];
	char parent_comm[FACT_NAME_SIZE]; /* "": not known */
	char exe[FACT_PATH_SIZE];
	char unit[128];      /* systemd unit, "" if none */
	char container[80];  /* container id, "" if none */
	char runtime[64];    /* "" if not known, else "cpython 3.11.2", "glibc 2.36", "go", ... */
};

struct fact_target_gone {
	enum target_end how;
	int code; /* exit code or signal number; -1: not known */
	uint64_t oom_kills; /* of its cgroup, counted after an OOM kill; 0, UNKNOWN_U64: not known */
};

struct fact_memory { /* bytes; UNKNOWN_U64 where it could not be read */
	uint64_t rss_anon, rss_file, rss_shmem, swapped;
	uint64_t stopped; /* 1: the target is stopped (SIGSTOP), 0: not */
};

struct fact_cgroup { /* UNKNOWN_U64: not known; limits: UNKNOWN_U64 also when there is none */
	char path[FACT_PATH_SIZE];
	uint64_t memory_max, memory_current, oom_kills, pids_max;
	bool is_memory_unread; /* so that there may be a memory_max that is not known */
	double cpu_quota_cores; /* NAN: none */
	uint64_t host_memory_total;
	/* 0: not known. Allowed: of those that are online, by the affinity of the leader (sched_getaffinity, nproc);
	 * online: of the host (os.cpu_count). */
	uint32_t cpus_allowed, cpus_online;
};

/* What memory limits in percent are a share of: the host's memory where there is no memory_max. UNKNOWN_U64: not known. */
static inline uint64_t fact_memory_bound(const struct fact_cgroup *cgroup)
{
	bool has_none = cgroup->memory_max == UNKNOWN_U64 && !cgroup->is_memory_unread;

	return has_none ? cgroup->host_memory_total : cgroup->memory_max;
}

struct fact_children {
	uint32_t count;
	uint64_t rss_anon; /* sum, bytes */
};

struct fact_thread {
	struct thread_id id;
	struct thread_id creator; /* BORN: the caller of clone; tid 0: not known */
	char name[FACT_NAME_SIZE];
	bool is_leader, is_io_worker; /* io_worker: PF_IO_WORKER */
	bool has_run;      /* ASKED: not: it is not asleep, and has had hardly any CPU since it was born */
	bool is_unsure;    /* ASKED, who has not run: for a moment it has, and may have slept since and just woken */
	bool cpu_is_exact; /* who has run, if for a moment only, has another cpu_ns */
	uint64_t tls_base;            /* thread pointer (thread control block); 0: not known */
	uint64_t stack_pointer;       /* 0: not known */
	uint64_t stack_start, stack_length; /* exact range from clone3 or the descriptor; 0: not known */
	uint64_t start_routine;             /* user address; 0: not known */
	uint64_t start_argument;            /* what the routine was given; SEEN, BORN; 0: not known, or none */
	uint64_t waited_ns; /* RENAMED: for a CPU, since it was born; UNKNOWN_U64: not known, or it waits still */
	char state;                         /* SEEN, SAMPLED, ASKED: as in /proc/PID/stat; 0: not known */
	uint64_t cpu_ns;                    /* SEEN, SAMPLED: user + system; UNKNOWN_U64: not known */
	uint64_t faults;                    /* SEEN, SAMPLED, EXITED: page faults so far; UNKNOWN_U64: not known */
};

static inline bool symbol_is_place(const char *symbol)
{
	return !strncmp(symbol, FACT_PLACE, sizeof(FACT_PLACE) - 1);
}

struct fact_routine {
	struct thread_id id;
	char symbol[FACT_SYMBOL_SIZE]; /* of a start routine that has none its place in the file: FACT_PLACE; else "" */
	char module[FACT_NAME_SIZE * 4]; /* base name of the object file, "" if unknown */
};

struct fact_range {
	struct thread_id who; /* tid 0: nobody (a seed) */
	uint64_t start, length;
	uint64_t old_start, old_length; /* MOVED only */
	uint32_t protection;            /* PROT_*; SEEN, MADE, PROTECTED */
	uint32_t flags;                 /* enum range_flag */
};

struct fact_seed {
	enum seed_reason reason;
};

struct fact_resident { /* bytes present and anonymous (not file, not zero page, not hugetlb) */
	uint64_t start, length;
	uint64_t resident, swapped;
	bool outside; /* pages found where the model has no range; start and length only frame them */
};

struct fact_arena {
	struct thread_id who;   /* THREAD_ARENA: the thread whose arena word was read */
	uint64_t heap, address; /* ARENA: heap_info's address; address: ar_ptr */
	bool is_main;           /* ARENA: the one that grows by brk; `heap` is its top chunk, which proves it */
	uint64_t resident, kept; /* ARENA_KEPT: bytes of the heap that were read, and those of them that are free inside */
	uint64_t unread;         /* bytes of it that are there and were not read yet */
};

/* Names for a pool's `kind` stand in the model. */
enum executor_kind {
	EXECUTOR_THREAD,  /* no executor: threads that run one function, or carry one name */
	EXECUTOR_FUTURES, /* concurrent.futures.ThreadPoolExecutor */
	EXECUTOR_ANYIO,   /* anyio's worker threads of one event loop */
	EXECUTOR_POOL,    /* multiprocessing.pool.ThreadPool */
	EXECUTOR_PROCESSES, /* concurrent.futures.ProcessPoolExecutor: its one thread here manages processes */
	EXECUTOR_KIND_COUNT,
};

/* What a process is there for, by what its main thread runs. Names stand in the model. */
enum process_role {
	PROCESS_ROLE_NONE, /* no evidence */
	PROCESS_MULTIPROCESSING,
	PROCESS_POOL_WORKER,     /* of a multiprocessing.Pool */
	PROCESS_EXECUTOR_WORKER, /* of a ProcessPoolExecutor */
	PROCESS_FORK_SERVER,
	PROCESS_RESOURCE_TRACKER,
	PROCESS_UVICORN_WORKER,
	PROCESS_UVICORN_SUPERVISOR,
	PROCESS_GUNICORN_WORKER,
	PROCESS_GUNICORN_MASTER,
	PROCESS_ROLE_COUNT,
};

struct fact_runtime {
	char name[64];          /* "cpython 3.11.2" */
	uint64_t passes;        /* readings so far */
	uint64_t failed_passes; /* that told nothing, since too much changed while they read */
	uint64_t failed_reads;  /* pieces of memory that could not be read */
	uint64_t unread;        /* threads, summed over passes, whose state stayed inconsistent */
	enum process_role role;
	uint64_t parallelism;   /* threads that it lets run its code at a time; 0: not known, or without bound */
};

struct fact_executor {
	uint64_t id; /* of this instance, given by the source, never used again */
	bool gone;   /* it has no workers any more; the figures say nothing then */
	enum executor_kind kind;
	/* As a thread's name: digits fold ("resize_0"). "": named by function and file. */
	char name[64];
	char function[FACT_SYMBOL_SIZE], file[64];
	uint32_t instance; /* of those of one name that live: 1, 2, ... */
	/* UNKNOWN_U64: not known. EXECUTOR_PROCESSES: capacity is of processes, queued is what they have not done yet. */
	uint64_t capacity, queued, busy, idle, workers;
	uint64_t processes; /* EXECUTOR_PROCESSES: that it has */
	uint64_t borrowed;  /* EXECUTOR_ANYIO: tokens that are lent, to whomever; UNKNOWN_U64: not known */
	bool may_have_more; /* workers that are not told to be its own */
	bool is_runtimes_own; /* threads that do none of the program's work: a pool's helpers */
};

enum worker_activity { WORKER_UNKNOWN, WORKER_IDLE, WORKER_BUSY };

struct fact_worker {
	struct thread_id id;
	uint64_t executor; /* fact_executor.id; 0: none */
	enum worker_activity activity;
	/* The innermost function that it runs, "" where there is none; its file, "" unknown; line 0: unknown. */
	char function[FACT_SYMBOL_SIZE], file[64];
	uint32_t line;
};

struct fact_activity {
	struct thread_id id;
	enum worker_activity activity;
};

struct fact_blame {
	struct thread_id who; /* who made the range usable */
	uint64_t start, length;
	/* Of Python: the function that it was in a moment later, of its program if there is one; its file, "" unknown; the
	 * line where the function begins, 0: unknown. Else: who called the C library or the allocator; its module; 0. */
	char function[FACT_SYMBOL_SIZE], file[64];
	uint32_t line;
};

struct fact_loss {
	uint64_t lost[LOSS_REASON_COUNT]; /* since the agent's start, target wide; UNKNOWN_U64: the
					     kernel cannot say (a kretprobe's misses before 6.7) */
};

struct fact_events {
	uint64_t received[PROBE_COUNT];
};

struct fact_tick {
	uint64_t realtime_ns; /* CLOCK_REALTIME at time_ns */
	uint64_t heard_ns;    /* what came up to then has been told; 0: all up to time_ns */
};

struct fact {
	enum fact_kind kind;
	uint32_t target;  /* id of the target, given by the wiring at attach, never reused; 0: none */
	uint64_t time_ns; /* boottime */
	union {
		struct fact_tick tick;
		struct fact_target target_info;
		struct fact_target_gone gone;
		struct fact_memory memory;
		struct fact_cgroup cgroup;
		struct fact_children children;
		struct fact_thread thread;
		struct fact_routine routine;
		struct fact_range range;
		struct fact_seed seed;
		struct fact_resident resident;
		struct fact_arena arena;
		struct fact_runtime runtime;
		struct fact_executor executor;
		struct fact_worker worker;
		struct fact_activity activity;
		struct fact_blame blame;
		struct fact_loss loss;
		struct fact_events events;
		char variant[16]; /* "fexit", "tracepoint", "kretprobe" */
	};
};

/* Where a source puts its facts. emit() copies what it keeps; a return other than 0 (-errno) stops
 * the source, which returns it. */
struct fact_sink {
	int (*emit)(void *context, const struct fact *fact);
	void *context;
};

/* A stretch of address space that the residency source is asked to read; sorted, disjoint. */
struct span {
	uint64_t start, length;
	bool changed;   /* touched since it was last read: read it first */
	bool anonymous; /* no file behind it: its pages need not be told from file pages, which is dear */
};

/* Memory that no thread owns, and the first thread's stack: where a source may look for evidence. Ascending, disjoint. */
enum unowned_kind {
	UNOWNED_MMAP,  /* anonymous, from before attach: may be charged */
	UNOWNED_ARENA, /* looks like a glibc heap */
	UNOWNED_HEAP,  /* of brk */
	UNOWNED_STACK, /* of the first thread: as far as it ever came */
	UNOWNED_OTHER, /* read-only memory, data of the executable and its libraries, and what was there at fork */
};

struct unowned {
	uint64_t start, length;
	enum unowned_kind kind;
};

#endif
