/* SPDX-License-Identifier: GPL-2.0-only */
/* Large blocks that malloc mapped directly, and in whose memory their addresses are found. Pure: bytes of a target
 * in, answers out; it must not read anything itself. */
#ifndef POOLSCOPE_SOURCE_BLOCKS_H
#define POOLSCOPE_SOURCE_BLOCKS_H

#include "../fact.h"

#define BLOCKS_MAX 65536

/* Who holds an address: a thread (its number from 1 on), or memory that is nobody's or of several. */
#define HOLDER_NONE 0U
#define HOLDER_OTHER UINT32_MAX

struct block {
	uint64_t start, length;
	uint64_t present; /* of that */
	uint64_t faults; /* so many at least brought its pages into being */
	uint32_t holder; /* the first that was found */
	uint32_t second; /* another one */
	bool strong;     /* found where it counts */
	bool second_strong;
	bool searched;   /* its own content */
	bool doubted;    /* its holder may not have made it */
};

/* What is known of a thread that may hold some. */
struct block_holder {
	uint64_t routine; /* what its kind began with, if that is not one for all; 0: not known, or the leader */
	uint64_t faults;  /* that it took so far; UNKNOWN_U64 */
};

struct blocks {
	struct block *block; /* ascending */
	size_t count, room;
	uint32_t *slot; /* open addressing by page; 0: free, else index + 1 */
	size_t slots;
};

/* The header of a chunk that malloc mapped by itself (size | IS_MMAPPED), at the start of such a mapping: its length,
 * at most `room`; 0: it is none. */
uint64_t block_length(uint64_t previous, uint64_t size, uint64_t room);

/* In ascending order. -ENOSPC beyond BLOCKS_MAX, -ENOMEM. */
int blocks_add(struct blocks *blocks, uint64_t start, uint64_t length);
/* After the last was added. */
int blocks_index(struct blocks *blocks);
void blocks_clear(struct blocks *blocks);

/* Looks for addresses of blocks (of their first two pages: what malloc returned is there) among the words that stand at
 * `address`. A weak finding (a dead part of a stack) charges nobody, but makes doubtful what another holds. */
void blocks_search(struct blocks *blocks, uint64_t address, const uint64_t *words, size_t count, uint32_t holder,
		   bool strong);

/* The thread that holds it, and nobody else; HOLDER_NONE: nobody, or several. */
uint32_t block_holder(const struct block *block);
/* And that made it, as far as can be told: HOLDER_NONE also when that is doubtful. */
uint32_t block_maker(const struct block *block);
/* Holding is evidence of making only where blocks are not passed on. A block that two threads hold was: neither of them
 * is believed any more in anything; and no thread at all where such blocks are not rare. Threads of one start routine do
 * the same: none of them is believed where one took what another made, which a dead trace with that one tells, and so
 * does who holds more than it took page faults. And others may have made what they hold now, or a part of it, and given it
 * to them without a trace, where they took page faults enough: `ended` of them threads that have ended.
 * Holder i + 1 is holders[i]. -ENOMEM. */
int blocks_doubt(struct blocks *blocks, const struct block_holder *holders, size_t n_holders, uint64_t ended);

#endif
