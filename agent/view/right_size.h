/* SPDX-License-Identifier: GPL-2.0-only */
/* Pools that are larger than they were seen to need, as sentences. It must not know how that was found. */
#ifndef POOLSCOPE_VIEW_RIGHT_SIZE_H
#define POOLSCOPE_VIEW_RIGHT_SIZE_H

#include "dashboard_words.h"

/* At most `max` words; returns their number. */
size_t right_size_words(const struct snapshot_target *target, const struct words_options *options, struct word *words,
			size_t max);

#endif
