/* SPDX-License-Identifier: GPL-2.0-only */
/* Sentences about the size of a pool: what its bound really allows, and what would fit the CPU quota. They must not know
 * where they are shown. */
#ifndef POOLSCOPE_VIEW_POOL_WORDS_H
#define POOLSCOPE_VIEW_POOL_WORDS_H

#include "../model/snapshot.h"

/* Each: false when there is nothing to say; else a printable sentence. */
bool pool_team_words(const struct snapshot_target *target, const struct snapshot_pool *pool, bool utf8, char *ret_text,
		     size_t size);
bool pool_process_words(const struct snapshot_target *target, const struct snapshot_pool *pool, bool utf8, char *ret_text,
			size_t size);
bool pool_fit_words(const struct snapshot_target *target, const struct snapshot_pool *pool, bool utf8, char *ret_text,
		    size_t size);

#endif
