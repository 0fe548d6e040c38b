/* SPDX-License-Identifier: GPL-2.0-only */
/* The snapshot as JSON: one object and a newline (`dump --json`, a line of `replay --json`).
 * It must not know where the text goes or who asked. */
#include "json.h"

#include <errno.h>
#include <string.h>

#include "json_build.h"

#define SCHEMA 1
/* Six digits are more than any figure here means. */
#define DUMP_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(6))

static uint64_t sum_or_unknown(const uint64_t *values, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		if (values[i] == UNKNOWN_U64)
			return UNKNOWN_U64;
		sum += values[i];
	}
	return sum;
}

static json_t *build_unmatched(const struct snapshot_target *target)
{
	_cleanup_(json_decrefp) json_t *array = json_array();

	for (size_t i = 0; i < target->n_unmatched; i++) {
		struct builder object = builder_open();

		add(&object, "pool", text(target->unmatched[i].pool));
		add(&object, "limit", json_string(limit_kind_name(target->unmatched[i].kind)));
		add(&object, "source", json_string(limit_source_name(target->unmatched[i].source)));
		if (json_array_append_new(array, object.object))
			return NULL;
	}
	return TAKE_PTR(array);
}

static json_t *build_cpus(const struct fact_cgroup *cgroup)
{
	struct builder object = builder_open();

	add(&object, "allowed", count_or_null(cgroup->cpus_allowed));
	add(&object, "online", count_or_null(cgroup->cpus_online));
	return object.object;
}

static json_t *build_creator(const struct snapshot *snapshot, struct thread_id creator)
{
	if (!creator.tid)
		return json_null();
	/* The snapshot's two clocks turn boottime into a date. */
	bool is_known = creator.start_ns && creator.start_ns <= snapshot->time_ns;
	uint64_t age_ns = snapshot->time_ns - creator.start_ns;
	struct builder object = builder_open();

	add(&object, "tid", count(creator.tid));
	add(&object, "started", moment(is_known && age_ns < snapshot->realtime_ns ? snapshot->realtime_ns - age_ns : 0));
	return object.object;
}

static json_t *build_doing(const struct snapshot_target *target, const struct snapshot_thread *thread)
{
	char doing[TEXT_RAW_SIZE];

	return snapshot_doing(target, thread, doing, sizeof(doing)) ? text(doing) : json_null();
}

/* How the readings of a language runtime go; null: none is read. */
static json_t *build_readings(const struct fact_runtime *runtime)
{
	struct builder object = builder_open();

	if (!runtime->passes) {
		json_decref(object.object);
		return json_null();
	}
	add(&object, "passes", count(runtime->passes));
	add(&object, "failed_passes", count(runtime->failed_passes));
	add(&object, "failed_reads", count(runtime->failed_reads));
	add(&object, "unread_threads", count(runtime->unread));
	return object.object;
}

static json_t *build_thread(const struct snapshot *snapshot, const struct snapshot_target *target,
			    const struct snapshot_thread *thread)
{
	const char state[2] = {thread->state};
	struct builder object = builder_open();

	add(&object, "tid", count(thread->id.tid));
	add(&object, "name", text(thread->name));
	add(&object, "pool", thread->pool < target->n_pools ? text(target->pools[thread->pool].name) : json_null());
	add(&object, "state", text_or_null(state));
	add(&object, "start_routine", text_or_null(thread->start_routine));
	add(&object, "module", text_or_null(thread->module));
	add(&object, "created_by", build_creator(snapshot, thread->creator));
	add(&object, "busy", thread->activity == WORKER_UNKNOWN ? json_null()
							      : json_boolean(thread->activity == WORKER_BUSY));
	add(&object, "doing", build_doing(target, thread));
	add(&object, "started", moment(thread->started_realtime_ns));
	add(&object, "cpu_percent", real(thread->cpu_percent));
	add(&object, "page_faults_per_second", count(thread->faults_per_second));
	add(&object, "stack_used_bytes", count(thread->stack_used));
	add(&object, "memory", build_bytes(&thread->memory));
	return object.object;
}

static json_t *build_memory(const struct snapshot_target *target)
{
	const struct fact_memory *rss = &target->memory;
	struct builder reasons = builder_open(), memory = builder_open();

	for (enum unattributed reason = 0; reason < UNATTRIBUTED_COUNT; reason++)
		add(&reasons, unattributed_name(reason), count(target->unattributed[reason]));
	add(&memory, "rss_bytes", count(sum_or_unknown((uint64_t[]){rss->rss_anon, rss->rss_file, rss->rss_shmem}, 3)));
	add(&memory, "rss_anon_bytes", count(rss->rss_anon));
	add(&memory, "rss_file_bytes", count(rss->rss_file));
	add(&memory, "rss_shmem_bytes", count(rss->rss_shmem));
	add(&memory, "attributed_resident_bytes", count(target->attributed_bytes));
	add(&memory, "unattributed_bytes", count(target->unattributed_bytes));
	add(&memory, "unexplained_bytes", difference(target->unexplained_bytes));
	add(&memory, "age_seconds", real(target->age_seconds));
	add(&memory, "unattributed", reasons.object);
	add(&memory, "swapped_bytes", count(rss->swapped));
	add(&memory, "growth_bytes_per_minute", difference(target->growth_1m));
	add(&memory, "growth_bytes_per_minute_over_5m", difference(target->growth_5m));
	return memory.object;
}

static json_t *build_refused(const uint64_t *refused)
{
	struct builder object = builder_open();

	for (enum table_kind table = 0; table < TABLE_KIND_COUNT; table++)
		add(&object, table_kind_name(table), count(refused[table]));
	return object.object;
}

static json_t *build_cgroup(const struct fact_cgroup *cgroup)
{
	struct builder object = builder_open();

	add(&object, "path", text_or_null(cgroup->path));
	add(&object, "memory_max_bytes", count(cgroup->memory_max));
	add(&object, "memory_current_bytes", count(cgroup->memory_current));
	add(&object, "oom_kills", count(cgroup->oom_kills));
	add(&object, "cpu_quota_cores", real(cgroup->cpu_quota_cores));
	add(&object, "pids_max", count(cgroup->pids_max));
	return object.object;
}

static json_t *build_end(const struct snapshot_target *target)
{
	static const char *const hows[] = {
		[TARGET_END_UNKNOWN] = NULL, [TARGET_END_EXITED] = "exited",
		[TARGET_END_SIGNALLED] = "signalled", [TARGET_END_OOM_KILLED] = "oom_killed",
	};
	if (!target->ended)
		return json_null();
	const char *how = (size_t)target->end.how < ARRAY_SIZE(hows) ? hows[target->end.how] : NULL;
	struct builder object = builder_open();

	add(&object, "how", how ? json_string(how) : json_null());
	add(&object, "code", target->end.code < 0 ? json_null() : json_integer(target->end.code));
	add(&object, "time", moment(target->ended_realtime_ns));
	return object.object;
}

/* Everything of a target but its threads. */
static json_t *build_target(const struct snapshot_target *target)
{
	const struct fact_target *info = &target->info;
	struct builder events = builder_open(), object = builder_open();

	add(&events, "received", count(target->events_received));
	add(&events, "lost", count(target->events_lost));
	add(&events, "reseeds", count(target->reseeds));

	add(&object, "pid", count_or_null(info->pid));
	add(&object, "ns_pid", count_or_null(info->ns_pid));
	add(&object, "parent_pid", count_or_null(info->parent_pid));
	add(&object, "role", text_or_null(snapshot_role(target)));
	add(&object, "name", text(info->name));
	add(&object, "comm", text(info->comm));
	add(&object, "started", moment(target->started_realtime_ns));
	add(&object, "attached", moment(target->attached_realtime_ns));
	add(&object, "ended", build_end(target));
	add(&object, "stopped", json_boolean(target->stopped));
	add(&object, "memory_readable", json_boolean(!info->memory_hidden));
	add(&object, "memory_traced", json_boolean(!info->is_32_bit));
	add(&object, "unit", text_or_null(info->unit));
	add(&object, "container", text_or_null(info->container));
	add(&object, "runtime", text_or_null(info->runtime));
	add(&object, "runtime_readings", build_readings(&target->runtime));
	add(&object, "activity_age_seconds", real(target->activity_age_seconds));
	add(&object, "variant", text_or_null(target->variant));
	add(&object, "threads", count(target->threads));
	add(&object, "threads_peak", count(target->threads_peak));
	add(&object, "running_samples", count(target->running_samples));
	add(&object, "memory", build_memory(target));
	add(&object, "cgroup", build_cgroup(&target->cgroup));
	add(&object, "cpus", build_cpus(&target->cgroup));
	add(&object, "events", events.object);
	add(&object, "tables_full", build_refused(target->refused));
	add(&object, "limits", build_limits(target->limits, target->n_limits));
	add(&object, "limits_without_pool", build_unmatched(target));
	add(&object, "verdict", build_verdict(&target->verdict));
	add(&object, "pools", json_pools(target));
	return object.object;
}

/* All that this agent lost, of whatever target; what has no target, children that found no room, is nowhere else. */
static json_t *build_losses(const struct snapshot *snapshot)
{
	struct builder object = builder_open();

	for (enum loss_reason reason = 0; reason < LOSS_REASON_COUNT; reason++)
		add(&object, loss_reason_name(reason), count(snapshot->lost[reason]));
	return object.object;
}

static json_t *build_head(const struct snapshot *snapshot)
{
	struct builder object = builder_open();

	add(&object, "schema", json_integer(SCHEMA));
	add(&object, "time", moment(snapshot->realtime_ns));
	add(&object, "host", text(snapshot->host));
	add(&object, "events_lost", build_losses(snapshot));
	add(&object, "ended_dropped", count(snapshot->ended_dropped));
	add(&object, "version", text(snapshot->version));
	return object.object;
}

/* Why the last write to a stream failed. */
static int write_error(void)
{
	return errno ? -errno : -EIO;
}

/* `object` (owned; NULL: no memory) with its braces, or without them (JSON_EMBED). */
static int dump(json_t *object, size_t flags, FILE *out)
{
	_cleanup_(json_decrefp) json_t *owned = object;

	if (!owned)
		return -ENOMEM;
	return json_dumpf(owned, out, DUMP_FLAGS | flags) ? write_error() : 0;
}

static int render_target(const struct snapshot *snapshot, const struct snapshot_target *target, FILE *out)
{
	fputc('{', out);
	int r = dump(build_target(target), JSON_EMBED, out);

	if (r)
		return r;
	fputs(",\"thread_list\":[", out);
	for (size_t i = 0; i < target->n_threads_list; i++) {
		if (i)
			fputc(',', out);
		r = dump(build_thread(snapshot, target, &target->threads_list[i]), 0, out);
		if (r)
			return r;
	}
	fputs("]}", out);
	return 0;
}

int json_render(const struct snapshot *snapshot, FILE *out)
{
	errno = 0; /* any write may be the one that fails, and only the stream remembers that one has */
	fputc('{', out);
	int r = dump(build_head(snapshot), JSON_EMBED, out);

	if (r)
		return r;
	fputs(",\"targets\":[", out);
	for (size_t i = 0; i < snapshot->n_targets; i++) {
		if (i)
			fputc(',', out);
		r = render_target(snapshot, &snapshot->targets[i], out);
		if (r)
			return r;
	}
	fputs("]}\n", out);
	return ferror(out) ? write_error() : 0;
}
