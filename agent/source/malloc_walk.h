/* SPDX-License-Identifier: GPL-2.0-only */
/* One heap of glibc's malloc, chunk by chunk, and what of it is free. Pure: bytes of a target in, answers out; it must
 * not read anything itself. */
#ifndef POOLSCOPE_SOURCE_MALLOC_WALK_H
#define POOLSCOPE_SOURCE_MALLOC_WALK_H

#include "../fact.h"

struct malloc_walk {
	uint64_t at;  /* the header that is wanted next */
	uint64_t top; /* the chunk that ends the walk; 0: a fence at the end of the heap does */
	uint64_t end; /* of the heap */
	uint64_t before; /* the chunk before `at`; whether it is free stands in the header at `at`. 0: none */
	bool is_linked; /* that chunk is in a list of small free ones, which the headers have as in use */
	uint32_t n_mixed; /* chunks that end a list of mixed links: what proves that they are */
	bool links_are_mixed; /* glibc mixes links with their own addresses (2.32 on), so that they are told from all else */
	/* Called for each free chunk, ascending. */
	void (*found)(void *context, uint64_t start, uint64_t end);
	void *context;
};

/* Whether mixed links are told from all else in a heap that lies there. */
bool malloc_walk_tells_links(uint64_t at);

enum malloc_walk_state { MALLOC_WALK_ON, MALLOC_WALK_DONE, MALLOC_WALK_BROKEN };

/* Goes on as far as the words at `address` reach. BROKEN: what stands there is no chunk; the heap was changed
 * meanwhile, or it is none. */
enum malloc_walk_state malloc_walk_feed(struct malloc_walk *walk, uint64_t address, const uint64_t *words, size_t count);

#endif
