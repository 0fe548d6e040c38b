/* SPDX-License-Identifier: GPL-2.0-only */
/* The threads of a target by the task iterator, and its guests: other processes in the same memory (CLONE_VM without
 * CLONE_THREAD), which /proc shows under no target. It must not know what a thread is charged with. */
#include "../boottime.h"
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
	bool news;       /* some guests were not known before */
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
	if (TABLE_GROW(pass->records, pass->count, pass->room, 64))
		return -ENOMEM;
	pass->records[pass->count++] = *record;
	return 0;
}

/* A zombie leader is no living thread; nor is who is on its way out, whose end may have been told before anybody listened. */
static bool has_ended(const struct task_record *record)
{
	return record->exit_state || record->flags & PF_EXITING;
}

static int emit_seen(const struct pass *pass, const struct task_record *record, bool own_tls)
{
	struct fact fact;

	if (has_ended(record))
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

/* Of an address space that the target has left by exec, or about to be none any more. */
static bool is_past(const struct pass *pass, const struct task_record *guest)
{
	return guest->memory != pass->memory || has_ended(guest);
}

/* True when one was not known yet: it may have ended before its events were reported, so look once more. */
static bool watch_guests(struct probes *probes, const struct pass *pass)
{
	bool news = false;

	for (size_t i = 0; i < pass->count; i++)
		if (is_guest(pass, &pass->records[i]) && !is_past(pass, &pass->records[i]))
			news |= probe_watch_guest(probes, pass->space, &pass->records[i]);
	return news;
}

static bool has_guests(const struct pass *pass)
{
	for (size_t i = 0; i < pass->count; i++)
		if (is_guest(pass, &pass->records[i]) && !is_past(pass, &pass->records[i]))
			return true;
	return false;
}

static int emit_kept(struct pass *pass)
{
	int r = 0;

	pass->space->has_guests = has_guests(pass);
	for (size_t i = 0; i < pass->count && !r; i++) {
		const struct task_record *record = &pass->records[i];

		if (!is_guest(pass, record))
			r = emit_seen(pass, record, true);
		else if (!is_past(pass, record) && !record->vfork) /* a vfork child is no thread, but a process to be */
			r = emit_seen(pass, record, has_own_tls(pass, record));
	}
	return r;
}

/* Twice for a memory that was not known, or has changed; twice for guests that are new. */
#define ROUNDS 4

static int look(struct probes *probes, struct pass *pass)
{
	struct probe_tasks_request request = {.pid_namespace = probes->pid_namespace,
					      .kernel_tgid = pass->space->tgid};

	for (int round = 0; round < ROUNDS; round++) {
		int r;

		request.memory = pass->keeps ? pass->space->memory : 0;
		pass->time_ns = boottime();
		pass->count = 0;
		r = probe_tasks_read(&probes->set, &request, visit, pass);
		if (r < 0 || !pass->keeps)
			return r;
		if (pass->memory && pass->memory != request.memory)
			pass->space->memory = pass->memory; /* of a child, or after exec: now guests can be told */
		else if (watch_guests(probes, pass))
			pass->news = true;
		else
			break;
	}
	return 0;
}

int probes_guests(struct probes *probes, uint32_t target)
{
	struct probe_space *space = probe_spaces_of_target(probes->spaces, target);
	_cleanup_(pass_clear) struct pass pass = {.space = space, .keeps = true};
	int r;

	if (!space)
		return -ESRCH;
	if (space->guests_sought)
		return 0;
	r = look(probes, &pass);
	if (r < 0)
		return r;
	space->guests_sought = true;
	space->has_guests = has_guests(&pass);
	if (pass.news)
		space->complete_ns = boottime();
	return 0;
}

int probes_threads(struct probes *probes, uint32_t target, const struct fact_sink *sink)
{
	struct probe_space *space = probe_spaces_of_target(probes->spaces, target);
	_cleanup_(pass_clear) struct pass pass = {.sink = sink, .space = space};
	int r;

	if (!space)
		return -ESRCH;
	pass.keeps = space->has_guests; /* a host without any pays nothing */
	r = look(probes, &pass);
	return r < 0 || !pass.keeps ? r : emit_kept(&pass);
}
