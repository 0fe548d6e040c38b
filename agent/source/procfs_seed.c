/* SPDX-License-Identifier: GPL-2.0-only */
/* The mappings of a process as facts. It must not know who owns them. */
#include "../boottime.h"
#include "procfs_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HUGETLB_MOUNTS 16

struct seed_walk {
	struct procfs *procfs;
	const struct fact_sink *sink;
	struct fact fact;
	uint32_t pid;
	bool knows_mounts;
	struct {
		uint32_t major, minor;
	} hugetlb[HUGETLB_MOUNTS]; /* devices of the hugetlbfs that the target has mounted */
	size_t n_hugetlb;
	uint64_t last_end; /* of the mapping before */
};

#define HUGE_PAGE (2ULL << 20) /* none is smaller on x86-64 */

/* The mount table of the target itself: it may have a mount namespace of its own. */
static void read_mounts(struct seed_walk *walk)
{
	char *save = NULL;

	walk->knows_mounts = true;
	if (procfs_read_living(walk->procfs, walk->pid, "mountinfo") <= 0)
		return;
	for (char *line = strtok_r(walk->procfs->buffer, "\n", &save);
	     line && walk->n_hugetlb < HUGETLB_MOUNTS; line = strtok_r(NULL, "\n", &save)) {
		unsigned int major, minor;

		if (strstr(line, " - hugetlbfs ") && sscanf(line, "%*u %*u %u:%u", &major, &minor) == 2) {
			walk->hugetlb[walk->n_hugetlb].major = major;
			walk->hugetlb[walk->n_hugetlb++].minor = minor;
		}
	}
}

/* A file of a hugetlbfs has no name that tells it; only whole huge pages can be one. */
static bool is_hugetlb_file(struct seed_walk *walk, const struct proc_mapping *mapping)
{
	if ((mapping->start | mapping->end) % HUGE_PAGE)
		return false;
	if (!walk->knows_mounts)
		read_mounts(walk);
	for (size_t i = 0; i < walk->n_hugetlb; i++) {
		if (walk->hugetlb[i].major == mapping->dev_major && walk->hugetlb[i].minor == mapping->dev_minor)
			return true;
	}
	return false;
}

/* Unlimited, or more than anybody looks at. */
#define STACK_ROOM_MAX (256ULL << 20)
#define STACK_GAP (1ULL << 20) /* stack_guard_gap, which the kernel keeps free below it (mm/mmap.c) */

/* Where [stack] may grow down to: RLIMIT_STACK below its end, as far as nothing else is there. */
static uint64_t stack_bottom(struct seed_walk *walk, const struct proc_mapping *mapping)
{
	static const char title[] = "Max stack size";
	uint64_t room = STACK_ROOM_MAX, bottom;
	const char *line = NULL;

	if (procfs_read(walk->procfs, "%u/limits", walk->pid) > 0)
		line = strstr(walk->procfs->buffer, title);
	if (!line)
		return mapping->start;
	line += strlen(title);
	line += strspn(line, " ");
	if (*line >= '0' && *line <= '9')
		room = strtoull(line, NULL, 10);
	room = room < STACK_ROOM_MAX ? room : STACK_ROOM_MAX;
	room &= ~(uint64_t)(sysconf(_SC_PAGESIZE) - 1);
	bottom = mapping->end > room ? mapping->end - room : 0;
	if (bottom < walk->last_end + STACK_GAP)
		bottom = walk->last_end + STACK_GAP;
	return bottom < mapping->start ? bottom : mapping->start;
}

static int seed_visit(void *context, const struct proc_mapping *mapping)
{
	struct seed_walk *walk = context;
	uint64_t start = mapping->start;
	uint32_t flags;

	if (proc_mapping_flags(mapping, &flags) < 0)
		return 0;
	if (flags & RANGE_STACK && flags & RANGE_GROWSDOWN)
		start = stack_bottom(walk, mapping);
	walk->last_end = mapping->end;
	if ((flags & RANGE_FILE) && is_hugetlb_file(walk, mapping))
		flags |= RANGE_HUGETLB;
	walk->fact.kind = FACT_RANGE_SEEN;
	walk->fact.time_ns = mapping->read_ns;
	walk->fact.range = (struct fact_range){
		.start = start,
		.length = mapping->end - start,
		.protection = mapping->protection,
		.flags = flags,
	};
	return walk->sink->emit(walk->sink->context, &walk->fact);
}

int procfs_seed(struct procfs *procfs, uint32_t target, uint32_t pid, enum seed_reason reason,
		const struct fact_sink *sink)
{
	struct seed_walk walk = {
		.procfs = procfs, .sink = sink, .pid = pid,
		.fact = {.kind = FACT_SEED_BEGIN, .target = target, .time_ns = boottime(), .seed = {reason}},
	};
	int r = sink->emit(sink->context, &walk.fact), end;

	if (r)
		return r;
	r = procfs_each_mapping(procfs, pid, seed_visit, &walk);
	/* Closed even when it broke off, or the model would wait for the end for ever. */
	walk.fact = (struct fact){
		.kind = FACT_SEED_END, .target = target, .time_ns = boottime(), .seed = {reason},
	};
	end = sink->emit(sink->context, &walk.fact);
	return r ? r : end;
}
