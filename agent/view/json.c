/* SPDX-License-Identifier: GPL-2.0-only */
/* The snapshot as JSON: one object and a newline (`dump --json`, a line of `replay --json`).
 * It must not know where the text goes or who asked. */
#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "utf8.h"

#define SCHEMA 1
/* The longest string of a snapshot: a path or a sentence. */
#define TEXT_RAW_SIZE 256
/* Six digits are more than any figure here means. */
#define DUMP_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(6))

/* The json_ constructors below return NULL only without memory; json_object_set_new() and
 * json_array_append_new() take NULL and fail, and the object that fails is given up whole. */
struct builder {
	json_t *object; /* NULL: memory has run out */
};

static struct builder builder_open(void)
{
	return (struct builder){json_object()};
}

static void add(struct builder *builder, const char *key, json_t *value)
{
	if (!builder->object) {
		json_decref(value);
		return;
	}
	if (json_object_set_new(builder->object, key, value)) {
		json_decref(builder->object);
		builder->object = NULL;
	}
}

static json_t *text(const char *raw)
{
	char clean[UTF8_TEXT_SIZE(TEXT_RAW_SIZE)];

	utf8_text(raw, UTF8_KEEP_CONTROLS, clean, sizeof(clean));
	return json_string(clean);
}

static json_t *text_or_null(const char *raw)
{
	return *raw ? text(raw) : json_null();
}

static json_t *count(uint64_t value)
{
	if (value == UNKNOWN_U64)
		return json_null();
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

/* PIDs: 0 is not known. */
static json_t *count_or_null(uint64_t value)
{
	return value ? count(value) : json_null();
}

static json_t *difference(int64_t value)
{
	return value == UNKNOWN_I64 ? json_null() : json_integer(value);
}

static json_t *real(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

/* CLOCK_REALTIME to RFC 3339, UTC, milliseconds; 0 is not known. */
static json_t *moment(uint64_t realtime_ns)
{
	time_t seconds = (time_t)(realtime_ns / NSEC_PER_SEC);
	char date[32], whole[48];
	struct tm utc;

	if (!realtime_ns || !gmtime_r(&seconds, &utc) || !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc))
		return json_null();
	snprintf(whole, sizeof(whole), "%s.%03lluZ", date, realtime_ns % NSEC_PER_SEC / NSEC_PER_MSEC);
	return json_string(whole);
}

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

static json_t *build_region(uint64_t resident, uint64_t mapped)
{
	struct builder region = builder_open();

	add(&region, "resident_bytes", count(resident));
	add(&region, "mapped_bytes", count(mapped));
	return region.object;
}

static json_t *build_bytes(const struct snapshot_bytes *bytes)
{
	struct builder memory = builder_open();

	add(&memory, "resident_bytes", count(bytes->resident_bytes));
	add(&memory, "mapped_bytes", count(bytes->mapped_bytes));
	add(&memory, "orphaned_bytes", count(bytes->orphaned_bytes));
	add(&memory, "grown_bytes", difference(bytes->grown_bytes));
	add(&memory, "kept_bytes", count(bytes->kept_bytes));
	add(&memory, "shared", json_boolean(bytes->shared));
	for (enum region region = 0; region < REGION_COUNT; region++)
		add(&memory, region_name(region), build_region(bytes->resident[region], bytes->mapped[region]));
	return memory.object;
}

static json_t *build_limit(const struct snapshot_limit *limit)
{
	struct builder object = builder_open();

	add(&object, "limit", json_string(limit_kind_name(limit->kind)));
	add(&object, "value", count(limit->value));
	add(&object, "max", count(limit->max));
	add(&object, "state",
	    snapshot_limit_is_judged(limit) ? json_string(limit_state_name(limit->state)) : json_null());
	add(&object, "since", moment(limit->since_realtime_ns));
	add(&object, "source", json_string(limit_source_name(limit->source)));
	add(&object, "violations", count(limit->violations));
	return object.object;
}

static json_t *build_limits(const struct snapshot_limit *limits, size_t n_limits)
{
	_cleanup_(json_decrefp) json_t *array = json_array();

	for (size_t i = 0; i < n_limits; i++) {
		if (json_array_append_new(array, build_limit(&limits[i])))
			return NULL;
	}
	return TAKE_PTR(array);
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

static json_t *build_verdict(const struct snapshot_verdict *verdict)
{
	if (verdict->state == VERDICT_NONE)
		return json_null();
	struct builder object = builder_open();

	add(&object, "state", json_string(verdict_state_name(verdict->state)));
	add(&object, "confidence", real(verdict->confidence));
	add(&object, "projected_resident_bytes", count(verdict->projected_resident_bytes));
	add(&object, "why", text(verdict->why));
	return object.object;
}

/* null: it has no teams, or whose they are is not known. */
static json_t *build_teams(const struct snapshot_pool *pool)
{
	if (pool->teams == UNKNOWN_U64)
		return json_null();
	struct builder object = builder_open();

	add(&object, "count", count(pool->teams));
	add(&object, "threads", count(pool->team_threads));
	add(&object, "bound", count(pool->team_bound));
	return object.object;
}

/* null: its size is not what its runtime makes of the number of CPUs, or the quota is not less. */
static json_t *build_fit(const struct snapshot_fit *fit)
{
	if (!fit->size)
		return json_null();
	struct builder object = builder_open();

	add(&object, "size", count(fit->size));
	add(&object, "unit", text(fit->unit));
	add(&object, "formula", text(fit->formula));
	add(&object, "fits", count(fit->fits));
	add(&object, "setting", text(fit->setting));
	return object.object;
}

/* null: it manages no processes. */
static json_t *build_processes(const struct snapshot_pool *pool)
{
	if (!pool->has_processes)
		return json_null();
	struct builder object = builder_open();

	add(&object, "count", count(pool->processes));
	add(&object, "max", count(pool->processes_max));
	add(&object, "pending_tasks", count(pool->processes_pending));
	return object.object;
}

static json_t *build_cpus(const struct fact_cgroup *cgroup)
{
	struct builder object = builder_open();

	add(&object, "allowed", count_or_null(cgroup->cpus_allowed));
	add(&object, "online", count_or_null(cgroup->cpus_online));
	return object.object;
}

/* null: nothing is advised. */
static json_t *build_right_size(const struct snapshot_right_size *size)
{
	if (!size->workers)
		return json_null();
	struct builder object = builder_open();

	add(&object, "workers", count(size->workers));
	add(&object, "frees_bytes", count(size->frees_bytes));
	add(&object, "observed_seconds", count(size->observed_seconds));
	add(&object, "looks", count(size->looks));
	add(&object, "busy_peak", count(size->busy_peak));
	add(&object, "busy_or_queued_peak", count(size->demand_peak));
	return object.object;
}

/* null: no runtime tells functions. */
static json_t *build_blame(const struct snapshot_pool *pool)
{
	if (pool->blame_unseen == UNKNOWN_U64)
		return json_null();
	_cleanup_(json_decrefp) json_t *array = json_array();

	for (size_t i = 0; i < pool->n_blame; i++) {
		const struct snapshot_blame *blame = &pool->blame[i];
		struct builder object = builder_open();

		add(&object, "function", text(blame->function));
		add(&object, "file", text_or_null(blame->file));
		add(&object, "line", count_or_null(blame->line));
		add(&object, "bytes", count(blame->bytes));
		if (json_array_append_new(array, object.object))
			return NULL;
	}
	return TAKE_PTR(array);
}

static json_t *build_pool(const struct snapshot_target *target, const struct snapshot_pool *pool)
{
	const bool has_parent = pool->parent >= 0 && (size_t)pool->parent < target->n_pools;
	struct builder object = builder_open();

	add(&object, "name", text(pool->name));
	add(&object, "kind", text_or_null(pool->kind));
	add(&object, "runtime_threads", json_boolean(pool->is_runtimes_own));
	add(&object, "parent", has_parent ? text(target->pools[pool->parent].name) : json_null());
	add(&object, "teams", build_teams(pool));
	add(&object, "threads", count(pool->threads));
	add(&object, "threads_peak", count(pool->threads_peak));
	add(&object, "threads_started", count(pool->threads_started));
	add(&object, "threads_exited", count(pool->threads_exited));
	add(&object, "capacity", count(pool->capacity));
	add(&object, "parallelism", count(pool->parallelism));
	add(&object, "processes", build_processes(pool));
	add(&object, "cpu_fit", build_fit(&pool->fit));
	add(&object, "running", count(pool->running));
	add(&object, "running_mean", real(pool->running_mean));
	add(&object, "running_peak", count(pool->running_peak));
	add(&object, "page_faults", count(pool->faults_total));
	add(&object, "page_faults_per_second", count(pool->faults_per_second));
	add(&object, "busy", count(pool->busy));
	add(&object, "busy_peak", count(pool->busy_peak));
	add(&object, "queued", count(pool->queued));
	add(&object, "right_size", build_right_size(&pool->right_size));
	add(&object, "memory", build_bytes(&pool->memory));
	add(&object, "thread_resident_bytes_mean", count(pool->thread_resident_mean));
	add(&object, "thread_resident_bytes_max", count(pool->thread_resident_max));
	add(&object, "growth_bytes_per_minute", difference(pool->growth_per_minute));
	add(&object, "blame", build_blame(pool));
	add(&object, "blame_other_bytes", count(pool->blame_other));
	add(&object, "blame_unseen_bytes", count(pool->blame_unseen));
	add(&object, "limits", build_limits(pool->limits, pool->n_limits));
	add(&object, "verdict", build_verdict(&pool->verdict));
	return object.object;
}

static json_t *build_pools(const struct snapshot_target *target)
{
	_cleanup_(json_decrefp) json_t *array = json_array();

	for (size_t i = 0; i < target->n_pools; i++) {
		if (json_array_append_new(array, build_pool(target, &target->pools[i])))
			return NULL;
	}
	return TAKE_PTR(array);
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
	add(&object, "unit", text_or_null(info->unit));
	add(&object, "container", text_or_null(info->container));
	add(&object, "runtime", text_or_null(info->runtime));
	add(&object, "runtime_readings", build_readings(&target->runtime));
	add(&object, "variant", text_or_null(target->variant));
	add(&object, "threads", count(target->threads));
	add(&object, "threads_peak", count(target->threads_peak));
	add(&object, "running_samples", count(target->running_samples));
	add(&object, "memory", build_memory(target));
	add(&object, "cgroup", build_cgroup(&target->cgroup));
	add(&object, "cpus", build_cpus(&target->cgroup));
	add(&object, "events", events.object);
	add(&object, "limits", build_limits(target->limits, target->n_limits));
	add(&object, "limits_without_pool", build_unmatched(target));
	add(&object, "verdict", build_verdict(&target->verdict));
	add(&object, "pools", build_pools(target));
	return object.object;
}

static json_t *build_head(const struct snapshot *snapshot)
{
	struct builder object = builder_open();

	add(&object, "schema", json_integer(SCHEMA));
	add(&object, "time", moment(snapshot->realtime_ns));
	add(&object, "host", text(snapshot->host));
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
