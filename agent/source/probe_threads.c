/* SPDX-License-Identifier: GPL-2.0-only */
/* The threads of a target by the task iterator, and its guests: other processes in the same memory (CLONE_VM without
 * CLONE_THREAD), which /proc shows under no target. It must not know what a thread is charged with. */
#include "probes.h"

#include "probe_state.h"
#include "probe_tasks.h"

#include <errno.h>
#include <string.h>

struct pass {
	const struct fact_sink *sink;
	struct probe_space *space;
	uint64_t time_ns;
	uint64_t memory; /* of the target's own threads, as this pass finds it */
	bool keeps;      /* all records until the end: who is a guest shows only then */
	struct task_record *records;
	size_t count, room;
};

static void pass_clear(struct pass *pass)
{
	free(pass->records);
}

static bool is_guest(const struct pass *pass, const struct task_record *record)
{
	return record->kernel_tgid != pass->space->tgid;
}

static int keep(struct pass *pass, const struct task_record *record)
{
	if (pass->count == pass->room) {
		size_t room = pass->room ? pass->room * 2 : 64;
		struct task_record *records = reallocarray(pass->records, room, sizeof(*records));

		if (!records)
			return -ENOMEM;
		pass->records = records;
		pass->room = room;
	}
	pass->records[pass->count++] = *record;
	return 0;
}

static int emit_seen(const struct pass *pass, const struct task_record *record, bool own_tls)
{
	struct fact fact;

	/* A zombie leader is no living thread. */
	if (record->exit_state)
		return 0;
	probe_tasks_fact(record, pass->space->target, pass->time_ns, &fact);
	if (is_guest(pass, record))
		fact.thread.is_leader = false;
	if (!own_tls)
		fact.thread.tls_base = 0;
	return pass->sink->emit(pass->sink->context, &fact);
}

static int visit(void *context, const struct task_record *record)
{
	struct pass *pass = context;

	if (!is_guest(pass, record) && record->memory)
		pass->memory = record->memory;
	return pass->keeps ? keep(pass, record) : emit_seen(pass, record, true);
}

/* Without CLONE_SETTLS a guest carries its creator's thread pointer, and what lies there is the creator's. */
static bool has_own_tls(const struct pass *pass, const struct task_record *guest)
{
	for (size_t i = 0; i < pass->count; i++)
		if (!is_guest(pass, &pass->records[i]) && pass->records[i].tls_base == guest->tls_base)
			return false;
	return true;
}

static int emit_kept(struct probes *probes, struct pass *pass)
{
	int r = 0;

	pass->space->guests_sought = true;
	pass->space->has_guests = false;
	for (size_t i = 0; i < pass->count && !r; i++) {
		const struct task_record *record = &pass->records[i];

		if (!is_guest(pass, record)) {
			r = emit_seen(pass, record, true);
			continue;
		}
		/* Of an address space that the target has left by exec. */
		if (record->memory != pass->memory || record->exit_state)
			continue;
		pass->space->has_guests = true;
		probe_watch_guest(probes, pass->space, record);
		if (!record->vfork)
			r = emit_seen(pass, record, has_own_tls(pass, record));
	}
	return r;
}

int probes_threads(struct probes *probes, uint32_t target, const struct fact_sink *sink)
{
	struct probe_space *space = probe_spaces_of_target(probes->spaces, target);
	_cleanup_(pass_clear) struct pass pass = {.sink = sink, .space = space, .time_ns = probe_boottime()};
	struct probe_tasks_request request = {.pid_namespace = probes->pid_namespace};
	int r;

	if (!space)
		return -ESRCH;
	request.kernel_tgid = space->tgid;
	/* Guests are looked for once; later ones are told by their births. A host without any pays nothing. */
	pass.keeps = !space->guests_sought || space->has_guests;
	for (int round = 0; round < 2; round++) {
		request.memory = pass.keeps ? space->memory : 0;
		pass.count = 0;
		r = probe_tasks_read(&probes->set, &request, visit, &pass);
		if (r < 0 || !pass.keeps)
			return r;
		if (!pass.memory || pass.memory == request.memory)
			break;
		space->memory = pass.memory; /* of a child, or after exec: now guests can be told */
	}
	return emit_kept(probes, &pass);
}
