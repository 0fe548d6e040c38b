/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a snapshot comes from: host, version, and by which probes it was observed. It must not know targets. */
#ifndef POOLSCOPE_APP_ORIGIN_H
#define POOLSCOPE_APP_ORIGIN_H

#include "../model/snapshot.h"
#include "../source/probes.h"

void origin_stamp(const struct probes *probes, struct snapshot *snapshot);

#endif
