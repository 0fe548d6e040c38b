/* SPDX-License-Identifier: GPL-2.0-only */
/* The engine: runs the sources, hands every fact to the model, gives snapshots. It must not know
 * how anything looks, nor what the user typed. */
#include "../boottime.h"
#include "../open_files.h"
#include "engine_inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int engine_tick(struct engine *engine)
{
	struct fact tick = {.kind = FACT_TICK, .time_ns = boottime(), .tick.realtime_ns = realtime()};

	if (engine->probes)
		tick.tick.heard_ns = probes_heard_until(engine->probes, tick.time_ns);
	return model_apply(engine->model, &tick);
}

int engine_new(const struct engine_options *options, struct engine **ret_engine, struct explain *explain)
{
	struct probes_options probes_options = {.memory_variant = options->variant,
						.ring_bytes = options->ring_bytes,
						.max_processes = options->max_processes,
						.procfs = options->procfs};
	struct model_options model_options = {.policy = options->policy,
					      .keep_ended = options->keep_ended,
					      .lists_no_threads = options->lists_no_threads};
	_cleanup_(engine_freep) struct engine *engine = calloc(1, sizeof(*engine));
	int error;

	if (!engine)
		return -ENOMEM;
	engine->options = *options;
	engine->asking.share = options->cpu_budget;
	probes_options.growths_per_second = growers_per_second(&engine->asking);
	error = procfs_open(options->procfs, &engine->procfs, explain);
	if (error)
		return error;
	error = model_new(&model_options, &engine->model);
	if (error)
		return error;
	/* The model learns the time of day, so that what it judges before the first refresh has a date. */
	error = engine_tick(engine);
	if (error)
		return error;
	error = probes_open(&probes_options, &engine->probes, explain);
	if (error)
		return error;
	*ret_engine = TAKE_PTR(engine);
	return 0;
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	watched_list_clear(&engine->watched);
	held_clear(&engine->held);
	held_clear(&engine->later);
	probes_free(engine->probes);
	model_free(engine->model);
	procfs_free(engine->procfs);
	free(engine);
}

struct procfs *engine_procfs(struct engine *engine)
{
	return engine->procfs;
}

const struct probes *engine_probes(const struct engine *engine)
{
	return engine->probes;
}

int engine_fd(const struct engine *engine)
{
	return probes_fd(engine->probes);
}

void engine_set_interval(struct engine *engine, uint64_t interval_ns)
{
	engine->options.interval_ns = interval_ns;
}

bool engine_has(const struct engine *engine, uint32_t pid)
{
	return watched_list_living_of(&engine->watched, pid);
}

bool engine_follows(const struct engine *engine, uint32_t pid)
{
	const struct watched *watched = watched_list_living_of(&engine->watched, pid);

	return watched && watched->follow_forks;
}

void engine_note_unwatched(struct engine *engine, uint64_t count)
{
	probes_note_unwatched(engine->probes, count);
}

size_t engine_living(const struct engine *engine)
{
	return watched_list_living(&engine->watched);
}

/* A fact that the model refuses says something about the fact, not about the run: the next one may
 * be right. Only want of memory ends it. */
static int apply(void *context, const struct fact *fact)
{
	struct engine *engine = context;

	return model_apply(engine->model, fact) == -ENOMEM ? -ENOMEM : 0;
}

struct fact_sink engine_sink(struct engine *engine)
{
	return (struct fact_sink){.emit = apply, .context = engine};
}

/* A child is what its parent is until it calls exec. When it is looked at it may be doing that, or be gone. */
static bool takes_after(const struct engine *engine, uint32_t parent_pid, struct fact_target *info)
{
	const struct watched *parent = watched_list_living_of(&engine->watched, parent_pid);

	if (!parent)
		return false;
	info->policy = parent->info.policy;
	memcpy(info->name, parent->info.name, sizeof(info->name));
	return true;
}

static int apply_target(struct engine *engine, struct watched *watched, bool is_classified)
{
	struct fact fact = {.kind = FACT_TARGET, .target = watched->id, .time_ns = boottime()};
	struct probe_trial trials[GROUP_COUNT];
	size_t count = probes_in_use(engine->probes, trials, GROUP_COUNT);
	int error;

	if (!watched->info.name[0])
		snprintf(watched->info.name, sizeof(watched->info.name), "%s", watched->info.comm);
	watched->info.memory_hidden = glibc_is_hidden(watched->info.pid, engine->options.procfs);
	if (!is_classified && engine->options.classify)
		engine->options.classify(engine->options.context, &watched->info);
	fact.target_info = watched->info;
	error = apply(engine, &fact);
	for (size_t i = 0; i < count && !error; i++) {
		if (trials[i].group != GROUP_MEMORY)
			continue;
		fact.kind = FACT_VARIANT;
		memset(fact.variant, 0, sizeof(fact.variant));
		snprintf(fact.variant, sizeof(fact.variant), "%s", trials[i].variant);
		error = apply(engine, &fact);
	}
	return error;
}

static void tell(const struct engine *engine, const struct watched *watched, const struct fact_target_gone *end)
{
	if (engine->options.on_target)
		engine->options.on_target(engine->options.context, &watched->info, end);
}

struct asked_rules {
	const struct model *model;
	uint32_t target;
};

static uint32_t rule_of(const void *context, const struct thread_id *id)
{
	const struct asked_rules *asked = context;

	return model_rule_of(asked->model, asked->target, id);
}

/* What was there at attach may show in the target's own memory whose it is. */
static int search(struct engine *engine, struct watched *watched)
{
	const struct asked_rules asked = {engine->model, watched->id};
	const struct rule_teller rules = {rule_of, &asked};
	struct fact_sink sink = engine_sink(engine);
	_cleanup_(freep) struct unowned *unowned = NULL;
	size_t count = 0;
	int error = model_unowned(engine->model, watched->id, &unowned, &count);

	if (!error)
		error = watched_search(watched, unowned, count, &rules, &sink);
	return error || !watched->info.search_cut ? error : apply_target(engine, watched, false);
}

static struct fact unheard_end(uint32_t id)
{
	return (struct fact){.kind = FACT_TARGET_GONE, .target = id, .time_ns = boottime(),
			     .gone = {.how = TARGET_END_UNKNOWN, .code = -1}};
}

static int open_target(struct engine *engine, uint32_t id, const struct fact_target *info, bool follow_forks,
		       struct watched **ret_watched, struct explain *explain)
{
	_cleanup_(watched_freep) struct watched *watched = watched_new(id, info, engine->procfs, engine->probes,
								       &engine->asking, engine->options.procfs);
	int error;

	if (!watched)
		return -ENOMEM;
	if (!open_files_have_room())
		return -EMFILE;
	watched->follow_forks = follow_forks;
	watched->runtime_looks = info->runtime[0] ? 0 : WATCHED_RUNTIME_LOOKS;
	watched->runtime_share = engine->options.cpu_budget / (double)(engine->watched.count + 1);
	error = watched_open_image(watched, explain);
	if (error)
		return error;
	*ret_watched = TAKE_PTR(watched);
	return 0;
}

/* From here on the model knows it, whatever comes of it. */
static int watch(struct engine *engine, struct watched *opened, enum seed_reason reason, bool is_classified)
{
	_cleanup_(watched_freep) struct watched *watched = opened;
	struct fact_sink sink = engine_sink(engine);
	struct fact end;
	int error = apply_target(engine, watched, is_classified);

	if (error)
		return error;
	error = watched_seed(watched, reason, &sink);
	if (!error && reason == SEED_ATTACH)
		error = search(engine, watched);
	if (!error)
		error = watched_list_add(&engine->watched, watched);
	if (!error) {
		tell(engine, TAKE_PTR(watched), NULL);
		return 0;
	}
	end = unheard_end(watched->id);
	(void)apply(engine, &end);
	return error;
}

static int lacks_files(uint32_t pid, struct explain *explain)
{
	snprintf(explain->what, sizeof(explain->what), "cannot attach to PID %u", pid);
	snprintf(explain->why, sizeof(explain->why), OPEN_FILES_WHY);
	snprintf(explain->remedy, sizeof(explain->remedy), OPEN_FILES_REMEDY);
	return -EMFILE;
}

/* Of a child that is there already; 0: its parent is not watched. */
static uint32_t family_of(const struct engine *engine, uint32_t pid)
{
	const struct watched *parent = NULL;
	uint64_t start_ns;
	uint32_t parent_pid;

	if (!procfs_born(engine->procfs, pid, &parent_pid, &start_ns))
		parent = watched_list_living_of(&engine->watched, parent_pid);
	return parent ? parent->info.family : 0;
}

static int attach(struct engine *engine, uint32_t pid, bool follow_forks, bool is_child, struct explain *explain)
{
	struct fact_target info = {0};
	struct watched *watched = NULL;
	uint32_t id = 0, family;
	bool is_heir;
	int error;

	*explain = (struct explain){0};
	if (engine_has(engine, pid))
		return -EEXIST;
	follow_forks |= engine->options.follow_forks;
	error = procfs_check_target(engine->procfs, pid, explain);
	if (error)
		return error;
	family = family_of(engine, pid);
	error = probes_add_target(engine->probes, pid, follow_forks, family, &id, explain);
	if (error)
		return error;
	error = procfs_describe(engine->procfs, pid, &info);
	is_heir = is_child && !info.execed && takes_after(engine, info.parent_pid, &info);
	info.family = family ? family : id;
	if (!error)
		error = probes_check_guest(engine->probes, pid, info.parent_pid, explain);
	if (!error)
		error = open_target(engine, id, &info, follow_forks, &watched, explain);
	if (!error)
		error = watch(engine, watched, SEED_ATTACH, is_heir);
	if (error) {
		probes_remove_target(engine->probes, id);
		if (open_files_are_short(error))
			return lacks_files(pid, explain);
		if (explain->what[0] && error != -ESRCH) /* the source knows what is missing */
			return error;
		snprintf(explain->what, sizeof(explain->what), "cannot attach to PID %u", pid);
		snprintf(explain->why, sizeof(explain->why), "%s",
			 error == -ESRCH ? "it ended while poolscope attached" : strerror(-error));
		explain->remedy[0] = '\0';
		return error;
	}
	engine_events(engine);
	return 0;
}

int engine_attach(struct engine *engine, uint32_t pid, bool follow_forks, struct explain *explain)
{
	return attach(engine, pid, follow_forks, false, explain);
}

int engine_attach_child(struct engine *engine, uint32_t pid, struct explain *explain)
{
	return attach(engine, pid, true, true, explain);
}

/* A child that lived for a moment only: what the kernel said of it is all that there is, and it is counted, with its first thread. */
static int count_brief(struct engine *engine, const struct fact *fact)
{
	const struct fact_target *told = &fact->target_info;
	struct fact born = *fact, end = unheard_end(fact->target);
	struct fact first = {.kind = FACT_THREAD_SEEN, .target = fact->target, .time_ns = fact->time_ns,
			     .thread = {.id = {told->pid, told->start_ns}, .is_leader = true, .cpu_ns = UNKNOWN_U64, .faults = UNKNOWN_U64}};
	int error;

	memcpy(first.thread.name, told->comm, sizeof(first.thread.name));

	if (born.target_info.execed || !takes_after(engine, born.target_info.parent_pid, &born.target_info))
		snprintf(born.target_info.name, sizeof(born.target_info.name), "%s", born.target_info.comm);
	error = apply(engine, &born);
	if (!error)
		error = apply(engine, &first);
	return error ? error : apply(engine, &end);
}

static void past_image(struct fact_target *info, const struct fact *fact)
{
	info->is_past = true;
	info->exe[0] = info->runtime[0] = '\0';
	snprintf(info->comm, sizeof(info->comm), "%s", fact->target_info.comm);
	snprintf(info->name, sizeof(info->name), "%s", info->comm);
}

/* A followed child: the kernel has it in its filter already, its own events come after this one. */
static int adopt(struct engine *engine, const struct fact *fact)
{
	enum seed_reason reason = fact->target_info.execed ? SEED_EXEC : SEED_INHERITED;
	const struct fact_target *told = &fact->target_info;
	struct fact_target info = {0};
	struct watched *watched = NULL;
	struct explain ignored;
	int error = procfs_describe(engine->procfs, told->pid, &info);
	/* Its parent is who forked it: who is that in /proc now may have it from one that has ended. */
	bool is_heir = !told->execed && takes_after(engine, told->parent_pid, &info);

	if (!is_heir && probes_image_is_past(engine->probes, fact->target))
		past_image(&info, fact);
	info.followed = true;
	info.family = told->family;
	if (!error)
		error = open_target(engine, fact->target, &info, true, &watched, &ignored);
	if (open_files_are_short(error))
		probes_count_unwatched(engine->probes);
	else
		error = error ? count_brief(engine, fact) : watch(engine, watched, reason, is_heir);
	if (!watched || error)
		probes_remove_target(engine->probes, fact->target);
	return error == -ENOMEM ? error : 0;
}

/* An image that is over before it could be looked at: the kernel told its name, and what was before is no more. */
static int image_was_brief(struct engine *engine, struct watched *watched, const struct fact *fact)
{
	struct fact seed = {.kind = FACT_SEED_BEGIN, .target = watched->id, .time_ns = fact->time_ns, .seed.reason = SEED_EXEC};
	int error;

	watched->info.image_ns = fact->time_ns;
	past_image(&watched->info, fact);
	error = apply_target(engine, watched, false);
	if (!error)
		error = apply(engine, &seed);
	seed.kind = FACT_SEED_END;
	return error ? error : apply(engine, &seed);
}

static int image_changed(struct engine *engine, struct watched *watched, const struct fact *fact)
{
	struct fact_sink sink = engine_sink(engine);
	struct fact_target info = {0};
	struct explain ignored;
	int error = procfs_describe(engine->procfs, watched->info.pid, &info);

	if (error || probes_image_is_past(engine->probes, watched->id))
		return image_was_brief(engine, watched, fact);
	info.followed = watched->info.followed;
	info.family = fact->target_info.family;
	info.image_ns = fact->time_ns;
	snprintf(info.name, sizeof(info.name), "%s", info.comm);
	watched->info = info;
	error = apply_target(engine, watched, false);
	if (error)
		return error;
	watched->runtime_looks = WATCHED_RUNTIME_LOOKS;
	(void)watched_open_image(watched, &ignored); /* a set-uid program: what cannot be read is not known */
	error = watched_seed(watched, SEED_EXEC, &sink);
	return error == -ENOMEM ? error : 0;
}

int engine_heed_lost_exec(struct engine *engine, struct watched *watched)
{
	struct fact_sink sink = {.emit = engine_route, .context = engine};
	struct fact fact = {.kind = FACT_TARGET, .target = watched->id, .target_info = watched->info};
	int r = probes_take_lost_exec(engine->probes, watched->id, &sink);

	if (r == 1 && !watched->ended) {
		fact.time_ns = boottime();
		(void)image_changed(engine, watched, &fact);
	}
	return r;
}

static int ended(struct engine *engine, struct watched *watched, const struct fact *fact)
{
	struct fact end = *fact;

	watched->ended = true;
	if (end.gone.how == TARGET_END_OOM_KILLED)
		end.gone.oom_kills = procfs_oom_kills(engine->procfs, watched->id);
	tell(engine, watched, &end.gone);
	return apply(engine, &end);
}

int engine_route(void *context, const struct fact *fact)
{
	struct engine *engine = context;
	struct fact_sink sink = engine_sink(engine);
	struct watched *watched;
	int error;

	if (!fact->target)
		return apply(engine, fact);
	watched = watched_list_find(&engine->watched, fact->target);
	if (!watched)
		return fact->kind == FACT_TARGET ? adopt(engine, fact) : 0;
	if (watched->settled)
		return held_emit(&engine->later, fact);
	switch (fact->kind) {
	case FACT_TARGET:
		return image_changed(engine, watched, fact);
	case FACT_THREAD_BORN:
		error = watched_birth(watched, fact, &sink);
		engine->grew |= watched->grew;
		if (model_limits_pools_threads(engine->model, watched->id))
			watched_expect_worker(watched);
		return error;
	case FACT_TARGET_GONE:
		return ended(engine, watched, fact);
	default:
		error = apply(engine, fact);
		watched->grew |= watched_note(watched, fact, &sink);
		engine->grew |= watched->grew;
		return error;
	}
}

uint64_t engine_sample(struct engine *engine)
{
	struct fact_sink sink = engine_sink(engine);

	return sampler_run(engine->probes, &sink);
}

void engine_end_unheard(struct engine *engine, struct watched *watched)
{
	struct fact end = unheard_end(watched->id);

	probes_remove_target(engine->probes, watched->id);
	ended(engine, watched, &end);
}
