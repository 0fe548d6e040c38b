/* SPDX-License-Identifier: GPL-2.0-only */
/* Samples of who runs: one pass of the task iterator over all targets, in which the kernel tells of none but those
 * that are on a CPU or ready for one. It must not know pools. */
#include "../boottime.h"
#include "probes.h"

#include "probe_state.h"

#include <errno.h>
#include <unistd.h>

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static int emit_running(struct probes *probes, const struct running_record *record, uint64_t time_ns,
			const struct fact_sink *sink)
{
	const struct probe_space *space = probe_spaces_find(probes->spaces, record->space);
	struct fact fact = {.kind = FACT_THREAD_RUNNING, .time_ns = time_ns};

	/* A followed child whose birth is still in the ring, or a thread without a number in that procfs. */
	if (!space || !record->tid)
		return 0;
	fact.target = space->target;
	fact.thread.id = (struct thread_id){record->tid, record->start_ns};
	return sink->emit(sink->context, &fact);
}

static int emit_end(struct probes *probes, uint64_t time_ns, const struct fact_sink *sink)
{
	int r = 0;

	for (struct probe_space *space = probe_spaces_next(probes->spaces, NULL); space && !r;
	     space = probe_spaces_next(probes->spaces, space)) {
		struct fact fact = {.kind = FACT_RUNNING_SAMPLED, .target = space->target, .time_ns = time_ns};

		r = sink->emit(sink->context, &fact);
	}
	return r;
}

int probes_running(struct probes *probes, const struct fact_sink *sink)
{
	struct running_record records[256];
	_cleanup_(close_fd) int fd = -1;
	uint64_t time_ns = boottime();
	ssize_t size;

	if (!probes->set.iterator)
		return -EOPNOTSUPP;
	if (!probe_spaces_next(probes->spaces, NULL))
		return 0;
	probes->set.object->bss->wanted_running = 1;
	fd = bpf_iter_create(bpf_link__fd(probes->set.iterator));
	if (fd < 0)
		return -errno;
	while ((size = read(fd, records, sizeof(records))) != 0) {
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return -errno;
		for (size_t i = 0; i < (size_t)size / sizeof(*records); i++) {
			int r = emit_running(probes, &records[i], time_ns, sink);

			if (r)
				return r;
		}
	}
	return emit_end(probes, time_ns, sink);
}
