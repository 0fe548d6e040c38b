/* SPDX-License-Identifier: GPL-2.0-only */
/* Which target an address space of the kernel's records is. It must not know records. */
#ifndef POOLSCOPE_SOURCE_PROBE_SPACES_H
#define POOLSCOPE_SOURCE_PROBE_SPACES_H

#include "../fact.h"
#include "poolscope/event.h"

struct probe_space {
	uint32_t tgid, target; /* the kernel's tgid */
	uint16_t share;        /* its account of ring space */
	uint64_t start_ns;     /* 0: not known */
	struct fact end;       /* how it ended, once its kind is FACT_TARGET_GONE */
	bool end_told, ends;
	struct wish wish; /* as the kernel was told it last */
	uint64_t memory; /* of its tasks' records; 0: not known yet */
	bool guests_sought, has_guests; /* other processes in this memory: looked for once; some were seen last */
	uint64_t complete_ns;           /* boottime; of calls before it, those of some guests were not reported */
	uint64_t lost;                  /* events of it and of nobody known, as of the last count */
	uint64_t received[PROBE_COUNT]; /* events, by probe */
	struct probe_space *next_in_bucket, *next_of_target;
};

struct probe_spaces;

int probe_spaces_new(struct probe_spaces **ret_spaces);
void probe_spaces_free(struct probe_spaces *spaces);

/* Replaces what had this tgid before. */
int probe_spaces_add(struct probe_spaces *spaces, uint32_t tgid, uint64_t start_ns, uint32_t target,
		     struct probe_space **ret_space);
void probe_spaces_remove(struct probe_spaces *spaces, uint32_t tgid);
size_t probe_spaces_count(const struct probe_spaces *spaces);
struct probe_space *probe_spaces_find(struct probe_spaces *spaces, uint32_t tgid);
struct probe_space *probe_spaces_of_target(struct probe_spaces *spaces, uint32_t target);
/* NULL begins; NULL ends. */
struct probe_space *probe_spaces_next(struct probe_spaces *spaces, const struct probe_space *space);

/* A mark for later, and the marked ones, each once. */
void probe_spaces_end_later(struct probe_spaces *spaces, struct probe_space *space);
struct probe_space *probe_spaces_next_ended(struct probe_spaces *spaces);

#endif
