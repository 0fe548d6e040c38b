/* SPDX-License-Identifier: GPL-2.0-only */
/* The workers of one target whose runtime waits in a way that is known, and where each stood when it was looked at last.
 * It must not know how that is read. */
#ifndef POOLSCOPE_APP_WORKERS_H
#define POOLSCOPE_APP_WORKERS_H

#include "../model/runtime_rules.h"
#include "../source/stack_copy.h"

/* Twice what most runtimes have on the stack when they wait. libomp puts 64 bytes a thread before it, by its number
 * (KMP_STKOFFSET): who needs more is read further, up to the second. */
#define WORKER_STACK_MIN 2048U
#define WORKER_STACK_MAX (128U << 10)

struct worker {
	struct thread_id id;
	const struct worker_waits *waits;
	struct fact_routine routine;
	uint64_t registers[EVENT_REGISTERS];
	uint64_t switches;
	enum worker_activity activity;
	bool is_told;  /* activity is that of a thread which has not been on a CPU since: of these registers and switches */
	bool is_read;  /* its stack was read, for these; not yet known to be theirs */
	bool was_read; /* ever */
	bool is_seen;  /* by this look */
	bool is_final; /* for this look */
	uint32_t wanted; /* bytes of its stack, from its pointer up */
	uint32_t size;   /* of those that were read */
	uint32_t stack;  /* their place among those of this round */
};

/* More than these are passed over; their pools' busy stays n/a. */
#define WORKERS_MAX 4096U

struct workers {
	struct worker *worker; /* by tid, ascending */
	size_t count, room;
	size_t first; /* whose turn to be read is next, about: others come and go */
	uint64_t next_ns; /* no look before */
};

void workers_clear(struct workers *workers);
/* A thread, when it is known where it began. 0, also when nothing is to be told of it; -ENOMEM. */
int workers_add(struct workers *workers, const struct rule_evidence *evidence, const struct thread_id *id);
void workers_remove(struct workers *workers, struct thread_id id);
/* Those that this look has not seen have ended, though nobody said so. */
void workers_keep_seen(struct workers *workers);
/* NULL: it is none of them. */
struct worker *workers_find(const struct workers *workers, struct thread_id id);

#endif
