/* SPDX-License-Identifier: GPL-2.0-only */
/* Births and ends of the last moments, in order: which pool a newborn counts in is known only a while after its birth, and
 * how many lived in a pool at one time, with it. It must not know threads, nor pools beyond their numbers. */
#ifndef POOLSCOPE_MODEL_RECENT_H
#define POOLSCOPE_MODEL_RECENT_H

#include <stdbool.h>
#include <stdint.h>

/* As many at most: 400,000 births a second, if each is kept for 20 ms. */
#define RECENT_MAX 16384

struct recent_step {
	uint64_t time_ns;
	uint32_t pool, pool_number; /* POOL_NONE: not known yet */
	int32_t change;             /* of the pool's threads */
	uint64_t turn;              /* of an end: its number among target.turns */
};

struct recent {
	struct recent_step *step;
	uint32_t first, count, room; /* those that have not passed stand in [first, count) */
	uint64_t passed;             /* so many had passed */
};

/* Returns its number, from 1 on; 0: there is no room for it. What is told late counts as of the one before it. */
uint64_t recent_note(struct recent *recent, const struct recent_step *step);
/* Those that have not passed, in order. */
const struct recent_step *recent_waiting(const struct recent *recent, uint32_t *ret_count);
/* Of the last; 0: there is none. */
uint64_t recent_last_ns(const struct recent *recent);
/* Says the pool of one that was noted. False: it has passed, or never was. */
bool recent_place(struct recent *recent, uint64_t number, uint32_t pool, uint32_t pool_number);
/* Takes the next of those up to a time. */
bool recent_pass(struct recent *recent, uint64_t until_ns, struct recent_step *ret_step);
/* Gives back what a burst has taken. */
void recent_trim(struct recent *recent);
/* Numbers go on. */
void recent_clear(struct recent *recent);

#endif
