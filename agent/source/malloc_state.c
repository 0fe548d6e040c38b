/* SPDX-License-Identifier: GPL-2.0-only */
/* glibc's malloc_state and heap_info from their bytes: where the fields are is proven by what stands there, not by
 * a version. Pure functions over bytes of a target; it must not read anything itself. */
#include "malloc_state.h"

#include <errno.h>

/* NBINS is 128 in all versions: 127 pairs of words, the last of which is never used. */
#define BINS 127
#define BINS_BYTES (BINS * 16)
#define BINMAP_BYTES 16
#define BINS_FIRST_MIN 24 /* mutex, flags, top and last_remainder come before; until 2.42 fastbins and more too */
#define BINS_FIRST_MAX 192
#define EMPTY_MIN 4 /* of the bins: those for the largest chunks */
/* Behind `next`: next_free, attached_threads, system_mem, max_system_mem. */
#define TAIL_BYTES 40
#define FASTBINS_BYTES (MALLOC_FASTBINS * 8)
#define HEADER_BYTES 8 /* before the fastbins at the least */
#define PAGE 4096ULL

static bool bin_is_empty(const unsigned char *bytes, uint64_t address, size_t offset)
{
	uint64_t self = address + offset - 16;

	return malloc_word(bytes, offset) == self && malloc_word(bytes, offset + 8) == self;
}

static bool bin_names_chunks(const unsigned char *bytes, size_t offset)
{
	uint64_t first = malloc_word(bytes, offset), last = malloc_word(bytes, offset + 8);

	return first && last && (first | last) % 16 == 0;
}

int malloc_layout_find(const unsigned char *bytes, size_t length, uint64_t address, struct malloc_layout *ret_layout)
{
	size_t last = 0, bins, empty = 0;

	/* The last bin is always empty, so the array ends where the last bin that points at itself ends. */
	for (size_t at = BINS_FIRST_MIN; at + 16 <= length && at + 16 <= BINS_FIRST_MAX + BINS_BYTES; at += 8) {
		if (bin_is_empty(bytes, address, at))
			last = at;
	}
	if (last + 16 < BINS_FIRST_MIN + BINS_BYTES)
		return -ENOENT;
	bins = last + 16 - BINS_BYTES;
	if (bins + BINS_BYTES + BINMAP_BYTES + TAIL_BYTES > length)
		return -ENOENT;
	for (size_t i = 0; i < BINS; i++) {
		bool is_empty = bin_is_empty(bytes, address, bins + i * 16);

		if (!is_empty && !bin_names_chunks(bytes, bins + i * 16))
			return -ENOENT;
		empty += is_empty;
	}
	if (empty < EMPTY_MIN)
		return -ENOENT;
	*ret_layout = (struct malloc_layout){
		.top = (uint32_t)bins - 16,
		.bins = (uint32_t)bins,
		.next = (uint32_t)bins + BINS_BYTES + BINMAP_BYTES,
		.size = (uint32_t)bins + BINS_BYTES + BINMAP_BYTES + TAIL_BYTES,
	};
	if (ret_layout->top >= HEADER_BYTES + FASTBINS_BYTES)
		ret_layout->fastbins = ret_layout->top - FASTBINS_BYTES;
	return 0;
}

int malloc_heap_parse(const unsigned char *bytes, uint64_t heap, uint64_t arena, struct malloc_heap_info *ret_info)
{
	struct malloc_heap_info info = {malloc_word(bytes, 0), malloc_word(bytes, 8), malloc_word(bytes, 16)};

	if (info.arena != arena || info.size < PAGE || info.size > MALLOC_HEAP_BYTES || info.size % PAGE ||
	    info.prev % MALLOC_HEAP_BYTES || info.prev == heap)
		return -EINVAL;
	*ret_info = info;
	return 0;
}
