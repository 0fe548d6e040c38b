/* SPDX-License-Identifier: GPL-2.0-only */
/* Lives of threads while their pool did not count them, or while it was not known who else lived with them, kept until the
 * next refresh: how many of them lived at once. It must not know pools beyond their numbers. */
#ifndef POOLSCOPE_MODEL_BRIEFS_H
#define POOLSCOPE_MODEL_BRIEFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As many between two refreshes; of more than that the rest is not kept, and what is told is a lower bound. */
#define BRIEFS_MAX 4096

/* When: numbers in the order in which the facts came and threads were placed, which is that of `members`. The times of the
 * facts are not: who is placed now may be told afterwards to have ended before. */
struct brief {
	uint64_t born, ended; /* or became a member; of a member: both when it ended */
	uint64_t ended_ns;
	uint32_t pool, pool_number;
	uint32_t members; /* that its pool counted then, without it */
	bool is_counted;  /* it has been judged with all but those that are not: alone it is nothing new */
};

struct briefs {
	struct brief *brief;
	uint32_t count, room;
};

void briefs_note(struct briefs *briefs, const struct brief *brief);
/* By pool. */
void briefs_sort(struct briefs *briefs);
/* The most that lived in its pool at one time with one at least that is not counted, members included: of those of one pool
 * that stand from `first` on, after briefs_sort(). *ret_next: the first of the next pool. */
uint64_t briefs_most(const struct briefs *briefs, uint32_t first, uint32_t *ret_next);
/* After a refresh; what a burst has taken is given back when there was none. */
void briefs_forget(struct briefs *briefs);
void briefs_clear(struct briefs *briefs);

#endif
