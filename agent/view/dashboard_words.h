/* SPDX-License-Identifier: GPL-2.0-only */
/* What a person must know now, as sentences: limits over or near, how the target ended, losses, the rate.
 * Shared by the dashboard and the readable text; they must not know the screen. */
#ifndef POOLSCOPE_VIEW_DASHBOARD_WORDS_H
#define POOLSCOPE_VIEW_DASHBOARD_WORDS_H

#include "../model/snapshot.h"
#include "cells.h"

#define WORDS_MAX 96

struct words_options {
	bool utf8;
	bool follows_forks;    /* -f was given */
	bool is_summary;       /* there is no frame to look at any more */
	bool shows_one;        /* of several targets the others are not in sight */
	const char *waits_for; /* what is selected by name and may come back; NULL or "": nothing */
};

struct word {
	enum attribute attribute;
	char text[400]; /* printable */
};

/* The worst first; at most `max`. Returns their number. */
size_t words_collect(const struct snapshot *snapshot, const struct snapshot_target *target,
		     const struct words_options *options, struct word *words, size_t max);

/* Of the pools that grew most: how much of it under which function. Returns the number of sentences. */
size_t blame_words(const struct snapshot_target *target, bool utf8, struct word *words, size_t max);

/* The process that came after one that has ended, under the same name; NULL: none did. */
const struct snapshot_target *target_successor(const struct snapshot *snapshot, const struct snapshot_target *target);

#endif
