/* SPDX-License-Identifier: GPL-2.0-only */
/* Sentences about memory: kept by malloc, of ended threads, from before the attach, shared, taken again and again, nobody's.
 * They must not know where they are shown. */
#include "memory_words.h"

#include <math.h>
#include <stdio.h>

#include "escape.h"
#include "format.h"

/* Below these nobody needs to be told. */
#define KEPT_MIN (16ULL << 20)
#define HELD_MIN (1ULL << 20)
#define ORPHANED_MIN (1ULL << 20)
#define CHURN_MIN 500 /* page faults a second */
#define PAGE_BYTES 4096
#define POOLS_TOLD 3

void say_kept(struct collector *all)
{
	size_t told = 0;

	for (size_t i = 0; i < all->target->n_pools && told < POOLS_TOLD; i++) {
		const struct snapshot_bytes *memory = &all->target->pools[i].memory;
		/* Where new heaps were not read yet, what was read is the least that is kept. */
		bool is_least = memory->kept_bytes == UNKNOWN_U64;
		uint64_t kept = is_least ? memory->kept_sum : memory->kept_bytes;
		uint64_t managed = memory->resident[REGION_ARENA] + memory->resident[REGION_HEAP];
		char name[NAME_SIZE], live[FORMAT_SIZE + 16] = "";

		if (memory->resident_bytes == UNKNOWN_U64 || kept > memory->resident_bytes)
			continue;
		escape_text(all->target->pools[i].name, sizeof(all->target->pools[i].name), all->options->utf8, name,
			    sizeof(name));
		/* Heaps are read in turn: until all were, the part that was is a sample. None is where malloc is not glibc's. */
		if (is_least && managed >= KEPT_MIN && memory->kept_unread > managed / 4 && memory->kept_unread < managed) {
			say(all, ATTR_NORMAL, "%s: kept by malloc: %s of %s read so far, of that %s is free", name,
			    format_bytes(FORMAT_BUFFER, managed - memory->kept_unread), format_bytes(FORMAT_BUFFER, managed),
			    format_bytes(FORMAT_BUFFER, kept));
			told++;
			continue;
		}
		if (kept < KEPT_MIN || kept < memory->resident_bytes / 4)
			continue;
		if (!is_least)
			snprintf(live, sizeof(live), "%s live, ", format_bytes(FORMAT_BUFFER, memory->resident_bytes - kept));
		say(all, ATTR_NORMAL, "%s: %s resident, %s%s%s kept by malloc", name,
		    format_bytes(FORMAT_BUFFER, memory->resident_bytes), live, is_least ? "at least " : "",
		    format_bytes(FORMAT_BUFFER, kept));
		told++;
	}
}

/* The pool's row has figures and no thread: whose they are says nothing else where the table has no room for ORPHAN. */
void say_orphaned(struct collector *all)
{
	char orphaned[POOL_LIST_SIZE] = "";

	for (size_t i = 0; i < all->target->n_pools; i++) {
		const struct snapshot_bytes *memory = &all->target->pools[i].memory;

		if (memory->orphaned_bytes != UNKNOWN_U64 && memory->orphaned_bytes >= ORPHANED_MIN)
			append_pool(all, orphaned, &all->target->pools[i], format_bytes(FORMAT_BUFFER, memory->orphaned_bytes));
	}
	if (orphaned[0])
		say(all, ATTR_NORMAL, "Held by threads that have ended (orphaned): %s", orphaned);
}

static void append_held(struct collector *all, char list[POOL_LIST_SIZE], const struct snapshot_pool *pool, uint64_t bytes)
{
	if (bytes != UNKNOWN_U64 && bytes >= HELD_MIN)
		append_pool(all, list, pool, format_bytes(FORMAT_BUFFER, bytes));
}

/* Evidence is no proof of who made it. */
void say_held(struct collector *all)
{
	char held[POOL_LIST_SIZE] = "", unsure[POOL_LIST_SIZE] = "";

	for (size_t i = 0; i < all->target->n_pools; i++) {
		const struct snapshot_pool *pool = &all->target->pools[i];

		append_held(all, held, pool, pool->memory.held_bytes);
		append_held(all, unsure, pool, pool->memory.held_unattributed_bytes);
	}
	if (held[0])
		say(all, ATTR_NORMAL, "From before the attach, charged to who alone holds it: %s", held);
	if (unsure[0])
		say(all, ATTR_NORMAL, "From before the attach, held by one pool alone, but perhaps made by others, so not charged: %s",
		    unsure);
}

/* Of arenas (and of the heap, which is the main one's) with several users. */
void say_shared(struct collector *all)
{
	char shared[POOL_LIST_SIZE] = "";

	for (size_t i = 0; i < all->target->n_pools; i++) {
		const struct snapshot_bytes *memory = &all->target->pools[i].memory;
		uint64_t bytes = memory->resident[REGION_ARENA] + memory->resident[REGION_HEAP];

		if (memory->shared && bytes >= memory->resident_bytes / 4)
			append_pool(all, shared, &all->target->pools[i], "");
	}
	if (shared[0])
		say(all, ATTR_NORMAL, "Shared arenas, divided equally where no living thread grew them: %s", shared);
}

/* What the pool's page faults can have brought in, in bytes a minute; 0: not known. */
static double taken_by(const struct snapshot_pool *pool)
{
	return pool->faults_per_second == UNKNOWN_U64 ? 0 : (double)pool->faults_per_second * PAGE_BYTES * 60;
}

/* What grows and may be filled by anybody: files, shared memory, mappings whose maker was not seen; and what a pool made
 * that took no faults for it, so that others did. NAN: not known. */
static double growth_by_others(const struct snapshot_target *target)
{
	double anon = (double)target->growth_anon, untaken = 0;

	if (target->growth_anon == UNKNOWN_I64 || target->growth_file == UNKNOWN_I64 || target->growth_shmem == UNKNOWN_I64)
		return NAN;
	for (size_t i = 0; i < target->n_pools; i++) {
		if (target->pools[i].growth_per_minute == UNKNOWN_I64)
			return NAN;
		anon -= (double)target->pools[i].growth_per_minute;
		untaken += fmax((double)target->pools[i].growth_per_minute - taken_by(&target->pools[i]), 0);
	}
	return untaken + fmax(anon, 0) + fmax((double)target->growth_file, 0) + fmax((double)target->growth_shmem, 0);
}

/* Pages that come in much faster than the memory grows were given back before. Which pool's faults filled what others did
 * not nobody knows: each pool's may have. */
static bool churns(const struct snapshot_pool *pool, double by_others)
{
	return pool->faults_per_second != UNKNOWN_U64 && pool->faults_per_second >= CHURN_MIN &&
	       taken_by(pool) > 10 * (fabs((double)pool->growth_per_minute) + by_others);
}

/* What it maps itself, its stacks and another allocator no setting of glibc's malloc changes: what that manages can be
 * looked into. */
static bool uses_malloc(const struct snapshot_pool *pool)
{
	const struct snapshot_bytes *memory = &pool->memory;

	return (memory->resident[REGION_ARENA] || memory->resident[REGION_HEAP]) &&
	       (memory->kept_bytes != UNKNOWN_U64 || memory->kept_sum);
}

static bool has_children(const struct snapshot_target *target)
{
	return target->children.count && target->children.count != UINT32_MAX;
}

/* The kernel counts faults of all kinds together, and what comes and goes cannot be told apart by what is there now. */
void say_churn(struct collector *all)
{
	double by_others = growth_by_others(all->target);
	size_t told = 0;

	for (size_t i = 0; i < all->target->n_pools && told < POOLS_TOLD; i++) {
		const struct snapshot_pool *pool = &all->target->pools[i];
		char name[NAME_SIZE];

		if (!churns(pool, by_others))
			continue;
		escape_text(pool->name, sizeof(pool->name), all->options->utf8, name, sizeof(name));
		/* What is written after a fork is copied, and was there before. */
		say(all, ATTR_NORMAL, "%s: %s page faults/s without growth: freed and taken again%s, or pages of files%s", name,
		    format_count(FORMAT_BUFFER, pool->faults_per_second),
		    has_children(all->target) ? ", or copied for its children" : "",
		    uses_malloc(pool) && !has_children(all->target)
			    ? "; if it is glibc's malloc: raise MALLOC_TRIM_THRESHOLD_ and MALLOC_MMAP_THRESHOLD_" : "");
		told++;
	}
}

/* What the header has room for on a wide terminal only. */
#define UNATTRIBUTED_MIN (4ULL << 20)

void say_unattributed(struct collector *all)
{
	static const char *const reasons[] = {
		[UNATTRIBUTED_BEFORE_ATTACH] = "before attach (its maker was not seen)",
		[UNATTRIBUTED_IMAGE] = "image (what the program's files and their data became)",
		[UNATTRIBUTED_INHERITED] = "inherited (there at the fork)",
		[UNATTRIBUTED_LOST] = "lost (with events)",
	};
	_Static_assert(ARRAY_SIZE(reasons) == UNATTRIBUTED_COUNT, "words for each reason");
	const struct snapshot_target *target = all->target;
	const char *cut = target->info.memory_hidden
				  ? "before attach (its maker was not seen, and its holders cannot be looked for)"
				  : "before attach (its maker was not seen, and the search for its holders did not end)";
	char text[sizeof(all->words->text)] = "";
	size_t used = 0;

	/* A search that did not end is told of however small a part that is: it may be more than the pools have. */
	if (target->unattributed_bytes == UNKNOWN_U64 || target->unattributed_bytes < UNATTRIBUTED_MIN ||
	    (target->unattributed_bytes < target->memory.rss_anon / 10 && !target->info.search_cut))
		return;
	for (size_t i = 0; i < UNATTRIBUTED_COUNT && used < sizeof(text); i++)
		if (target->unattributed[i])
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %s", used ? ", " : "",
						 format_bytes(FORMAT_BUFFER, target->unattributed[i]),
						 i == UNATTRIBUTED_BEFORE_ATTACH && target->info.search_cut ? cut : reasons[i]);
	say(all, ATTR_NORMAL, "Unattributed: %s", text);
}

/* What a reading and the kernel's figure differ by in any case is less. */
#define UNEXPLAINED_MIN (1LL << 20)
#define UNEXPLAINED_PART 16

void say_unexplained(struct collector *all)
{
	const struct snapshot_target *target = all->target;
	int64_t unexplained = target->unexplained_bytes;

	if (target->info.is_32_bit || unexplained == UNKNOWN_I64 || unexplained < UNEXPLAINED_MIN ||
	    (uint64_t)unexplained < target->memory.rss_anon / UNEXPLAINED_PART)
		return;
	say(all, ATTR_WARN, "Unexplained %s: pools may hold that much more than is shown (it was mapped anew while it was read)",
	    format_bytes(FORMAT_BUFFER, (uint64_t)unexplained));
}
