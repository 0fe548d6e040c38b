/* SPDX-License-Identifier: GPL-2.0-only */
/* What every command that watches shares: config, selection, engine and loop, opened together, and the
 * rhythm of refreshes. It must not know how a snapshot is shown. */
#include "session.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "../boottime.h"
#include "../edge/http.h"
#include "../edge/log.h"
#include "../open_files.h"

/* How often newcomers are looked for; a look costs a read of /proc per unknown process. */
#define DISCOVERY_NS (2 * NSEC_PER_SEC)
/* Of an interval: so far are the shortest and the longest apart. */
#define REFRESH_SPREAD 0.25
/* What processes that come and go took is given back at most so often: that looks at all that is free. */
#define SPARE_NS (5 * NSEC_PER_SEC)

bool snapshot_is_over(const struct snapshot *snapshot)
{
	for (size_t t = 0; t < snapshot->n_targets; t++) {
		const struct snapshot_target *target = &snapshot->targets[t];

		for (size_t i = 0; i < target->n_limits; i++)
			if (target->limits[i].state == LIMIT_OVER)
				return true;
		for (size_t p = 0; p < target->n_pools; p++)
			for (size_t i = 0; i < target->pools[p].n_limits; i++)
				if (target->pools[p].limits[i].state == LIMIT_OVER)
					return true;
	}
	return false;
}

static void refresh_at(struct session *session, uint64_t time_ns)
{
	session->refresh_ns = time_ns;
	loop_timer_at(session->refresh, time_ns);
}

/* What nobody wants to wait a long interval for. */
static void refresh_soon(struct session *session)
{
	uint64_t soon = session->refreshed_ns + NSEC_PER_SEC, now = boottime();

	if (session->refresh && !session->is_refreshing && soon < session->refresh_ns)
		refresh_at(session, soon > now ? soon : now);
}

static void on_transition(void *context, const struct limit_transition *transition)
{
	struct session *session = context;

	session->was_over |= transition->limit.state == LIMIT_OVER;
	if (transition->limit.state == LIMIT_OVER)
		refresh_soon(session);
	log_limit_transition(transition);
}

static void on_dropped(void *context, uint64_t transitions)
{
	log_event(LOG_LEVEL_WARN, "limit_states_dropped", "lines", LOG_NUMBER(transitions), "why",
		  "too many changes at once: states and violations that are shown have them all", NULL);
}

static void on_target(void *context, const struct fact_target *target, const struct fact_target_gone *end)
{
	static const char *const ends[] = {
		[TARGET_END_UNKNOWN] = "unknown",
		[TARGET_END_EXITED] = "exited",
		[TARGET_END_SIGNALLED] = "signalled",
		[TARGET_END_OOM_KILLED] = "oom_killed",
	};
	struct session *session = context;

	if (end && !session->spare_ns)
		session->spare_ns = boottime() + SPARE_NS;
	if (end && !target->followed)
		refresh_soon(session);
	if (!session->notices)
		return;
	if (!end)
		log_event(LOG_LEVEL_INFO, "attached", "process", target->name, "pid", LOG_NUMBER(target->pid), NULL);
	else
		log_event(LOG_LEVEL_INFO, "ended", "process", target->name, "pid", LOG_NUMBER(target->pid), "how",
			  ends[end->how], "code", end->code < 0 ? NULL : LOG_NUMBER(end->code), NULL);
}

static void classify(void *context, struct fact_target *target)
{
	struct session *session = context;

	selection_classify(session->selection, target);
}

static int config_open(const struct options *options, struct config **ret_config)
{
	struct problems problems = {0};
	int error;

	if (!options->config)
		return config_new_builtin(ret_config);
	error = config_load(options->config, ret_config, &problems);
	if (error)
		problems_print(&problems, options->config, stderr);
	return error;
}

/* The sources take NULL for their own /proc: only there a PID is what pidfd_open(2) means by it. */
static const char *procfs_of(const struct options *options)
{
	return options->procfs && strcmp(options->procfs, "/proc") ? options->procfs : NULL;
}

static int engine_open(struct session *session, bool is_daemon)
{
	const struct options *options = session->options;
	struct engine_options engine_options = {
		.policy = session->config->policy,
		.procfs = procfs_of(options),
		.variant = options->variant,
		.ring_bytes = options->ring_bytes,
		.max_processes = options->max_processes,
		.cpu_budget = options->cpu_budget / 10000.0,
		.interval_ns = session->interval_ns,
		.follow_forks = options->follow_forks,
		.keep_ended = !is_daemon,
		.lists_no_threads = is_daemon,
		.on_transition = on_transition,
		.on_dropped = on_dropped,
		.classify = classify,
		.on_target = on_target,
		.gives_way = loop_end_is_asked,
		.context = session,
	};
	struct explain explain = {0};
	int error = engine_new(&engine_options, &session->engine, &explain);

	if (error) {
		if (!explain.what[0])
			snprintf(explain.what, sizeof(explain.what), "cannot start: %s", strerror(-error));
		explain_print(&explain, stderr);
		return error;
	}
	selection_set_procfs(session->selection, engine_procfs(session->engine));
	return 0;
}

int session_open(const struct options *options, bool is_daemon, struct session *session)
{
	int error;

	*session = (struct session){.options = options, .interval_ns = options->interval_ns};
	if (is_daemon)
		open_files_spare(HTTP_CONNECTIONS);
	error = config_open(options, &session->config);
	if (error)
		return error == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
	if (!options_have_target(options) && session->config->policy->n_entries < 2) {
		fprintf(stderr, "poolscope: %s: it has no targets, so nothing is selected to watch\n"
				"  Add an entry below `targets:`, or say -p PID, -n NAME, --unit U, --cgroup PATH or --container ID.\n",
			options->config);
		return EXIT_USAGE;
	}
	error = config_prepend_limits(session->config, options->limits, options->n_limits);
	if (!error)
		error = selection_new(options, session->config, &session->selection);
	if (!error)
		error = engine_open(session, is_daemon);
	if (!error)
		error = loop_new(&session->loop);
	if (!error && is_daemon)
		error = notices_new(&session->notices);
	return error ? EXIT_FAILED : EXIT_DONE;
}

void session_close(struct session *session)
{
	snapshot_free(session->snapshot);
	notices_free(session->notices);
	loop_free(session->loop);
	engine_free(session->engine);
	selection_free(session->selection);
	config_free(session->config);
}

int session_attach(struct session *session, bool must)
{
	struct explain explain = {0};
	int count = selection_attach(session->selection, session->engine, &explain);

	if (count < 0) {
		if (!explain.what[0])
			snprintf(explain.what, sizeof(explain.what), "cannot attach: %s", strerror(-count));
		explain_print(&explain, stderr);
		return count == -ENOMEM || count == -EPERM || count == -EACCES || count == -E2BIG ? EXIT_FAILED : EXIT_NO_TARGET;
	}
	session->attached += (uint64_t)count;
	if (count || !must || loop_end_is_asked())
		return EXIT_DONE;
	if (!explain.what[0]) {
		snprintf(explain.what, sizeof(explain.what), "no %s", selection_words(session->selection));
		snprintf(explain.remedy, sizeof(explain.remedy), "%s%s", selection_hint(session->selection),
			 geteuid() ? " Only root sees all processes." : "");
	}
	explain_print(&explain, stderr);
	return EXIT_NO_TARGET;
}

/* After whatever may have drained: the reader of the ring is woken only when it was empty. */
static void await_events(struct session *session)
{
	if (session->deadline)
		loop_timer_at(session->deadline, engine_due(session->engine));
}

static int on_deadline(void *context)
{
	struct session *session = context;

	engine_events(session->engine);
	if (engine_wants_refresh(session->engine))
		refresh_soon(session);
	await_events(session);
	return 0;
}

static int on_ring(void *context, int fd)
{
	return on_deadline(context);
}

/* Children that found the kernel's map full are taken in when there is room again. */
static void attach_missed(struct session *session)
{
	uint64_t now = boottime(), missed = session->snapshot ? session->snapshot->lost[LOSS_MAP] : 0;
	size_t unwatched = 0;
	int count;

	if (missed == UNKNOWN_U64 || missed == session->missed_known || now < session->missed_next_ns)
		return;
	session->missed_next_ns = now + DISCOVERY_NS;
	count = selection_attach_missed(session->selection, session->engine, &unwatched);
	if (count >= 0 && !unwatched)
		session->missed_known = missed;
	if (count > 0)
		session->attached += (uint64_t)count;
}

int session_refresh(struct session *session, bool whole)
{
	_cleanup_(snapshot_freep) struct snapshot *former = NULL;
	struct snapshot *snapshot = NULL;
	int error;

	session->is_refreshing = true;
	session->refreshed_ns = boottime();
	attach_missed(session);
	error = engine_refresh(session->engine, whole, &snapshot);
	session->is_refreshing = false;
	await_events(session);
	if (error)
		return error == -EINTR ? 0 : error; /* the loop ends the run */
	former = session->snapshot;
	session->snapshot = snapshot;
	if (session->notices)
		notices_tell(session->notices, snapshot);
	return session->on_snapshot ? session->on_snapshot(session->context) : 0;
}

/* A refresh is a sample of who runs as well, so the next one has time. */
static void put_sample_off(struct session *session)
{
	uint64_t due = boottime() + SAMPLE_NS;

	if (due > session->sample_ns)
		loop_timer_at(session->sample, due);
}

/* Each a little early or late: what the program does on a timer of whole seconds would else be met at one and the same
 * moment of it, or always be missed. */
static void arm_refresh(struct session *session)
{
	double parts = 1 + REFRESH_SPREAD * (arc4random() / (double)UINT32_MAX - 0.5);

	refresh_at(session, boottime() + (uint64_t)((double)session->interval_ns * parts));
}

/* A heap does not shrink by itself below a block that lives, and many children at once take much for a moment. */
static void give_spare_back(struct session *session)
{
	if (!session->spare_ns || boottime() < session->spare_ns)
		return;
	malloc_trim(0);
	session->spare_ns = 0;
}

static int on_refresh(void *context)
{
	int error;

	arm_refresh(context);
	error = session_refresh(context, false);
	give_spare_back(context);
	put_sample_off(context);
	return error;
}

bool session_is_over(const struct session *session)
{
	return session->attached && !engine_living(session->engine) && !selection_waits(session->selection);
}

void session_set_interval(struct session *session, uint64_t interval_ns)
{
	session->interval_ns = interval_ns;
	engine_set_interval(session->engine, interval_ns);
	arm_refresh(session);
}

static int on_discovery(void *context)
{
	struct session *session = context;
	struct explain explain = {0};
	int count = selection_attach(session->selection, session->engine, &explain);

	if (count == -ENOMEM)
		return count;
	if (count <= 0) {
		await_events(session);
		return 0;
	}
	session->attached += (uint64_t)count;
	/* From its first refresh on a target is judged by each event. */
	return on_refresh(session);
}

static int on_sample(void *context)
{
	struct session *session = context;

	session->sample_ns = engine_sample(session->engine);
	loop_timer_at(session->sample, session->sample_ns);
	return 0;
}

int session_run(struct session *session)
{
	int error = loop_add_fd(session->loop, engine_fd(session->engine), on_ring, session);

	if (!error)
		error = loop_add_timer(session->loop, on_refresh, session, &session->refresh);
	if (!error)
		error = loop_add_timer(session->loop, on_deadline, session, &session->deadline);
	if (!error)
		error = loop_add_timer(session->loop, on_sample, session, &session->sample);
	if (!error)
		error = loop_add_timer(session->loop, on_discovery, session, &session->discovery);
	if (!error)
		error = on_sample(session);
	if (error)
		return error;
	await_events(session);
	arm_refresh(session);
	if (selection_waits(session->selection))
		loop_timer_every(session->discovery, DISCOVERY_NS);
	/* Loading the probes and reading a target for the first time took much more than watching it does. */
	malloc_trim(0);
	return loop_run(session->loop);
}
