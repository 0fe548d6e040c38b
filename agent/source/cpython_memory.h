/* SPDX-License-Identifier: GPL-2.0-only */
/* A target's memory as one pass sees it: blocks that are read once, many by one call. It must not know what
 * lies in them, nor how a reader gets them. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_MEMORY_H
#define POOLSCOPE_SOURCE_CPYTHON_MEMORY_H

#include "../base.h"

/* Small enough to copy little, large enough that an object is in one or two. */
#define MEMORY_BLOCK 1024U

/* How the bytes are had. read() fills block i of `bytes` from addresses[i], a multiple of MEMORY_BLOCK, and
 * tells in ret_read[i] whether it could. */
struct memory_source {
	void (*read)(void *context, const uint64_t *addresses, size_t count, unsigned char *bytes,
		     bool *ret_read);
	void *context;
};

struct memory_counts {
	uint64_t calls, blocks, failed; /* since the view was made; failed: blocks that could not be read */
};

struct memory_view;

int memory_view_new(const struct memory_source *source, struct memory_view **ret_view);
void memory_view_free(struct memory_view *view);
DEFINE_CLEANUP(struct memory_view *, memory_view_free)

/* Forgets all blocks: what is read from now on is read anew. */
void memory_view_begin(struct memory_view *view);
/* Forgets the blocks of one stretch. */
void memory_view_forget(struct memory_view *view, uint64_t address, size_t length);
/* Notes what will be read soon; the next fetch, or read of something unknown, gets all of it in one call. */
void memory_view_want(struct memory_view *view, uint64_t address, size_t length);
void memory_view_fetch(struct memory_view *view);
/* -EFAULT: not readable, or no address of a user. */
int memory_view_read(struct memory_view *view, uint64_t address, void *ret_bytes, size_t length);
const struct memory_counts *memory_view_counts(const struct memory_view *view);

#endif
