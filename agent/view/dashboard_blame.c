/* SPDX-License-Identifier: GPL-2.0-only */
/* Under which functions the pools grew: as sentences, and as a panel of its own. It must not know how a function was
 * found. */
#include <stdio.h>
#include <string.h>

#include "dashboard_parts.h"
#include "escape.h"
#include "format.h"

#define NAME_SIZE 80
#define FUNCTION_SIZE 200
#define TOLD_MIN (16ULL << 20) /* below this nobody needs to be told */
#define POOLS_TOLD 3

/* "predict (app.py:42)" */
static const char *function_text(const struct snapshot_blame *blame, bool utf8, char text[FUNCTION_SIZE])
{
	char function[FACT_SYMBOL_SIZE], file[64];

	escape_text(blame->function, sizeof(blame->function), utf8, function, sizeof(function));
	escape_text(blame->file, sizeof(blame->file), utf8, file, sizeof(file));
	if (!*file)
		snprintf(text, FUNCTION_SIZE, "%s", function);
	else if (blame->line)
		snprintf(text, FUNCTION_SIZE, "%s (%.50s:%u)", function, file, blame->line);
	else
		snprintf(text, FUNCTION_SIZE, "%s (%.50s)", function, file);
	return text;
}

static const char *name_text(const struct snapshot_pool *pool, bool utf8, char text[NAME_SIZE])
{
	return escape_text(pool->name, sizeof(pool->name), utf8, text, NAME_SIZE);
}

/* The largest that is smaller than `below`, or comes after `after` at the same size; NULL: no more. */
static const struct snapshot_pool *next_pool(const struct snapshot_target *target, const struct snapshot_pool *after)
{
	const struct snapshot_pool *next = NULL;
	uint64_t below = after ? snapshot_blame_total(after) : UNKNOWN_U64;

	for (const struct snapshot_pool *pool = target->pools; pool < target->pools + target->n_pools; pool++) {
		uint64_t total = snapshot_blame_total(pool);

		if (!total || total == UNKNOWN_U64 || total > below || (total == below && after && pool <= after))
			continue;
		if (!next || total > snapshot_blame_total(next))
			next = pool;
	}
	return next;
}

/* What was made since the attach can be more than what the pool grew: where it replaced what was there before; or less: stacks
 * are made by no function. */
static const char *growth_text(const struct snapshot_pool *pool, uint64_t total)
{
	int64_t grown = pool->memory.net_grown_bytes;

	return grown != UNKNOWN_I64 && grown > 0 && (uint64_t)grown >= total - total / 16 && (uint64_t)grown <= total + total / 4
		       ? "grew" : "made since the attach";
}

size_t blame_words(const struct snapshot_target *target, bool utf8, struct word *words, size_t max)
{
	const struct snapshot_pool *pool = next_pool(target, NULL);
	size_t count = 0;

	for (; pool && count < POOLS_TOLD && count < max; pool = next_pool(target, pool)) {
		uint64_t total = snapshot_blame_total(pool);
		char unseen[64] = "", name[NAME_SIZE], function[FUNCTION_SIZE];

		if (total < TOLD_MIN)
			break;
		if (!pool->n_blame || pool->blame[0].bytes < total / 4)
			continue;
		if (pool->blame_unseen > total / 4)
			snprintf(unseen, sizeof(unseen), ", %s not seen at it", format_bytes(FORMAT_BUFFER, pool->blame_unseen));
		words[count].attribute = ATTR_NORMAL;
		snprintf(words[count].text, sizeof(words->text), "%s: of %s that this pool %s, %s under %s%s",
			 name_text(pool, utf8, name), format_bytes(FORMAT_BUFFER, total), growth_text(pool, total),
			 format_bytes(FORMAT_BUFFER, pool->blame[0].bytes),
			 function_text(&pool->blame[0], utf8, function), unseen);
		count++;
	}
	return count;
}

/* ---- the panel ---------------------------------------------------------------------------------- */

#define SHARE_INDENT 17 /* below the name */

static void put_share(struct panel *panel, uint64_t bytes, uint64_t total, const char *what)
{
	char text[FUNCTION_SIZE + 32];

	if (!bytes)
		return;
	snprintf(text, sizeof(text), "%8s %3.0f %%  %s", format_bytes(FORMAT_BUFFER, bytes),
		 (double)bytes * 100 / (double)total, what);
	panel_put(panel, ATTR_NORMAL, SHARE_INDENT, text);
}

static void put_pool(struct panel *panel, const struct snapshot_pool *pool, bool utf8)
{
	uint64_t total = snapshot_blame_total(pool);
	char text[NAME_SIZE + 32], name[NAME_SIZE], function[FUNCTION_SIZE];

	snprintf(text, sizeof(text), "%8s        %s", format_bytes(FORMAT_BUFFER, total), name_text(pool, utf8, name));
	panel_put(panel, ATTR_BOLD, SHARE_INDENT, text);
	for (size_t i = 0; i < pool->n_blame; i++)
		put_share(panel, pool->blame[i].bytes, total, function_text(&pool->blame[i], utf8, function));
	put_share(panel, pool->blame_other, total, "under other functions");
	put_share(panel, pool->blame_unseen, total, "not seen at it");
	panel_put(panel, ATTR_NORMAL, 0, "");
}

void dashboard_put_blame(const struct snapshot_target *target, bool utf8, struct panel *panel)
{
	static const char note[] =
		"What a pool's threads made usable since the attach and is resident now, by the function that made it first (malloc "
		"may hand it out again). Of Python: the function of the program itself that the thread was in at the call (of a "
		"newborn up to 2 ms after it), with the line where it begins. Of other threads: the one that called the C library or the allocator, with its module. Up to 50 times a "
		"second, each for 1 MiB or more, where it grows faster by sampling; the rest is not seen.";
	const struct snapshot_pool *pool = next_pool(target, NULL);

	panel_put(panel, ATTR_BOLD, 0, "Under which functions the pools grew");
	panel_put(panel, ATTR_NORMAL, 0, "");
	if (!pool) {
		panel_put(panel, ATTR_NORMAL, 0, "Nothing has grown yet.");
		panel_put(panel, ATTR_NORMAL, 0, "");
	}
	for (; pool; pool = next_pool(target, pool))
		put_pool(panel, pool, utf8);
	panel_put(panel, ATTR_NORMAL, 0, note);
}
