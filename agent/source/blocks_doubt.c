/* SPDX-License-Identifier: GPL-2.0-only */
/* Who holds blocks and may not have made them: what makes a finding doubtful. Pure: findings in, answers out. */
#include "blocks.h"

#include <errno.h>

/* Of bytes that some thread holds, passed on at most one part in so many. */
#define PASSED_SHARE 50
/* Page faults of others that nothing explains may have made so little of what a kind of threads holds: 1 %. */
#define FOREIGN_SHARE 100
/* Of looking for what may have been given in exchange; who is not done then believes nothing. */
#define ROUNDS_MAX 16

/* Threads of one start routine, and of one family of names: they do the same. Of those of whom that is not known (routine
 * 0) each is a kind of its own. Figures but the bytes are page faults. */
struct kind {
	uint64_t routine;
	uint32_t alone;  /* of routine 0: the thread */
	uint64_t needed; /* brought into being what they hold */
	uint64_t spare;  /* that they took beside those */
	uint64_t taken;  /* in all */
	uint64_t others; /* what all others, those that have ended too, may have made of what is held */
	bool may_be_given; /* so much that it is more than a small part of what they hold */
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

static uint64_t sum_of(uint64_t one, uint64_t other)
{
	return one + other < one ? UINT64_MAX : one + other;
}

static uint64_t spare_of(const struct doubts *doubts, uint32_t holder)
{
	uint64_t needed = doubts->needed[holder - 1], faults = doubts->holders[holder - 1].faults;

	return faults > needed ? faults - needed : 0;
}

static void sum_spare(struct doubts *doubts)
{
	for (uint32_t i = 1; i <= doubts->n_holders; i++) {
		struct kind *kind = kind_of(doubts, i);

		kind->needed += doubts->needed[i - 1];
		kind->spare = sum_of(kind->spare, spare_of(doubts, i));
		kind->taken = sum_of(kind->taken, doubts->holders[i - 1].faults);
	}
}

/* What they may have been given by others they did not make, and may have made as much of what those hold. */
static uint64_t may_have_made(const struct kind *kind)
{
	uint64_t given = !kind->may_be_given ? 0 : kind->needed < kind->others ? kind->needed : kind->others;
	uint64_t made = sum_of(kind->spare, given);

	return made < kind->taken ? made : kind->taken;
}

/* By what may have been given as of the last round. */
static int tell_others(struct doubts *doubts)
{
	_cleanup_(freep) uint64_t *made = calloc(doubts->n_kinds + 1, sizeof(*made));
	uint64_t before = doubts->ended, behind = 0;

	if (!made)
		return -ENOMEM;
	for (size_t i = 0; i < doubts->n_kinds; i++)
		made[i] = may_have_made(&doubts->kind[i]);
	for (size_t i = 0; i < doubts->n_kinds; i++) {
		doubts->kind[i].others = before;
		before = sum_of(before, made[i]);
	}
	for (size_t i = doubts->n_kinds; i-- > 0;) {
		doubts->kind[i].others = sum_of(doubts->kind[i].others, behind);
		behind = sum_of(behind, made[i]);
	}
	return 0;
}

/* By what each has to spare; and again by what that makes doubtful, as they may have exchanged what they made. */
static int find_given(struct doubts *doubts)
{
	bool goes_on = true;

	sum_spare(doubts);
	for (int round = 0; goes_on; round++) {
		int r = tell_others(doubts);

		if (r < 0)
			return r;
		goes_on = false;
		for (size_t i = 0; i < doubts->n_kinds; i++) {
			struct kind *kind = &doubts->kind[i];
			bool may_be = kind->others > kind->needed / FOREIGN_SHARE || round == ROUNDS_MAX;

			goes_on |= may_be && !kind->may_be_given && round < ROUNDS_MAX;
			kind->may_be_given |= may_be;
		}
	}
	return 0;
}

static bool is_doubtful(const struct doubts *doubts, const struct block *block)
{
	const struct kind *kind = kind_of(doubts, block->holder);

	return doubts->of_holder[block->holder - 1] || kind->is_taker || kind->may_be_given;
}

int blocks_doubt(struct blocks *blocks, const struct block_holder *holders, size_t n_holders, uint64_t ended)
{
	_cleanup_(doubts_clear) struct doubts doubts = {.holders = holders, .n_holders = n_holders, .ended = ended};
	int r = doubts_init(&doubts);
	bool is_common;

	if (r < 0)
		return r;
	collect(&doubts, blocks);
	r = find_given(&doubts);
	if (r < 0)
		return r;
	is_common = doubts.passed > (doubts.passed + doubts.held) / PASSED_SHARE;
	for (size_t i = 0; i < blocks->count; i++) {
		struct block *block = &blocks->block[i];

		if (block_holder(block) && (is_common || is_doubtful(&doubts, block)))
			block->strong = false;
	}
	return 0;
}
