/* SPDX-License-Identifier: GPL-2.0-only */
/* Which threads of one target have made how much usable since they were last asked what they do, and how often asking
 * is allowed. Pure. It must not know how a thread is asked, nor who is blamed. */
#ifndef POOLSCOPE_APP_GROWERS_H
#define POOLSCOPE_APP_GROWERS_H

#include "../fact.h"

#define GROWERS_SIZEABLE_BYTES (1ULL << 20) /* worth asking for */
/* After this a thread may do something else: what it does then is blamed for nothing. */
#define GROWERS_FRESH_NS (50 * NSEC_PER_MSEC)
#define GROWERS_READINGS_PER_SECOND 20
#define GROWER_PIECES 8

struct grower {
	struct thread_id who; /* tid 0: free */
	uint64_t bytes;       /* of all pieces */
	uint64_t time_ns;     /* of the newest */
	uint64_t quiet_ns;    /* nobody can say what it does: it is not asked before; 0 */
	struct grower_piece {
		uint64_t start, length;
	} piece[GROWER_PIECES];
	uint32_t n_pieces;
};

struct growers;

int growers_new(struct growers **ret_growers);
void growers_free(struct growers *growers);
DEFINE_CLEANUP(struct growers *, growers_free)

/* Facts of ranges, births and exits as they come. True: a thread has a sizeable growth by now. */
bool growers_note(struct growers *growers, const struct fact *fact);
/* The one with the largest growth that is sizeable and fresh; NULL: none. */
struct grower *growers_next(struct growers *growers, uint64_t now_ns);
/* Of this thread, whatever it is; NULL: it has none. */
struct grower *growers_of(struct growers *growers, struct thread_id who);
/* This part of its growth is dealt with. */
void growers_forget_part(struct grower *grower, uint64_t start, uint64_t length);
/* Its growth is dealt with. */
void growers_forget(struct grower *grower);
/* It cannot be asked; not again for a second. */
void growers_quiet(struct grower *grower, uint64_t now_ns);

/* May a thread be asked now? By the number of readings, and by their CPU time: `share` of one core, 0: without bound. */
bool growers_may_read(struct growers *growers, uint64_t now_ns, double share);
/* One was, and cost so much CPU time. */
void growers_paid(struct growers *growers, uint64_t cost_ns);

#endif
