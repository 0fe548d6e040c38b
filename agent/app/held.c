/* SPDX-License-Identifier: GPL-2.0-only */
/* Facts that wait, each in no more room than its kind needs. It must not know what they wait for. */
#include "held.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAST(member) (offsetof(struct fact, member) + sizeof(((struct fact *)NULL)->member))

/* Of the kinds that come by the thousand. The fact as a whole is as large as the description of a target. */
static const size_t sizes[FACT_KIND_COUNT] = {
	[FACT_THREAD_SAMPLED] = PAST(thread),
	[FACT_RESIDENT] = PAST(resident),
	[FACT_RANGE_MADE] = PAST(range),
	[FACT_RANGE_FREED] = PAST(range),
	[FACT_RANGE_PROTECTED] = PAST(range),
	[FACT_BRK] = PAST(range),
	[FACT_THREAD_BORN] = PAST(thread),
	[FACT_THREAD_EXITED] = PAST(thread),
	[FACT_ACTIVITY] = PAST(activity),
	[FACT_LIVES_LOST] = offsetof(struct fact, tick),
	[FACT_ARENA] = PAST(arena),
	[FACT_THREAD_ARENA] = PAST(arena),
};

static size_t size_of(const struct fact *fact)
{
	return sizes[fact->kind] ? sizes[fact->kind] : sizeof(*fact);
}

int held_emit(void *context, const struct fact *fact)
{
	struct held *held = context;
	size_t size = size_of(fact);

	if (held->room - held->size < size) {
		size_t room = held->room ? held->room * 2 : 16 * sizeof(*fact);
		uint8_t *bytes = realloc(held->bytes, room);

		if (!bytes)
			return -ENOMEM;
		held->bytes = bytes;
		held->room = room;
	}
	memcpy(held->bytes + held->size, fact, size);
	held->size += size;
	return 0;
}

int held_tell(struct held *held, const struct fact_sink *sink)
{
	struct fact fact = {0};
	int error = 0;

	for (size_t at = 0; at < held->size && !error;) {
		enum fact_kind before = fact.kind;
		size_t size;

		memcpy(&fact, held->bytes + at, offsetof(struct fact, tick));
		size = size_of(&fact);
		if (fact.kind != before) /* what the last one left; those of one kind leave the same room */
			fact = (struct fact){0};
		memcpy(&fact, held->bytes + at, size);
		at += size;
		error = sink->emit(sink->context, &fact);
	}
	held->size = 0;
	return error;
}

void held_clear(struct held *held)
{
	free(held->bytes);
	*held = (struct held){0};
}
