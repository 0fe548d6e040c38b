/* SPDX-License-Identifier: GPL-2.0-only */
/* How the sentences are gathered that a person must know. For the *_words.c files alone: others ask dashboard_words.h. */
#ifndef POOLSCOPE_VIEW_WORDS_H
#define POOLSCOPE_VIEW_WORDS_H

#include "dashboard_words.h"

#define NAME_SIZE 80
#define POOL_LIST_SIZE 256

struct collector {
	const struct snapshot *snapshot;
	const struct snapshot_target *target;
	const struct words_options *options;
	struct word *words;
	size_t count, max;
};

/* One sentence more; what is beyond `max` is not said. */
__attribute__((format(printf, 3, 4))) void say(struct collector *all, enum attribute attribute, const char *format, ...);
/* Until now, or the target's end; NAN: not known. */
double seconds_since(const struct collector *all, uint64_t realtime_ns);
/* Appends "name (figures)" to a list of pools; "" for figures: the name alone. */
void append_pool(const struct collector *all, char list[POOL_LIST_SIZE], const struct snapshot_pool *pool,
		 const char *figures);

#endif
