/* SPDX-License-Identifier: GPL-2.0-only */
/* Large blocks that malloc mapped directly, and in whose memory their addresses are found. Pure: bytes of a target
 * in, answers out; it must not read anything itself. */
#include "blocks.h"

#include <errno.h>

#define PAGE 4096ULL
#define PAGES_NAMED 2 /* posix_memalign() may return an address in the second */
#define IS_MMAPPED 2ULL
#define HEADER_BYTES 16
#define BLOCK_MIN (64ULL << 10) /* M_MMAP_THRESHOLD is 128 KiB unless set lower */

uint64_t block_length(uint64_t previous, uint64_t size, uint64_t room)
{
	uint64_t length = size & ~7ULL;

	/* From glibc 2.43 on the size of such a chunk is without its header. */
	if (length % PAGE == PAGE - HEADER_BYTES)
		length += HEADER_BYTES;
	if ((size & 7) != IS_MMAPPED || previous || length < BLOCK_MIN || length % PAGE || length > room)
		return 0;
	return length;
}

int blocks_add(struct blocks *blocks, uint64_t start, uint64_t length)
{
	if (blocks->count == BLOCKS_MAX)
		return -ENOSPC;
	if (TABLE_GROW(blocks->block, blocks->count, blocks->room, 64))
		return -ENOMEM;
	blocks->block[blocks->count++] = (struct block){.start = start, .length = length};
	return 0;
}

static size_t slot_first(const struct blocks *blocks, uint64_t page)
{
	return (size_t)(page * 0x9e3779b97f4a7c15ULL >> 32) & (blocks->slots - 1);
}

static void slot_put(struct blocks *blocks, uint64_t page, uint32_t index)
{
	size_t at = slot_first(blocks, page);

	while (blocks->slot[at])
		at = (at + 1) & (blocks->slots - 1);
	blocks->slot[at] = index + 1;
}

int blocks_index(struct blocks *blocks)
{
	size_t slots = 64;

	while (slots < blocks->count * PAGES_NAMED * 4)
		slots *= 2;
	free(blocks->slot);
	blocks->slot = calloc(slots, sizeof(*blocks->slot));
	if (!blocks->slot)
		return -ENOMEM;
	blocks->slots = slots;
	for (size_t i = 0; i < blocks->count; i++) {
		for (uint64_t page = 0; page < PAGES_NAMED; page++)
			slot_put(blocks, blocks->block[i].start / PAGE + page, (uint32_t)i);
	}
	return 0;
}

void blocks_clear(struct blocks *blocks)
{
	free(blocks->block);
	free(blocks->slot);
	*blocks = (struct blocks){.count = 0};
}

static struct block *block_named(const struct blocks *blocks, uint64_t word)
{
	for (size_t at = slot_first(blocks, word / PAGE); blocks->slot[at]; at = (at + 1) & (blocks->slots - 1)) {
		struct block *block = &blocks->block[blocks->slot[at] - 1];

		/* malloc never returns the header, which is also where a mapping below ends. */
		if (word >= block->start + HEADER_BYTES && word - block->start < PAGES_NAMED * PAGE)
			return block;
	}
	return NULL;
}

void blocks_search(struct blocks *blocks, uint64_t address, const uint64_t *words, size_t count, uint32_t holder,
		   bool strong)
{
	uint64_t low, high;

	if (!blocks->count || !blocks->slot)
		return;
	low = blocks->block[0].start;
	high = blocks->block[blocks->count - 1].start + PAGES_NAMED * PAGE;
	for (size_t i = 0; i < count; i++) {
		struct block *block;

		if (words[i] - low >= high - low)
			continue;
		block = block_named(blocks, words[i]);
		/* what a block says of itself */
		if (!block || address + i * 8 - block->start < block->length)
			continue;
		if (!block->holder || block->holder == holder) {
			block->holder = holder;
			block->strong |= strong;
		} else if (!block->second || block->second == HOLDER_OTHER || block->second == holder) {
			block->second_strong = (block->second == holder && block->second_strong) || strong;
			block->second = holder;
		}
	}
}

uint32_t block_holder(const struct block *block)
{
	return block->strong && !block->second && block->holder != HOLDER_OTHER ? block->holder : HOLDER_NONE;
}

uint32_t block_maker(const struct block *block)
{
	return block->doubted ? HOLDER_NONE : block_holder(block);
}
