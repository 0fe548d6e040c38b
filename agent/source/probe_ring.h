/* SPDX-License-Identifier: GPL-2.0-only */
/* The ring's reader: hands out its records in order. It must not know what is in them. */
#ifndef POOLSCOPE_SOURCE_PROBE_RING_H
#define POOLSCOPE_SOURCE_PROBE_RING_H

#include "../base.h"

struct probe_ring;

/* `map`: a BPF ring buffer of `bytes`, borrowed. 0 or -errno. */
int probe_ring_open(int map, uint32_t bytes, struct probe_ring **ret_ring);
void probe_ring_close(struct probe_ring *ring);
DEFINE_CLEANUP(struct probe_ring *, probe_ring_close)

/* Calls `each` for what is there; a negative return ends the reading, that record counts as read. Returns how
 * many were read, that negative value, or -errno. */
int probe_ring_read(struct probe_ring *ring, int (*each)(void *context, const void *record, size_t size),
		    void *context);
/* What has been written so far ends there. */
uint64_t probe_ring_produced(const struct probe_ring *ring);
bool probe_ring_is_read_to(const struct probe_ring *ring, uint64_t position);
/* Once a second or so: gives back what only a storm needed. */
void probe_ring_settle(struct probe_ring *ring);
bool probe_ring_is_wide(const struct probe_ring *ring); /* there is something to give back */

#endif
