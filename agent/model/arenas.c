/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps which heap belongs to which arena, and divides among the attached threads what nobody owns.
 * It must not know pools. */
#include "arenas.h"

#include <errno.h>
#include <string.h>

#define HEAPS_MAX 65536

/* The first heap at or above the address. */
static uint32_t heap_position(const struct arenas *arenas, uint64_t heap)
{
	return TABLE_PLACE(arenas->heap, arenas->count, heap, heap);
}

int arenas_add(struct arenas *arenas, uint64_t heap, uint64_t arena)
{
	uint32_t at;

	if (!heap || !arena || heap % HEAP_MAX_SIZE)
		return -EINVAL;
	at = heap_position(arenas, heap);
	if (at < arenas->count && arenas->heap[at].heap == heap) {
		arenas->heap[at].arena = arena;
		return 0;
	}
	if (arenas->count == HEAPS_MAX) {
		arenas->refused++;
		return 0;
	}
	if (TABLE_GROW(arenas->heap, arenas->count, arenas->capacity, 16))
		return -ENOMEM;
	memmove(arenas->heap + at + 1, arenas->heap + at, (arenas->count - at) * sizeof(*arenas->heap));
	arenas->heap[at] = (struct arena_heap){.heap = heap, .arena = arena};
	arenas->count++;
	return 0;
}

void arenas_clear(struct arenas *arenas)
{
	free(arenas->heap);
	free(arenas->use);
	*arenas = (struct arenas){.count = 0};
}

uint64_t arenas_find(const struct arenas *arenas, uint64_t address, enum region region)
{
	uint64_t heap = address - address % HEAP_MAX_SIZE;
	uint32_t at = arenas->count ? heap_position(arenas, heap) : 0;

	if (region == REGION_STACK)
		return 0;
	if (region == REGION_HEAP)
		return arenas->main;
	return at < arenas->count && arenas->heap[at].heap == heap ? arenas->heap[at].arena : 0;
}

int arenas_set_inside(struct arenas *arenas, uint64_t heap, bool is_main, struct arena_inside inside)
{
	uint32_t at = heap_position(arenas, heap);

	if (inside.kept > inside.resident)
		return -EINVAL;
	if (is_main) {
		arenas->main_inside = inside;
		return 0;
	}
	if (at == arenas->count || arenas->heap[at].heap != heap)
		return -ENOENT;
	arenas->heap[at].inside = inside;
	return 0;
}

static uint64_t part_of(uint64_t figure, uint64_t part, uint64_t whole)
{
	return (uint64_t)((unsigned __int128)figure * part / whole);
}

struct arena_inside arenas_inside(const struct arenas *arenas, uint64_t address, enum region region, uint64_t resident)
{
	uint64_t heap = address - address % HEAP_MAX_SIZE, whole;
	struct arena_inside inside = {0};
	uint32_t at = heap_position(arenas, heap);

	if (region == REGION_HEAP)
		inside = arenas->main ? arenas->main_inside : inside;
	else if (at < arenas->count && arenas->heap[at].heap == heap)
		inside = arenas->heap[at].inside;
	whole = inside.resident + inside.unread;
	if (!inside.resident || whole < inside.resident)
		return (struct arena_inside){.unread = resident};
	/* Others than malloc take memory from brk, too. */
	if (region == REGION_HEAP && resident > whole)
		resident = whole;
	inside.kept = part_of(inside.kept, resident, whole);
	inside.unread = part_of(inside.unread, resident, whole);
	inside.resident = resident - inside.unread;
	return inside;
}

static uint32_t use_position(const struct arenas *arenas, uint64_t arena)
{
	return TABLE_PLACE(arenas->use, arenas->n_uses, arena, arena);
}

uint32_t arenas_last_pool(const struct arenas *arenas, uint64_t arena)
{
	uint32_t at = use_position(arenas, arena);

	return at < arenas->n_uses && arenas->use[at].arena == arena ? arenas->use[at].pool : POOL_NONE;
}

/* NULL with 0: there are too many. */
static int find_or_make_use(struct arenas *arenas, uint64_t arena, struct arena_use **ret_use)
{
	uint32_t at = use_position(arenas, arena);

	*ret_use = NULL;
	if (at == arenas->n_uses || arenas->use[at].arena != arena) {
		if (arenas->n_uses == HEAPS_MAX) {
			arenas->refused++;
			return 0;
		}
		if (TABLE_GROW(arenas->use, arenas->n_uses, arenas->use_capacity, 16))
			return -ENOMEM;
		memmove(arenas->use + at + 1, arenas->use + at, (arenas->n_uses - at) * sizeof(*arenas->use));
		arenas->use[at] = (struct arena_use){.arena = arena, .pool = POOL_NONE};
		arenas->n_uses++;
	}
	*ret_use = &arenas->use[at];
	return 0;
}

int arenas_set_last_pool(struct arenas *arenas, uint64_t arena, uint32_t pool)
{
	struct arena_use *use;
	int error = find_or_make_use(arenas, arena, &use);

	if (use)
		use->pool = pool;
	return error;
}

static int compare_members(const void *a, const void *b)
{
	const struct arena_member *left = a, *right = b;
	int order = compare_u64(left->arena, right->arena);

	order = order ? order : compare_u64(left->id.start_ns, right->id.start_ns);
	return order ? order : compare_u64(left->id.tid, right->id.tid);
}

int arena_sharing_begin(struct arena_sharing *sharing, const struct threads *threads)
{
	struct arena_member *member;
	uint32_t count = 0;

	for (uint32_t i = 0; i < threads->n_slots; i++)
		count += threads->thread[i].living && threads->thread[i].arena;
	*sharing = (struct arena_sharing){.count = 0};
	if (!count)
		return 0;
	member = calloc(count, sizeof(*member));
	if (!member)
		return -ENOMEM;
	for (uint32_t i = 0; i < threads->n_slots; i++) {
		if (threads->thread[i].living && threads->thread[i].arena)
			member[sharing->count++] = (struct arena_member){
				.arena = threads->thread[i].arena, .thread = i, .id = threads->thread[i].id};
	}
	qsort(member, count, sizeof(*member), compare_members);
	sharing->member = member;
	return 0;
}

bool arena_sharing_add(struct arena_sharing *sharing, uint64_t arena, const struct range *range, uint64_t resident,
		       const struct arena_inside *inside)
{
	uint32_t at = TABLE_PLACE(sharing->member, sharing->count, arena, arena);

	if (at == sharing->count || sharing->member[at].arena != arena)
		return false;
	sharing->member[at].resident += resident;
	sharing->member[at].mapped += range->end - range->start;
	/* What was made while events were lost was not there before. */
	if (range->owner == OWNER_NONE && range->reason != UNATTRIBUTED_LOST)
		sharing->member[at].unmade += resident;
	sharing->member[at].unread += inside->unread;
	sharing->member[at].kept += inside->kept;
	return true;
}

/* Without memory for it nothing is taken for a base. */
static uint64_t base_of(struct arenas *arenas, const struct arena_member *sum, bool rebase)
{
	struct arena_use *use;

	(void)find_or_make_use(arenas, sum->arena, &use);
	if (!use)
		return 0;
	use->has_users = true;
	if (!use->has_base || rebase)
		use->base = arenas->all_is_new ? 0 : sum->unmade;
	use->has_base = true;
	return use->base;
}

void arena_sharing_end(struct arena_sharing *sharing, struct arenas *arenas, struct threads *threads, bool rebase)
{
	for (uint32_t i = 0; i < arenas->n_uses; i++)
		arenas->use[i].has_users = false;
	for (uint32_t first = 0, next; first < sharing->count; first = next) {
		const struct arena_member *sum = &sharing->member[first];
		enum region region = sum->arena == arenas->main ? REGION_HEAP : REGION_ARENA;
		uint64_t base = base_of(arenas, sum, rebase);
		uint32_t attached;

		for (next = first + 1; next < sharing->count && sharing->member[next].arena == sum->arena;
		     next++)
			;
		attached = next - first;
		for (uint32_t i = 0; i < attached; i++) {
			struct snapshot_bytes *bytes =
				&threads->thread[sharing->member[first + i].thread].memory;

			/* the remainder goes to the oldest, so that the parts add up */
			bytes->resident[region] += sum->resident / attached + (i ? 0 : sum->resident % attached);
			bytes->mapped[region] += sum->mapped / attached + (i ? 0 : sum->mapped % attached);
			bytes->kept_sum += sum->kept / attached + (i ? 0 : sum->kept % attached);
			bytes->kept_unread += sum->unread / attached + (i ? 0 : sum->unread % attached);
			bytes->base += base / attached + (i ? 0 : base % attached);
			bytes->shared |= attached > 1 && sum->resident > 0;
		}
	}
	free(sharing->member);
	*sharing = (struct arena_sharing){.count = 0};
}
