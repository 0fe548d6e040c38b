/* SPDX-License-Identifier: GPL-2.0-only */
/* A target's memory as one pass sees it: a bounded table of blocks, filled many at a time. It must not know
 * what lies in them. */
#include "cpython_memory.h"

#include <errno.h>

/* What a pass holds at once: 16 MiB. Beyond it all is forgotten and read again as need be. */
#define BLOCKS_MAX 16384U
#define SLOTS 32768U /* a power of two, twice the blocks */
#define USER_END (1ULL << 56)

struct memory_view {
	struct memory_source source;
	struct memory_counts counts;
	uint64_t address[BLOCKS_MAX];
	bool readable[BLOCKS_MAX];
	unsigned char *bytes; /* room for `room` blocks */
	size_t n_blocks, n_fetched, room; /* blocks from n_fetched on are wanted, not read */
	uint16_t slot[SLOTS]; /* index + 1; 0: free */
};

int memory_view_new(const struct memory_source *source, struct memory_view **ret_view)
{
	struct memory_view *view = calloc(1, sizeof(*view));

	if (!view)
		return -ENOMEM;
	view->source = *source;
	*ret_view = view;
	return 0;
}

void memory_view_free(struct memory_view *view)
{
	if (!view)
		return;
	free(view->bytes);
	free(view);
}

void memory_view_begin(struct memory_view *view)
{
	view->n_blocks = view->n_fetched = 0;
	memset(view->slot, 0, sizeof(view->slot));
}

static uint16_t *slot_of(struct memory_view *view, uint64_t block)
{
	uint32_t at = (uint32_t)((block / MEMORY_BLOCK * 11400714819323198485ULL) >>
				 49); /* Fibonacci, 15 bits */

	while (view->slot[at] && view->address[view->slot[at] - 1] != block)
		at = (at + 1) & (SLOTS - 1);
	return &view->slot[at];
}

static bool is_user_range(uint64_t address, size_t length)
{
	return address >= 4096 && address < USER_END && length <= USER_END - address;
}

/* The address stays in its slot, so that others behind it are found. */
void memory_view_forget(struct memory_view *view, uint64_t address, size_t length)
{
	if (!is_user_range(address, length))
		return;
	for (uint64_t at = address - address % MEMORY_BLOCK; at < address + length; at += MEMORY_BLOCK) {
		const uint16_t *slot = slot_of(view, at);
		bool ignored;

		if (!*slot || *slot > view->n_fetched)
			continue;
		view->source.read(view->source.context, &at, 1, view->bytes + (*slot - 1) * MEMORY_BLOCK,
				  &ignored);
		view->readable[*slot - 1] = ignored;
		view->counts.calls++;
		view->counts.blocks++;
		view->counts.failed += !ignored;
	}
}

void memory_view_fetch(struct memory_view *view)
{
	size_t count = view->n_blocks - view->n_fetched;

	if (!count)
		return;
	view->source.read(view->source.context, view->address + view->n_fetched, count,
			  view->bytes + view->n_fetched * MEMORY_BLOCK, view->readable + view->n_fetched);
	view->counts.calls++;
	view->counts.blocks += count;
	for (size_t i = view->n_fetched; i < view->n_blocks; i++)
		view->counts.failed += !view->readable[i];
	view->n_fetched = view->n_blocks;
}

static bool has_room(struct memory_view *view)
{
	size_t room = view->room ? view->room * 2 : 256;
	unsigned char *grown;

	if (view->n_blocks < view->room)
		return true;
	if (view->room == BLOCKS_MAX)
		return false;
	grown = realloc(view->bytes, room * MEMORY_BLOCK);
	if (!grown)
		return false;
	view->bytes = grown;
	view->room = room;
	return true;
}

void memory_view_want(struct memory_view *view, uint64_t address, size_t length)
{
	if (!is_user_range(address, length) || length > 16 * MEMORY_BLOCK)
		return;
	for (uint64_t at = address - address % MEMORY_BLOCK; at < address + length; at += MEMORY_BLOCK) {
		uint16_t *slot = slot_of(view, at);

		if (*slot || !has_room(view))
			continue;
		view->address[view->n_blocks++] = at;
		*slot = (uint16_t)view->n_blocks;
	}
}

/* The block's bytes; NULL: not readable. */
static const unsigned char *block_get(struct memory_view *view, uint64_t block)
{
	uint16_t slot = *slot_of(view, block);

	if (!slot) {
		if (!has_room(view))
			memory_view_begin(view);
		memory_view_want(view, block, 1);
		slot = *slot_of(view, block);
		if (!slot)
			return NULL;
	}
	if (slot > view->n_fetched)
		memory_view_fetch(view);
	return view->readable[slot - 1] ? view->bytes + (slot - 1) * MEMORY_BLOCK : NULL;
}

int memory_view_read(struct memory_view *view, uint64_t address, void *ret_bytes, size_t length)
{
	unsigned char *out = ret_bytes;

	if (!is_user_range(address, length))
		return -EFAULT;
	while (length) {
		size_t within = address % MEMORY_BLOCK;
		size_t part = MEMORY_BLOCK - within < length ? MEMORY_BLOCK - within : length;
		const unsigned char *bytes = block_get(view, address - within);

		if (!bytes)
			return -EFAULT;
		memcpy(out, bytes + within, part);
		out += part;
		address += part;
		length -= part;
	}
	return 0;
}

const struct memory_counts *memory_view_counts(const struct memory_view *view)
{
	return &view->counts;
}
