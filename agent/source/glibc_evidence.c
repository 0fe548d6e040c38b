/* SPDX-License-Identifier: GPL-2.0-only */
/* What the bytes of some threads' descriptors prove: an offset counts only if it fits every thread. Pure; it must
 * not read anything itself. */
#include "glibc_evidence.h"

#include <errno.h>

#define STACK_MIN 8192           /* below PTHREAD_STACK_MIN: less would not hold the descriptor */
#define STACK_MAX (1ULL << 40)
#define STACK_TOP_MAX 65536      /* the descriptor is the first thing at the top of a stack */

/* glibc's descriptor begins with the ABI's head of 704 bytes (tcbhead_t). Where the tid stands before that it is musl's, which
 * keeps the stack there as well (map_base, map_size), but not the start routine: any word that is code would pass for it. */
#define GLIBC_TID_MIN 64

/* glibc 2.36 on x86-64, measured. A candidate only: it must prove itself. */
static const struct glibc_descriptor known_layout = {720, 1592, 1680, 1688, 1696, DESCRIPTOR_BYTES};

/* A thread may be read while it is made or ends, and not every thread must be glibc's: one in four may differ. */
static bool suffices(size_t fitting, size_t count)
{
	return fitting > 0 && fitting * 4 >= count * 3;
}

static bool tid_fits(const struct sample *samples, size_t count, size_t offset)
{
	size_t fitting = 0;

	for (size_t i = 0; i < count; i++) {
		fitting += offset + 4 <= samples[i].length &&
			   half_at(samples[i].bytes, offset) == samples[i].ns_tid;
	}
	return suffices(fitting, count);
}

bool stack_is_sound(uint64_t start, uint64_t size, uint64_t tls_base)
{
	return size >= STACK_MIN && size <= STACK_MAX && start && start <= UINT64_MAX - size && tls_base >= start &&
	       tls_base - start < size && start + size - tls_base <= STACK_TOP_MAX;
}

/* All threads but the leader: that one lives on the kernel's stack. */
static bool stack_fits(const struct sample *samples, size_t count, size_t offset)
{
	size_t seen = 0, fitting = 0;

	for (size_t i = 0; i < count; i++) {
		if (samples[i].is_leader)
			continue;
		seen++;
		fitting += offset + 16 <= samples[i].length &&
			   stack_is_sound(word_at(samples[i].bytes, offset), word_at(samples[i].bytes, offset + 8),
					  samples[i].tls_base);
	}
	return suffices(fitting, seen);
}

static bool is_code(const struct code_ranges *code, uint64_t address)
{
	size_t low = 0, high = code->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (code->end[middle] <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < code->count && code->start[low] <= address;
}

static bool routine_fits(const struct sample *samples, size_t count, size_t offset, const struct code_ranges *code)
{
	size_t seen = 0, fitting = 0;

	for (size_t i = 0; i < count; i++) {
		if (samples[i].is_leader)
			continue;
		seen++;
		fitting += offset + 8 <= samples[i].length && is_code(code, word_at(samples[i].bytes, offset));
	}
	return suffices(fitting, seen);
}

static uint32_t find_tid(const struct sample *samples, size_t count, uint32_t described)
{
	if (described && tid_fits(samples, count, described))
		return described;
	if (tid_fits(samples, count, known_layout.tid))
		return known_layout.tid;
	/* One number that equals a tid can be chance; in two threads it is none. */
	for (uint32_t offset = 8; count > 1 && offset + 4 <= DESCRIPTOR_BYTES; offset += 4) {
		if (tid_fits(samples, count, offset))
			return offset;
	}
	return 0;
}

static uint32_t find_stack(const struct sample *samples, size_t count, uint32_t after)
{
	for (uint32_t offset = (after + 7) & ~7U; offset + 16 <= DESCRIPTOR_BYTES; offset += 8) {
		if (stack_fits(samples, count, offset))
			return offset;
	}
	return 0;
}

static uint32_t find_routine(const struct sample *samples, size_t count, uint32_t after,
			     const struct code_ranges *code)
{
	if (routine_fits(samples, count, known_layout.start_routine, code))
		return known_layout.start_routine;
	for (uint32_t offset = (after + 7) & ~7U; offset + 8 <= DESCRIPTOR_BYTES; offset += 8) {
		if (routine_fits(samples, count, offset, code))
			return offset;
	}
	return 0;
}

static bool has_others(const struct sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!samples[i].is_leader)
			return true;
	}
	return false;
}

int glibc_evidence(const struct sample *samples, size_t count, const struct code_ranges *code,
		   uint32_t described_tid, uint32_t described_routine, struct glibc_descriptor *ret_descriptor)
{
	struct glibc_descriptor found = {
		.tid = find_tid(samples, count, described_tid), .start_routine = described_routine,
	};

	if (!found.tid)
		return -ENOENT;
	if (has_others(samples, count)) {
		if (!described_routine && found.tid >= GLIBC_TID_MIN)
			found.start_routine = find_routine(samples, count, found.tid, code);
		found.stack_block = find_stack(samples, count, found.tid);
	} else if (found.tid == known_layout.tid && described_routine == known_layout.start_routine) {
		found.stack_block = known_layout.stack_block;
	}
	if (found.stack_block) {
		found.stack_size = found.stack_block + 8;
		found.guard_size = found.stack_block + 16;
	}
	if (!found.start_routine && !found.stack_block)
		return -ENOENT;
	*ret_descriptor = found;
	return 0;
}
