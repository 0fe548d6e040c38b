/* SPDX-License-Identifier: GPL-2.0-only */
/* Who holds blocks and may not have made them: what makes a finding doubtful. Pure: findings in, answers out. */
#include "blocks.h"

#include <errno.h>

/* Of bytes that some thread holds, passed on at most one part in so many. */
#define PASSED_SHARE 50
/* All others may have made so little of what a kind of threads holds: 1 %. */
#define FOREIGN_SHARE 100
#define FAULTS_MAX (1ULL << 40)

/* Threads of one start routine, and of one family of names: they do the same. Of those of whom that is not known (routine
 * 0) each is a kind of its own. Figures but the bytes are page faults. */
struct kind {
	uint64_t routine;
	uint32_t alone;  /* of routine 0: the thread */
	uint64_t needed; /* brought into being what they hold */
	uint64_t taken;  /* in all */
	bool is_taker;
};

struct doubts {
	const struct block_holder *holders;
	size_t n_holders;
	uint64_t ended; /* page faults of threads that have */
	uint64_t *needed; /* by each holder, as in kind */
	bool *of_holder;
	struct kind *kind; /* ascending */
	size_t n_kinds;
	uint64_t passed, held;
};

static void doubts_clear(struct doubts *doubts)
{
	free(doubts->needed);
	free(doubts->of_holder);
	free(doubts->kind);
}

static int compare_kinds(const void *a, const void *b)
{
	const struct kind *one = a, *other = b;
	int order = compare_u64(one->routine, other->routine);

	return order ? order : compare_u64(one->alone, other->alone);
}

static struct kind key_of(const struct doubts *doubts, uint32_t holder)
{
	uint64_t routine = doubts->holders[holder - 1].routine;

	return (struct kind){.routine = routine, .alone = routine ? 0 : holder};
}

static struct kind *kind_of(const struct doubts *doubts, uint32_t holder)
{
	struct kind key = key_of(doubts, holder);

	return bsearch(&key, doubts->kind, doubts->n_kinds, sizeof(key), compare_kinds);
}

static int doubts_init(struct doubts *doubts)
{
	doubts->needed = calloc(doubts->n_holders + 1, sizeof(*doubts->needed));
	doubts->of_holder = calloc(doubts->n_holders + 1, sizeof(*doubts->of_holder));
	doubts->kind = calloc(doubts->n_holders + 1, sizeof(*doubts->kind));
	if (!doubts->needed || !doubts->of_holder || !doubts->kind)
		return -ENOMEM;
	for (size_t i = 0; i < doubts->n_holders; i++)
		doubts->kind[i] = key_of(doubts, (uint32_t)i + 1);
	if (doubts->n_holders)
		qsort(doubts->kind, doubts->n_holders, sizeof(*doubts->kind), compare_kinds);
	for (size_t i = 0; i < doubts->n_holders; i++) {
		if (!doubts->n_kinds || compare_kinds(&doubts->kind[i], &doubts->kind[doubts->n_kinds - 1]) != 0)
			doubts->kind[doubts->n_kinds++] = doubts->kind[i];
	}
	return 0;
}

static void doubt_taker(struct doubts *doubts, uint32_t holder)
{
	doubts->of_holder[holder - 1] = true;
	kind_of(doubts, holder)->is_taker = true;
}

static bool is_passed_on(const struct block *block)
{
	return block->second && block->holder != HOLDER_OTHER && block->second != HOLDER_OTHER;
}

static void collect(struct doubts *doubts, const struct blocks *blocks)
{
	for (size_t i = 0; i < blocks->count; i++) {
		const struct block *block = &blocks->block[i];

		if (block_holder(block)) {
			doubts->held += block->length;
			doubts->needed[block->holder - 1] += block->faults;
		}
		if (!is_passed_on(block))
			continue;
		doubts->passed += block->length;
		doubts->of_holder[block->holder - 1] = doubts->of_holder[block->second - 1] = true;
		if (block->strong != block->second_strong)
			doubt_taker(doubts, block->strong ? block->holder : block->second);
	}
	for (size_t i = 0; i < doubts->n_holders; i++) {
		if (doubts->needed[i] > doubts->holders[i].faults)
			doubt_taker(doubts, (uint32_t)i + 1);
	}
}

/* What is not known is more than anybody took, and still can be summed up. */
static uint64_t at_most(uint64_t faults)
{
	return faults < FAULTS_MAX ? faults : FAULTS_MAX;
}

/* Returns the sum of all that anybody took. */
static uint64_t sum_faults(struct doubts *doubts)
{
	uint64_t all = at_most(doubts->ended);

	for (uint32_t i = 1; i <= doubts->n_holders; i++) {
		uint64_t faults = at_most(doubts->holders[i - 1].faults);
		struct kind *kind = kind_of(doubts, i);

		kind->needed += doubts->needed[i - 1];
		kind->taken += faults;
		all += faults;
	}
	return all;
}

/* What the others hold explains none of the page faults that they took: they may have exchanged what they made. */
static bool may_be_given(const struct kind *kind, uint64_t all_taken)
{
	return all_taken - kind->taken > kind->needed / FOREIGN_SHARE;
}

static bool is_doubtful(const struct doubts *doubts, const struct block *block, uint64_t all_taken)
{
	const struct kind *kind = kind_of(doubts, block->holder);

	return doubts->of_holder[block->holder - 1] || kind->is_taker || may_be_given(kind, all_taken);
}

int blocks_doubt(struct blocks *blocks, const struct block_holder *holders, size_t n_holders, uint64_t ended)
{
	_cleanup_(doubts_clear) struct doubts doubts = {.holders = holders, .n_holders = n_holders, .ended = ended};
	int r = doubts_init(&doubts);
	uint64_t all_taken;
	bool is_common;

	if (r < 0)
		return r;
	collect(&doubts, blocks);
	all_taken = sum_faults(&doubts);
	is_common = doubts.passed > (doubts.passed + doubts.held) / PASSED_SHARE;
	for (size_t i = 0; i < blocks->count; i++) {
		struct block *block = &blocks->block[i];

		if (block_holder(block))
			block->doubted = is_common || is_doubtful(&doubts, block, all_taken);
	}
	return 0;
}
