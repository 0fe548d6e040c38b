/* SPDX-License-Identifier: GPL-2.0-only */
/* The targets that are watched, found by their numbers and by their PIDs. It must not know what is done with them. */
#ifndef POOLSCOPE_APP_WATCHED_LIST_H
#define POOLSCOPE_APP_WATCHED_LIST_H

#include "watched.h"

struct watched_list {
	struct watched **watched; /* owned; by id, ascending */
	struct watched **by_pid; /* the same, by PID: of several with one PID all but one have ended */
	size_t count, capacity, pid_capacity;
};

void watched_list_clear(struct watched_list *list);
/* Takes it over. -ENOMEM: it stays the caller's. */
int watched_list_add(struct watched_list *list, struct watched *watched);
/* NULL: there is none. */
struct watched *watched_list_find(const struct watched_list *list, uint32_t id);
struct watched *watched_list_living_of(const struct watched_list *list, uint32_t pid);
size_t watched_list_living(const struct watched_list *list);
/* Frees those that have ended. */
void watched_list_bury(struct watched_list *list);

#endif
