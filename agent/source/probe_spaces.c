/* SPDX-License-Identifier: GPL-2.0-only */
/* Which target an address space of the kernel's records is. It must not know records. */
#include "probe_spaces.h"

#include <errno.h>

#define BUCKETS 1024

/* The kernel's map of watched processes bounds how many there are. */
struct probe_spaces {
	struct probe_space *buckets[BUCKETS], *by_target[BUCKETS];
	size_t count, n_ending;
};

static struct probe_space **slot_of(struct probe_spaces *spaces, uint32_t tgid)
{
	struct probe_space **slot = &spaces->buckets[tgid % BUCKETS];

	while (*slot && (*slot)->tgid != tgid)
		slot = &(*slot)->next_in_bucket;
	return slot;
}

static struct probe_space **slot_of_target(struct probe_spaces *spaces, const struct probe_space *space)
{
	struct probe_space **slot = &spaces->by_target[space->target % BUCKETS];

	while (*slot != space)
		slot = &(*slot)->next_of_target;
	return slot;
}

int probe_spaces_new(struct probe_spaces **ret_spaces)
{
	struct probe_spaces *spaces = calloc(1, sizeof(*spaces));

	if (!spaces)
		return -ENOMEM;
	*ret_spaces = spaces;
	return 0;
}

void probe_spaces_free(struct probe_spaces *spaces)
{
	struct probe_space *space;

	if (!spaces)
		return;
	while ((space = probe_spaces_next(spaces, NULL)))
		probe_spaces_remove(spaces, space->tgid);
	free(spaces);
}

int probe_spaces_add(struct probe_spaces *spaces, uint32_t tgid, uint64_t start_ns, uint32_t target,
		     struct probe_space **ret_space)
{
	struct probe_space *space = calloc(1, sizeof(*space)), **slot;

	if (!space)
		return -ENOMEM;
	probe_spaces_remove(spaces, tgid);
	slot = slot_of(spaces, tgid);
	space->tgid = tgid;
	space->target = target;
	space->start_ns = start_ns;
	*slot = space;
	slot = &spaces->by_target[target % BUCKETS];
	space->next_of_target = *slot;
	*slot = space;
	*ret_space = space;
	spaces->count++;
	return 0;
}

size_t probe_spaces_count(const struct probe_spaces *spaces)
{
	return spaces->count;
}

void probe_spaces_remove(struct probe_spaces *spaces, uint32_t tgid)
{
	struct probe_space **slot = slot_of(spaces, tgid), *space = *slot;

	if (!space)
		return;
	*slot = space->next_in_bucket;
	*slot_of_target(spaces, space) = space->next_of_target;
	spaces->n_ending -= space->ends;
	spaces->count--;
	free(space);
}

struct probe_space *probe_spaces_find(struct probe_spaces *spaces, uint32_t tgid)
{
	return *slot_of(spaces, tgid);
}

struct probe_space *probe_spaces_next(struct probe_spaces *spaces, const struct probe_space *space)
{
	size_t bucket = 0;

	if (space && space->next_in_bucket)
		return space->next_in_bucket;
	if (space)
		bucket = space->tgid % BUCKETS + 1;
	while (bucket < BUCKETS && !spaces->buckets[bucket])
		bucket++;
	return bucket < BUCKETS ? spaces->buckets[bucket] : NULL;
}

struct probe_space *probe_spaces_of_target(struct probe_spaces *spaces, uint32_t target)
{
	struct probe_space *space = spaces->by_target[target % BUCKETS];

	while (space && space->target != target)
		space = space->next_of_target;
	return space;
}

void probe_spaces_end_later(struct probe_spaces *spaces, struct probe_space *space)
{
	spaces->n_ending += !space->ends;
	space->ends = true;
}

struct probe_space *probe_spaces_next_ended(struct probe_spaces *spaces)
{
	struct probe_space *space = NULL;

	while (spaces->n_ending && (space = probe_spaces_next(spaces, space))) {
		if (!space->ends)
			continue;
		space->ends = false;
		spaces->n_ending--;
		return space;
	}
	return NULL;
}
