/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps the targets that are watched in the order of their numbers, and in that of their PIDs: each event, and each process
 * of a discovery, looks for one among thousands. It must not know what is done with them. */
#include "watched_list.h"

#include <errno.h>
#include <string.h>

void watched_list_clear(struct watched_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		watched_free(list->watched[i]);
	free(list->watched);
	free(list->by_pid);
	*list = (struct watched_list){.count = 0};
}

/* The first whose number is not below. */
static size_t position(const struct watched_list *list, uint32_t id)
{
	return TABLE_PLACE_BY(list->watched, list->count, ->id, id);
}

static size_t position_of_pid(const struct watched_list *list, uint32_t pid)
{
	return TABLE_PLACE_BY(list->by_pid, list->count, ->info.pid, pid);
}

static void put(struct watched **table, size_t count, size_t at, struct watched *watched)
{
	memmove(table + at + 1, table + at, (count - at) * sizeof(*table));
	table[at] = watched;
}

int watched_list_add(struct watched_list *list, struct watched *watched)
{
	if (TABLE_GROW(list->watched, list->count, list->capacity, 8) ||
	    TABLE_GROW(list->by_pid, list->count, list->pid_capacity, 8))
		return -ENOMEM;
	put(list->watched, list->count, position(list, watched->id), watched);
	put(list->by_pid, list->count, position_of_pid(list, watched->info.pid), watched);
	list->count++;
	return 0;
}

struct watched *watched_list_find(const struct watched_list *list, uint32_t id)
{
	size_t at = position(list, id);

	return at < list->count && list->watched[at]->id == id ? list->watched[at] : NULL;
}

struct watched *watched_list_living_of(const struct watched_list *list, uint32_t pid)
{
	for (size_t i = position_of_pid(list, pid); i < list->count && list->by_pid[i]->info.pid == pid; i++)
		if (!list->by_pid[i]->ended)
			return list->by_pid[i];
	return NULL;
}

size_t watched_list_living(const struct watched_list *list)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++)
		count += !list->watched[i]->ended;
	return count;
}

void watched_list_bury(struct watched_list *list)
{
	size_t kept = 0, kept_by_pid = 0;

	for (size_t i = 0; i < list->count; i++)
		if (!list->by_pid[i]->ended)
			list->by_pid[kept_by_pid++] = list->by_pid[i];
	for (size_t i = 0; i < list->count; i++) {
		if (list->watched[i]->ended)
			watched_free(list->watched[i]);
		else
			list->watched[kept++] = list->watched[i];
	}
	list->count = kept;
}
