/* SPDX-License-Identifier: GPL-2.0-only */
/* The inside of `struct probes`, for the files that implement probes.h. It must not be included elsewhere. */
#ifndef POOLSCOPE_SOURCE_PROBE_STATE_H
#define POOLSCOPE_SOURCE_PROBE_STATE_H

#include "probe_load.h"
#include "probe_ring.h"
#include "probe_spaces.h"
#include "probe_stacks.h"

struct probes {
	struct probe_set set;
	struct probe_trial trials[GROUP_COUNT];
	struct probe_ring *ring;
	struct probe_spaces *spaces;
	char procfs[256];
	uint32_t pid_namespace, last_target;
	uint64_t page_size, forget_ns;
	uint64_t event_ns; /* of the last record */
	uint64_t due_ns;   /* of the next drain, if nothing wakes the reader before; UINT64_MAX: something does */
	uint64_t received[PROBE_COUNT];
	uint64_t lives_lost; /* of all shares, as last looked at */
	struct told_share {
		uint64_t lives_lost;
		bool has_newcomer; /* whom it was not told */
		bool is_told; /* since the counters were read last: who lives is not counted until then */
	} told[EVENT_SHARES];
	bool is_behind; /* the last drain has left some of what was in the ring when it began */
	uint64_t unwatched; /* processes that there was no room for when they were looked for; the most at one time */
	struct probe_stacks stacks;

	/* of the drain that runs */
	const struct fact_sink *sink;
	uint32_t drained;
	bool drained_memory; /* calls, not only threads */
	int error;
};

/* Opens what a drain needs. 0 or -errno. */
int probe_drain_open(struct probes *probes);
void probe_drain_close(struct probes *probes);
/* Watches this process no more and frees `space`. */
void probe_forget(struct probes *probes, struct probe_space *space);
/* Another process lives in the memory of `space`: its events are reported too. False: they were before. */
bool probe_watch_guest(struct probes *probes, const struct probe_space *space, const struct task_record *record);

#endif
