/* SPDX-License-Identifier: GPL-2.0-only */
/* Gathers sentences. It must not know what they say. */
#include "words.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "escape.h"

void say(struct collector *all, enum attribute attribute, const char *format, ...)
{
	va_list arguments;

	if (all->count == all->max)
		return;
	all->words[all->count].attribute = attribute;
	va_start(arguments, format);
	vsnprintf(all->words[all->count].text, sizeof(all->words->text), format, arguments);
	va_end(arguments);
	all->count++;
}

double seconds_since(const struct collector *all, uint64_t realtime_ns)
{
	uint64_t now = all->target->ended ? all->target->ended_realtime_ns : all->snapshot->realtime_ns;

	return realtime_ns && now >= realtime_ns ? floor((double)(now - realtime_ns) / 1e9) : NAN;
}

void append_pool(const struct collector *all, char list[POOL_LIST_SIZE], const struct snapshot_pool *pool,
		 const char *figures)
{
	size_t used = strlen(list);
	char name[NAME_SIZE];

	escape_text(pool->name, sizeof(pool->name), all->options->utf8, name, sizeof(name));
	if (used + strlen(name) + strlen(figures) + 6 < POOL_LIST_SIZE)
		snprintf(list + used, POOL_LIST_SIZE - used, "%s%s%s%s%s", used ? ", " : "", name, figures[0] ? " (" : "", figures,
			 figures[0] ? ")" : "");
	else if (used < 4 || strcmp(list + used - 4, " ..."))
		snprintf(list + used, POOL_LIST_SIZE - used, " ...");
}
