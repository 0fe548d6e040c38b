/* SPDX-License-Identifier: GPL-2.0-only */
/* The threads of one target, keyed by (tid, start), and the owner numbers under which the range map
 * knows them. It must not know pools beyond their index, nor what ranges there are. */
#ifndef POOLSCOPE_MODEL_THREADS_H
#define POOLSCOPE_MODEL_THREADS_H

#include "snapshot.h"

#define THREAD_NONE UINT32_MAX
#define ROUTINE_NONE UINT32_MAX
#define POOL_NONE UINT32_MAX

/* What growth is counted from. They may be below 0 for a moment. */
struct base {
	uint64_t resident;   /* at the attach */
	uint64_t had;        /* at the attach, less its share of what arenas held before that */
	uint64_t given_back; /* of what was there at the attach and nobody's: so it had that, too, if it has made as much since */
};

static inline void base_add(struct base *base, const struct base *part)
{
	base->resident += part->resident;
	base->had += part->had;
	base->given_back += part->given_back;
}

static inline void base_take(struct base *base, const struct base *part)
{
	base->resident -= part->resident;
	base->had -= part->had;
	base->given_back -= part->given_back;
}

struct thread {
	struct thread_id id, creator;
	char name[FACT_NAME_SIZE];
	bool living; /* false: ended since the last refresh, or the slot is free (id.tid 0) */
	bool leader, io_worker;
	bool born;         /* seen being created; else it was there already */
	bool pending;      /* in the list of newborns whose name does not count yet */
	bool is_named;     /* while pending: it would, but its pool is a new one, and older threads may name one first */
	bool is_told;      /* its runtime has told of it */
	bool is_unread;    /* it is to: which pool it stays in is open, so its pool does not count it yet */
	bool creator_sought; /* by its argument */
	char creator_name[FACT_NAME_SIZE]; /* its last one; "": not known */
	uint32_t creator_pool, creator_pool_number; /* in which its creator was last; POOL_NONE: not known */
	uint32_t placed_by; /* the number of that pool when its own was chosen */
	bool stack_sought; /* its stack is still to be found by stack pointer and TLS base */
	char state;
	uint32_t owner, pool, routine;
	uint32_t guest_of; /* the pool that it would be in if its name counted already; while pending */
	uint32_t next_same_hash; /* living; else the next of the ended, or of the free */
	uint32_t pending_next, pending_before;
	uint64_t tls_base, stack_pointer, stack_start, stack_length, start_routine, start_argument;
	uint64_t stack_at; /* its stack pointer as of the last sample; 0: not known */
	uint64_t after_sample_ns; /* it was told of after the sample that began then, which did not know it; 0: before */
	uint64_t birth_step; /* its number among target.recent; 0: none */
	uint64_t birth_turn; /* its number among target.turns: since then it is known to live */
	uint64_t known_ns, exited_ns, renamed_ns, seen_ns; /* seen: by SEEN or SAMPLED */
	uint64_t unrun_ns; /* while pending: when it was told that it has had no CPU yet; 0: it was not */
	uint64_t unsure_ns; /* when that was not sure, the first time; 0: it was */
	uint64_t blocked_ns; /* of these the last when it did not want one; 0: none */
	bool was_stopped; /* then */
	uint64_t asked_ns; /* when it was told that it has; UINT64_MAX: it is being asked; 0: not yet, or again */
	uint64_t cpu_ns, cpu_time_ns;
	double cpu_percent;
	bool had_cpu; /* some, since the last refresh */
	uint64_t faults, faults_time_ns; /* so far; as of the last sample */
	uint64_t faults_new;             /* since the last refresh; not yet in a pool */
	uint64_t fault_rate;             /* a second, over FAULT_SPAN_NS at least; UNKNOWN_U64 */
	uint64_t rate_ns, rate_faults;   /* when it was counted last, and faults since then */
	uint64_t running_ns; /* of the last sample that found it running */
	uint64_t arena; /* its glibc arena; 0: not known */
	uint64_t executor; /* whose worker its runtime says it is; 0: nobody's */
	enum worker_activity activity; /* as its runtime has it */
	enum worker_activity stands;   /* by where it stands: of those that no runtime tells of */
	uint32_t function, line; /* what it runs; FUNCTION_NONE */
	struct base base;
	/* Bytes of address space that had memory from before the attach and was nobody's: freed by it since the last refresh;
	 * and of them by its last call, which may fail; what that came to if a refresh was in between. */
	uint64_t gave_back, gave_back_last, settled_last;
	struct snapshot_bytes memory; /* as of the last refresh */
};

struct routine {
	char symbol[FACT_SYMBOL_SIZE], module[64];
};

/* Whom a range belongs to; outlives the thread as long as it owns ranges. */
struct owner {
	uint32_t thread; /* THREAD_NONE: it has ended, its ranges are orphans of: */
	uint32_t pool;
	uint32_t ranges; /* counted by the last walk */
	bool used;
};

struct threads {
	struct thread *thread; /* slots; the index of a thread stays */
	uint32_t n_slots, capacity, living, max, first_free, first_ended;
	uint32_t *buckets;
	uint32_t n_buckets; /* power of two */
	struct owner *owner;
	uint32_t n_owners, owner_capacity;
	uint32_t *free_owners, n_free_owners;
	struct routine *routine;
	uint32_t n_routines, routine_capacity;
	uint32_t pending_first, pending_last, n_pending;
	uint32_t n_unrun; /* of those, how many have been told to have had no CPU */
	struct thread_id *exited; /* who ended lately, by tid: a late SEEN must not revive it */
	uint64_t refused;
};

int threads_init(struct threads *threads, uint32_t max);
void threads_clear(struct threads *threads);

/* A living thread, or NULL. A start of 0 matches any. */
struct thread *threads_find(const struct threads *threads, struct thread_id id);
/* The living thread of that tid, whatever its start. */
struct thread *threads_find_tid(const struct threads *threads, uint32_t tid);
/* 0; -ENOSPC: the bound is reached, or twice the bound with those who wait for their pool (counted); -ENOMEM. The id must
 * not be living. */
int threads_add(struct threads *threads, struct thread_id id, struct thread **ret_thread);
/* The thread is no longer living; its slot stays until threads_release(), or a birth that finds many such; its owner
 * becomes an orphan of its pool. */
void threads_end(struct threads *threads, struct thread *thread, uint64_t time_ns);
/* Takes an ending back, for show: its owner stays an orphan. false: another has its tid by now. */
bool threads_revive(struct threads *threads, struct thread *thread);
bool threads_has_exited(const struct threads *threads, struct thread_id id);
void threads_note_exit(struct threads *threads, struct thread_id id);
void threads_forget_exit(struct threads *threads, struct thread_id id);
/* Frees the slots of ended threads, but for those that still wait for their pool. */
void threads_release(struct threads *threads);
/* Frees the owners that have ended and own nothing, by the last count. */
void threads_release_owners(struct threads *threads);

void threads_pending_add(struct threads *threads, struct thread *thread);
/* By age, whatever they came in. */
void threads_pending_sort(struct threads *threads);
void threads_pending_remove(struct threads *threads, struct thread *thread);

/* ROUTINE_NONE when the table is full. */
uint32_t threads_routine(struct threads *threads, const struct fact_routine *routine);

static inline enum worker_activity thread_activity(const struct thread *thread)
{
	return thread->executor || thread->activity != WORKER_UNKNOWN ? thread->activity : thread->stands;
}

static inline uint32_t thread_index(const struct threads *threads, const struct thread *thread)
{
	return (uint32_t)(thread - threads->thread);
}

#endif
