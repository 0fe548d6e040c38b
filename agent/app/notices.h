/* SPDX-License-Identifier: GPL-2.0-only */
/* What the log tells once: limits that were asked for and watch nothing, processes and names that found no room, programs
 * whose memory is not traced. It must not know how a limit is judged: the snapshot says it. */
#ifndef POOLSCOPE_APP_NOTICES_H
#define POOLSCOPE_APP_NOTICES_H

#include "../model/snapshot.h"

struct notices;
int notices_new(struct notices **ret_notices); /* -ENOMEM */
void notices_free(struct notices *notices);

/* A limit whose glob no pool matches yet, or whose percentage has nothing to refer to: one line each. That the names of
 * processes are too many: one line. A 32-bit program: one for each name of a process. */
void notices_tell(struct notices *notices, const struct snapshot *snapshot);

#endif
