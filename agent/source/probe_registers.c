/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the threads of one target stand: their registers, by one pass of the task iterator. It must not know what is
 * found by them. */
#include "probes.h"

#include "probe_state.h"
#include "probe_tasks.h"

#include <errno.h>

struct visit {
	int (*each)(void *context, const struct registers_record *record);
	void *context;
};

static int visit_record(void *context, const void *bytes)
{
	const struct visit *visit = context;
	const struct registers_record *record = bytes;

	return record->tid ? visit->each(visit->context, record) : 0;
}

int probes_registers(struct probes *probes, uint32_t target,
		     int (*each)(void *context, const struct registers_record *record), void *context)
{
	const struct probe_space *space = probe_spaces_of_target(probes->spaces, target);
	struct visit visit = {each, context};
	int r;

#if !defined(__x86_64__)
	return -EOPNOTSUPP;
#endif
	if (!probes->set.iterator)
		return -EOPNOTSUPP;
	if (!space)
		return -ESRCH;
	probes->set.object->bss->wanted_running = 0;
	probes->set.object->bss->wanted_registers = 1;
	probes->set.object->bss->wanted_tgid = space->tgid;
	r = probe_iterate(&probes->set, sizeof(struct registers_record), visit_record, &visit);
	probes->set.object->bss->wanted_registers = 0;
	return r;
}
