/* SPDX-License-Identifier: GPL-2.0-only */
/* Which threads of one target have made how much usable since they were last asked what they do, and how often asking
 * is allowed. Pure. It must not know how a thread is asked, nor who is blamed. */
#ifndef POOLSCOPE_APP_GROWERS_H
#define POOLSCOPE_APP_GROWERS_H

#include "../fact.h"

#define GROWERS_SIZEABLE_BYTES (1ULL << 20) /* worth asking for */
/* After this a thread may do something else: what it does then is blamed for no call of before. */
#define GROWERS_FRESH_NS (50 * NSEC_PER_MSEC)
#define GROWERS_READINGS_PER_SECOND 50
/* A sample stands for what its thread made before it by calls like it; not for so much, made before a pause, nor for
 * sizeable calls of then. */
#define GROWERS_SAMPLE_BYTES (8ULL << 20)
#define GROWERS_PAUSE_NS (250 * NSEC_PER_MSEC)
#define GROWER_PIECES 128

struct grower {
	struct thread_id who; /* tid 0: free */
	uint64_t bytes;       /* of all pieces */
	uint64_t time_ns;     /* of the newest */
	bool is_seen_at_call; /* what it does is copied at its calls: it is not asked later */
	uint64_t freed_start, freed_length; /* by its last call, as told at the entry of that: it may turn out to be a move; 0 */
	uint64_t quiet_ns;    /* nobody can say what it does: it is not asked before; 0 */
	struct grower_piece {
		uint64_t start, length;
		uint64_t call_bytes; /* the largest of the calls that made it, all of about the same size */
		uint64_t time_ns;    /* of the newest */
	} *piece; /* GROWER_PIECES; NULL: nobody has been here yet */
	uint32_t n_pieces;
};

/* CPU time for asking, of all targets together: who grows has it, however many others there are. */
struct growers_budget {
	double share;  /* of one core; 0: without bound */
	double cpu_ns; /* allowed now; below 0: a debt, of a second's at most */
	uint64_t filled_ns; /* when it was filled up; 0: never */
};

/* Beside what is counted: the agent's waking for it. */
#define GROWERS_WAKE_NS 20000U
/* What a reading takes, roughly; so many are asked for within the share, but never fewer than one target may have. */
#define GROWERS_COST_NS 100000U
/* Of all targets, in a second; 0: without bound. */
uint32_t growers_per_second(const struct growers_budget *budget);

struct growers;

/* The budget is borrowed. */
int growers_new(struct growers_budget *budget, struct growers **ret_growers);
void growers_free(struct growers *growers);
DEFINE_CLEANUP(struct growers *, growers_free)

/* Facts of ranges, births and exits as they come. True: a thread has a sizeable growth by now. */
bool growers_note(struct growers *growers, const struct fact *fact);
/* The one with the largest growth that is sizeable and fresh; NULL: none. */
struct grower *growers_next(struct growers *growers, uint64_t now_ns);
/* Of this thread, whatever it is; NULL: it has none. */
struct grower *growers_of(struct growers *growers, struct thread_id who);
/* Whether what it does now is what it did then: by small calls, of which a later one is a sample, or a moment ago. */
bool growers_may_ask(const struct grower_piece *piece, uint64_t now_ns);
/* Whether calls of so many bytes are as likely to be looked at: all small ones are (what is made bit by bit comes in steps of
 * any size), and sizeable ones of the same power of two. */
bool growers_are_alike(uint64_t call_bytes, uint64_t other_bytes);
/* This part of its growth is dealt with. */
void growers_forget_part(struct grower *grower, uint64_t start, uint64_t length);
/* What it made by calls like this is dealt with. */
void growers_forget_alike(struct grower *grower, uint64_t call_bytes);
/* Its growth is dealt with. */
void growers_forget(struct grower *grower);
/* It cannot be asked; not again for a second. */
void growers_quiet(struct grower *grower, uint64_t now_ns);

/* May a thread be asked now? By the number of this target's readings, and by the CPU time of all targets'. */
bool growers_may_read(struct growers *growers, uint64_t now_ns);
/* One was, and cost so much CPU time. */
void growers_paid(struct growers *growers, uint64_t cost_ns);

#endif
