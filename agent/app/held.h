/* SPDX-License-Identifier: GPL-2.0-only */
/* Facts that wait, each in no more room than its kind needs. It must not know what they wait for. */
#ifndef POOLSCOPE_APP_HELD_H
#define POOLSCOPE_APP_HELD_H

#include "../fact.h"

struct held {
	uint8_t *bytes; /* owned */
	size_t size, room;
};

/* Takes a fact in, as a sink's emit: the context is the struct held. 0 or -ENOMEM. */
int held_emit(void *held, const struct fact *fact);
/* Tells them in order and forgets them. Returns the first other than 0 that the sink does. */
int held_tell(struct held *held, const struct fact_sink *sink);
void held_clear(struct held *held); /* frees */

#endif
