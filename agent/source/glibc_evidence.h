/* SPDX-License-Identifier: GPL-2.0-only */
/* What the bytes of some threads' descriptors prove about struct pthread: pure functions over bytes of a target.
 * It must not read anything itself. */
#ifndef POOLSCOPE_SOURCE_GLIBC_EVIDENCE_H
#define POOLSCOPE_SOURCE_GLIBC_EVIDENCE_H

#include "glibc.h"

#include <string.h>

#define DESCRIPTOR_BYTES 2560 /* sizeof(struct pthread) is 2,304 on glibc 2.31 and 2,368 on 2.36 */
#define CODE_RANGES_MAX 4096

/* One thread and what stands at its TLS base. */
struct sample {
	uint32_t tid, ns_tid;
	uint64_t tls_base;
	bool is_leader;
	size_t length;
	unsigned char bytes[DESCRIPTOR_BYTES];
};

/* The executable mappings, ascending. */
struct code_ranges {
	uint64_t start[CODE_RANGES_MAX], end[CODE_RANGES_MAX];
	size_t count;
};

static inline uint64_t word_at(const unsigned char *bytes, size_t offset)
{
	uint64_t word;

	memcpy(&word, bytes + offset, sizeof(word));
	return word;
}

static inline uint32_t half_at(const unsigned char *bytes, size_t offset)
{
	uint32_t half;

	memcpy(&half, bytes + offset, sizeof(half));
	return half;
}

/* Can this be the stack block of the thread with this TLS base? */
bool stack_is_sound(uint64_t start, uint64_t size, uint64_t tls_base);

/* What glibc says about itself (struct pthread's offsets for debuggers) is tried first; 0: it does not say.
 * -ENOENT: the bytes prove nothing. */
int glibc_evidence(const struct sample *samples, size_t count, const struct code_ranges *code,
		   uint32_t described_tid, uint32_t described_routine, struct glibc_descriptor *ret_descriptor);

#endif
