/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps the targets that are watched in the order of their numbers: each event looks for one, among thousands. It must not
 * know what is done with them. */
#include "watched_list.h"

#include <errno.h>
#include <string.h>

void watched_list_clear(struct watched_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		watched_free(list->watched[i]);
	free(list->watched);
	*list = (struct watched_list){.count = 0};
}

/* The first whose number is not below. */
static size_t position(const struct watched_list *list, uint32_t id)
{
	return TABLE_PLACE_BY(list->watched, list->count, ->id, id);
}

int watched_list_add(struct watched_list *list, struct watched *watched)
{
	size_t at = position(list, watched->id);

	if (TABLE_GROW(list->watched, list->count, list->capacity, 8))
		return -ENOMEM;
	memmove(list->watched + at + 1, list->watched + at, (list->count - at) * sizeof(*list->watched));
	list->watched[at] = watched;
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
	for (size_t i = 0; i < list->count; i++)
		if (list->watched[i]->info.pid == pid && !list->watched[i]->ended)
			return list->watched[i];
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
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (list->watched[i]->ended)
			watched_free(list->watched[i]);
		else
			list->watched[kept++] = list->watched[i];
	}
	list->count = kept;
}
