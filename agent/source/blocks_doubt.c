/* SPDX-License-Identifier: GPL-2.0-only */
/* Who holds blocks and may not have made them: what makes a finding doubtful. Pure: findings in, answers out. */
#include "blocks.h"

#include <errno.h>

/* Of bytes that some thread holds, passed on at most one part in so many. */
#define PASSED_SHARE 50
/* Page faults of others that nothing explains may have made so little of what a kind of threads holds: 1 %. */
#define FOREIGN_SHARE 100

/* Threads of one start routine, and of one family of names: they do the same. 0: of whom it is not known, and the leader; they have nothing in
 * common. Figures but the bytes are page faults. */
struct kind {
	uint64_t routine;
	uint64_t needed; /* brought into being what they hold */
	uint64_t spare;  /* that they took beside those */
	uint64_t most;   /* of these one of them took */
	uint64_t others, others_most; /* spare ones of all others, those that have ended too */
	uint64_t held_bytes, given_bytes; /* of these they may have been given some */
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
	return compare_u64(((const struct kind *)a)->routine, ((const struct kind *)b)->routine);
}

static struct kind *kind_of(const struct doubts *doubts, uint32_t holder)
{
	struct kind key = {.routine = doubts->holders[holder - 1].routine};

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
		doubts->kind[i].routine = doubts->holders[i].routine;
	if (doubts->n_holders)
		qsort(doubts->kind, doubts->n_holders, sizeof(*doubts->kind), compare_kinds);
	for (size_t i = 0; i < doubts->n_holders; i++) {
		if (!doubts->n_kinds || doubts->kind[i].routine != doubts->kind[doubts->n_kinds - 1].routine)
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

static uint64_t larger(uint64_t one, uint64_t other)
{
	return one > other ? one : other;
}

struct faults {
	uint64_t sum, most;
};

/* Adds to a kind what the ones before it have, and what it has to that. */
static void tell_others(struct kind *kind, struct faults *before)
{
	kind->others = sum_of(kind->others, before->sum);
	kind->others_most = larger(kind->others_most, before->most);
	before->sum = sum_of(before->sum, kind->spare);
	before->most = larger(before->most, kind->most);
}

static void sum_faults(struct doubts *doubts)
{
	struct faults before = {doubts->ended, doubts->ended}, behind = {0, 0};

	for (size_t i = 0; i < doubts->n_holders; i++) {
		struct kind *kind = kind_of(doubts, (uint32_t)i + 1);
		uint64_t needed = doubts->needed[i], faults = doubts->holders[i].faults;
		uint64_t spare = faults > needed ? faults - needed : 0;

		kind->needed += needed;
		kind->spare = sum_of(kind->spare, spare);
		kind->most = larger(kind->most, spare);
	}
	for (size_t i = 0; i < doubts->n_kinds; i++) {
		tell_others(&doubts->kind[i], &before);
		tell_others(&doubts->kind[doubts->n_kinds - 1 - i], &behind);
	}
}

/* Others may have made it: one of them took as many page faults that nothing explains, and all together took so many that
 * it may be more than a small part of what is held. */
static bool may_be_foreign(const struct block *block, uint64_t others, uint64_t most, uint64_t needed)
{
	return most >= block->faults && others > needed / FOREIGN_SHARE;
}

static bool may_be_given(const struct doubts *doubts, const struct block *block)
{
	const struct block_holder *holder = &doubts->holders[block->holder - 1];
	const struct kind *kind = kind_of(doubts, block->holder);
	uint64_t needed = doubts->needed[block->holder - 1];
	uint64_t spare = holder->faults > needed ? holder->faults - needed : 0;

	if (kind->routine)
		return may_be_foreign(block, kind->others, kind->others_most, kind->needed);
	/* It is alone of its kind. */
	return may_be_foreign(block, sum_of(kind->others, kind->spare - spare),
			      larger(kind->others_most, kind->most == spare ? kind->spare - spare : kind->most), needed);
}

static void sum_given(struct doubts *doubts, const struct blocks *blocks)
{
	for (size_t i = 0; i < blocks->count; i++) {
		const struct block *block = &blocks->block[i];
		struct kind *kind;

		if (!block_holder(block))
			continue;
		kind = kind_of(doubts, block->holder);
		kind->held_bytes += block->length;
		kind->given_bytes += may_be_given(doubts, block) ? block->length : 0;
	}
}

/* Where most may be given all may: they do the same. */
static bool is_doubtful(const struct doubts *doubts, const struct block *block)
{
	const struct kind *kind = kind_of(doubts, block->holder);

	return doubts->of_holder[block->holder - 1] || may_be_given(doubts, block) ||
	       (kind->routine && (kind->is_taker || kind->given_bytes > kind->held_bytes / 2));
}

int blocks_doubt(struct blocks *blocks, const struct block_holder *holders, size_t n_holders, uint64_t ended)
{
	_cleanup_(doubts_clear) struct doubts doubts = {.holders = holders, .n_holders = n_holders, .ended = ended};
	int r = doubts_init(&doubts);
	bool is_common;

	if (r < 0)
		return r;
	collect(&doubts, blocks);
	sum_faults(&doubts);
	sum_given(&doubts, blocks);
	is_common = doubts.passed > (doubts.passed + doubts.held) / PASSED_SHARE;
	for (size_t i = 0; i < blocks->count; i++) {
		struct block *block = &blocks->block[i];

		if (block_holder(block) && (is_common || is_doubtful(&doubts, block)))
			block->strong = false;
	}
	return 0;
}
