/* SPDX-License-Identifier: GPL-2.0-only */
/* The agent's own CPU time, memory and descriptors, from /proc/self.
 * It must not know how they are shown. */
#ifndef POOLSCOPE_EDGE_SELFSTAT_H
#define POOLSCOPE_EDGE_SELFSTAT_H

#include "../view/metrics.h"

/* What cannot be read is unknown (NAN, UNKNOWN_U64); never fails. */
void selfstat_read(struct self_stat *ret_stat);

#endif
