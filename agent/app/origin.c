/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a snapshot comes from: host, version, and by which probes it was observed. It must not know targets. */
#include "origin.h"
#include "version.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void origin_stamp(const struct probes *probes, struct snapshot *snapshot)
{
	struct probe_trial trials[ARRAY_SIZE(snapshot->attached)];
	size_t count = probes_in_use(probes, trials, ARRAY_SIZE(trials));

	if (gethostname(snapshot->host, sizeof(snapshot->host) - 1))
		strcpy(snapshot->host, "localhost");
	snprintf(snapshot->version, sizeof(snapshot->version), "%s", POOLSCOPE_VERSION);
	for (size_t i = 0; i < count; i++) {
		snprintf(snapshot->attached[i].group, sizeof(snapshot->attached[i].group), "%s",
			 trials[i].group_name);
		snprintf(snapshot->attached[i].variant, sizeof(snapshot->attached[i].variant), "%s",
			 trials[i].variant);
	}
	snapshot->n_attached = count;
}
