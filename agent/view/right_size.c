/* SPDX-License-Identifier: GPL-2.0-only */
/* Pools that are larger than they were seen to need, as sentences. It must not know how that was found. */
#include <stdio.h>

#include "escape.h"
#include "format.h"
#include "right_size.h"

size_t right_size_words(const struct snapshot_target *target, const struct words_options *options, struct word *words,
			size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < target->n_pools && count < max; i++) {
		const struct snapshot_pool *pool = &target->pools[i];
		const struct snapshot_right_size *size = &pool->right_size;
		char name[80], frees[128], active[96] = "";

		if (!size->workers)
			continue;
		escape_text(pool->name, sizeof(pool->name), options->utf8, name, sizeof(name));
		if (size->frees_bytes == UNKNOWN_U64)
			snprintf(frees, sizeof(frees), " (what that frees is not known: %s are from before the attach, or lost)",
				 format_bytes(FORMAT_BUFFER, target->unattributed[UNATTRIBUTED_BEFORE_ATTACH] +
								     target->unattributed[UNATTRIBUTED_LOST]));
		else /* an arena that others share stays */
			snprintf(frees, sizeof(frees), " and free %s %s", pool->memory.shared ? "at most" : "about",
				 format_bytes(FORMAT_BUFFER, size->frees_bytes));
		/* A burst that is over before the next look is not seen, but leaves that. */
		if (size->active_peak > size->workers)
			snprintf(active, sizeof(active), "; between two looks up to %s had work, at once or in turn",
				 format_count(FORMAT_BUFFER, size->active_peak));
		words[count].attribute = ATTR_NORMAL;
		snprintf(words[count].text, sizeof(words->text),
			 "%s: %s workers, at most %s seen busy%s in %s (%s looks) at this load; %s would do%s%s",
			 name, format_count(FORMAT_BUFFER, pool->threads), format_count(FORMAT_BUFFER, size->demand_peak),
			 size->demand_peak > size->busy_peak ? " or asked for" : "",
			 format_duration(FORMAT_BUFFER, (double)size->observed_seconds),
			 format_count(FORMAT_BUFFER, size->looks), format_count(FORMAT_BUFFER, size->workers), frees, active);
		count++;
	}
	return count;
}
