/* SPDX-License-Identifier: GPL-2.0-only */
/* Facts as lines of text, so that what a live target did can be replayed without it: written by
 * tests/recordings/record_facts.c, read by test_recordings.c. It must not know what facts mean. */
#ifndef POOLSCOPE_TESTS_RECORDING_H
#define POOLSCOPE_TESTS_RECORDING_H

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "fact.h"

/* A line: time, target, kind, the kind's fields in hexadecimal, and a name if it has one. Kinds that say nothing of
 * memory or threads are left out. */
struct recording_field {
	size_t offset, size;
};

#define FIELD(path) {offsetof(struct fact, path), sizeof(((struct fact *)0)->path)}
#define WHO FIELD(thread.id.tid), FIELD(thread.id.start_ns)
#define CALLER FIELD(range.who.tid), FIELD(range.who.start_ns), FIELD(range.start), FIELD(range.length)
#define NAME offsetof(struct fact, thread.name)
#define THREAD                                                                                             \
	WHO, FIELD(thread.creator.tid), FIELD(thread.creator.start_ns), FIELD(thread.is_leader),           \
		FIELD(thread.is_io_worker), FIELD(thread.tls_base), FIELD(thread.stack_pointer),           \
		FIELD(thread.stack_start), FIELD(thread.stack_length), FIELD(thread.start_routine),        \
		FIELD(thread.state), FIELD(thread.cpu_ns)

static const struct recording_kind {
	const char *word;
	size_t name; /* offset of a FACT_NAME_SIZE array; 0: none */
	struct recording_field fields[16];
} recording_kinds[FACT_KIND_COUNT] = {
	[FACT_TICK] = {"tick", 0, {FIELD(tick.realtime_ns)}},
	[FACT_TARGET] = {"target", offsetof(struct fact, target_info.comm),
			 {FIELD(target_info.pid), FIELD(target_info.ns_pid), FIELD(target_info.parent_pid),
			  FIELD(target_info.start_ns), FIELD(target_info.followed)}},
	[FACT_TARGET_GONE] = {"gone", 0, {FIELD(gone.how), FIELD(gone.code), FIELD(gone.oom_kills)}},
	[FACT_MEMORY] = {"memory", 0,
			 {FIELD(memory.rss_anon), FIELD(memory.rss_file), FIELD(memory.rss_shmem),
			  FIELD(memory.swapped), FIELD(memory.stopped)}},
	[FACT_THREAD_BORN] = {"born", NAME, {THREAD}},
	[FACT_THREAD_SEEN] = {"seen", NAME, {THREAD}},
	[FACT_THREAD_EXITED] = {"exited", 0, {WHO}},
	[FACT_THREAD_RENAMED] = {"renamed", NAME, {WHO}},
	[FACT_THREAD_ASKED] = {"asked", 0, {WHO, FIELD(thread.has_run), FIELD(thread.is_unsure), FIELD(thread.state)}},
	[FACT_THREAD_SAMPLED] = {"sampled", 0, {WHO, FIELD(thread.state), FIELD(thread.cpu_ns)}},
	[FACT_RANGE_MADE] = {"made", 0, {CALLER, FIELD(range.protection), FIELD(range.flags)}},
	[FACT_RANGE_FREED] = {"freed", 0, {CALLER}},
	[FACT_RANGE_FREE_FAILED] = {"free_failed", 0, {CALLER}},
	[FACT_RANGE_MOVED] = {"moved", 0,
			      {CALLER, FIELD(range.old_start), FIELD(range.old_length), FIELD(range.flags)}},
	[FACT_RANGE_PROTECTED] = {"protected", 0, {CALLER, FIELD(range.protection), FIELD(range.flags)}},
	[FACT_BRK] = {"brk", 0, {CALLER}},
	[FACT_RANGE_SEEN] = {"mapping", 0,
			     {FIELD(range.start), FIELD(range.length), FIELD(range.protection), FIELD(range.flags)}},
	[FACT_SEED_BEGIN] = {"seed_begin", 0, {FIELD(seed.reason)}},
	[FACT_SEED_END] = {"seed_end", 0, {FIELD(seed.reason)}},
	[FACT_RESIDENT] = {"resident", 0,
			   {FIELD(resident.start), FIELD(resident.length), FIELD(resident.resident),
			    FIELD(resident.swapped), FIELD(resident.outside)}},
	[FACT_ARENA] = {"arena", 0, {FIELD(arena.heap), FIELD(arena.address), FIELD(arena.is_main)}},
	[FACT_THREAD_ARENA] = {"thread_arena", 0,
			       {FIELD(arena.who.tid), FIELD(arena.who.start_ns), FIELD(arena.address)}},
	[FACT_ARENA_KEPT] = {"arena_kept", 0,
			     {FIELD(arena.heap), FIELD(arena.address), FIELD(arena.is_main), FIELD(arena.resident),
			      FIELD(arena.kept)}},
	[FACT_RANGE_OWNER] = {"owner", 0, {CALLER}},
	[FACT_RANGE_HELD] = {"held", 0, {CALLER}},
	[FACT_LIVES_LOST] = {"lives_lost", 0, {{0}}},
	[FACT_LOSS] = {"loss", 0, {FIELD(loss.lost[0]), FIELD(loss.lost[1]), FIELD(loss.lost[2]), FIELD(loss.lost[3])}},
};

static inline int recording_write(FILE *file, const struct fact *fact)
{
	const struct recording_kind *kind = &recording_kinds[fact->kind];

	if (!kind->word)
		return 0;
	fprintf(file, "%" PRIu64 " %u %s", fact->time_ns, fact->target, kind->word);
	for (const struct recording_field *field = kind->fields; field->size; field++) {
		uint64_t value = 0;

		memcpy(&value, (const char *)fact + field->offset, field->size); /* little endian */
		fprintf(file, " %" PRIx64, value);
	}
	if (kind->name)
		fprintf(file, " %.15s", (const char *)fact + kind->name);
	return fputc('\n', file) < 0 ? -1 : 0;
}

/* 1: a fact; 0: a line of something else; -1: broken. */
static inline int recording_read(const char *line, struct fact *ret_fact)
{
	struct fact fact = {0};
	char word[32];
	int used = 0;

	if (sscanf(line, "%" SCNu64 " %u %31s%n", &fact.time_ns, &fact.target, word, &used) != 3)
		return 0;
	for (fact.kind = 1; fact.kind < FACT_KIND_COUNT; fact.kind++)
		if (recording_kinds[fact.kind].word && !strcmp(recording_kinds[fact.kind].word, word))
			break;
	if (fact.kind == FACT_KIND_COUNT)
		return -1;
	for (const struct recording_field *field = recording_kinds[fact.kind].fields; field->size; field++) {
		uint64_t value;
		int more = 0;

		line += used;
		if (sscanf(line, " %" SCNx64 "%n", &value, &more) != 1)
			return -1;
		used = more;
		memcpy((char *)&fact + field->offset, &value, field->size);
	}
	if (recording_kinds[fact.kind].name)
		sscanf(line + used, " %15[^\n]", (char *)&fact + recording_kinds[fact.kind].name);
	*ret_fact = fact;
	return 1;
}

#endif
