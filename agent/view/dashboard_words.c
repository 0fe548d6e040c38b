/* SPDX-License-Identifier: GPL-2.0-only */
/* What a person must know now, as sentences: limits over or near, how the target ended, losses, the rate.
 * Shared by the dashboard and the readable text; they must not know the screen. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dashboard_words.h"
#include "escape.h"
#include "format.h"
#include "pool_words.h"
#include "right_size.h"

#define NAME_SIZE 80
#define END_SIZE 96

struct collector {
	const struct snapshot *snapshot;
	const struct snapshot_target *target;
	const struct words_options *options;
	struct word *words;
	size_t count, max;
};

__attribute__((format(printf, 3, 4))) static void say(struct collector *all, enum attribute attribute,
						       const char *format, ...)
{
	va_list arguments;

	if (all->count == all->max)
		return;
	all->words[all->count].attribute = attribute;
	va_start(arguments, format);
	vsnprintf(all->words[all->count].text, sizeof(all->words->text), format, arguments);
	va_end(arguments);
	all->count++;
}

static double seconds_since(const struct collector *all, uint64_t realtime_ns)
{
	uint64_t now = all->target->ended ? all->target->ended_realtime_ns : all->snapshot->realtime_ns;

	return realtime_ns && now >= realtime_ns ? floor((double)(now - realtime_ns) / 1e9) : NAN;
}

static const char *signal_word(int code, char buffer[FORMAT_SIZE])
{
	const char *name = sigabbrev_np(code);

	snprintf(buffer, FORMAT_SIZE, name ? "signal %d (SIG%s)" : "signal %d", code, name ? name : "");
	return buffer;
}

const struct snapshot_target *target_successor(const struct snapshot *snapshot, const struct snapshot_target *target)
{
	/* A forked child was not asked for by name: the next one is another child, not its return. */
	if (!target->ended || !target->ended_realtime_ns || target->info.followed)
		return NULL;
	for (size_t i = 0; i < snapshot->n_targets; i++) {
		const struct snapshot_target *other = &snapshot->targets[i];

		if (other->id > target->id && !strcmp(other->info.name, target->info.name) &&
		    other->attached_realtime_ns >= target->ended_realtime_ns)
			return other;
	}
	return NULL;
}

static const char *end_words(const struct snapshot_target *target, char how[END_SIZE])
{
	char code[FORMAT_SIZE];

	switch (target->end.how) {
	case TARGET_END_EXITED:
		if (target->end.code < 0)
			snprintf(how, END_SIZE, "exited");
		else
			snprintf(how, END_SIZE, "exited with code %d", target->end.code);
		break;
	case TARGET_END_SIGNALLED:
		snprintf(how, END_SIZE, "killed by %s", signal_word(target->end.code, code));
		break;
	case TARGET_END_OOM_KILLED:
		snprintf(how, END_SIZE, "OOM-killed by the kernel");
		break;
	default:
		snprintf(how, END_SIZE, "gone, nobody could say how");
		break;
	}
	return how;
}

static void say_end(struct collector *all)
{
	const struct snapshot_target *target = all->target, *back = target_successor(all->snapshot, target);
	char next[64] = "; this is the last frame";

	if (!target->ended)
		return;
	if (all->options->is_summary)
		next[0] = '\0';
	else if (back)
		snprintf(next, sizeof(next), "; it came back as PID %u", back->info.pid);
	else if (all->options->waits_for && all->options->waits_for[0])
		snprintf(next, sizeof(next), "; waiting for its return");
	say(all, ATTR_BANNER, "ENDED %s: %s%s",
	    format_clock(FORMAT_BUFFER, target->ended_realtime_ns, all->snapshot->realtime_ns),
	    end_words(target, (char[END_SIZE]){ 0 }), next);
}

/* Who looks at the one that came back must not miss that the former one ended. */
static void say_return(struct collector *all)
{
	const struct snapshot_target *target = all->target;

	for (const struct snapshot_target *former = target; former-- > all->snapshot->targets;) {
		if (target->ended || target_successor(all->snapshot, former) != target)
			continue;
		say(all, ATTR_BOLD, "BACK since %s: PID %u ended %s, %s",
		    format_clock(FORMAT_BUFFER, target->attached_realtime_ns, all->snapshot->realtime_ns),
		    former->info.pid, format_clock(FORMAT_BUFFER, former->ended_realtime_ns, all->snapshot->realtime_ns),
		    end_words(former, (char[END_SIZE]){ 0 }));
		return;
	}
}

static const struct {
	const char *before, *after; /* "41 threads > 40" */
	bool is_bytes;
} limit_phrases[] = {
	[LIMIT_THREADS] = { "", " threads", false },
	[LIMIT_RESIDENT_BYTES] = { "RES ", "", true },
	[LIMIT_RESIDENT_BYTES_PER_THREAD] = { "largest thread ", "", true },
	[LIMIT_THREADS_STARTED_PER_MINUTE] = { "", " threads started a minute", false },
};
_Static_assert(ARRAY_SIZE(limit_phrases) == LIMIT_KIND_COUNT, "a phrase for each kind of limit");

static const char *limit_figure(const struct snapshot_limit *limit, uint64_t value, char buffer[FORMAT_SIZE])
{
	return limit_phrases[limit->kind].is_bytes ? format_bytes(buffer, value) : format_count(buffer, value);
}

/* Of what a limit in percent is a share; UNKNOWN_U64 when that cannot be told. */
static uint64_t natural_bound(const struct snapshot_target *target, const struct snapshot_pool *pool,
			      const struct snapshot_limit *limit, const char **ret_name)
{
	bool in_cgroup = target->cgroup.memory_max != UNKNOWN_U64;

	if (limit_phrases[limit->kind].is_bytes) {
		*ret_name = in_cgroup ? "memory.max" : "the host's memory";
		return in_cgroup ? target->cgroup.memory_max : target->cgroup.host_memory_total;
	}
	*ret_name = pool ? "its capacity" : "pids.max";
	return pool ? pool->capacity : target->cgroup.pids_max;
}

static void say_limits(struct collector *all, const struct snapshot_pool *pool, const struct snapshot_limit *limits,
		       size_t n_limits, enum limit_state state)
{
	for (size_t i = 0; i < n_limits; i++) {
		const struct snapshot_limit *limit = &limits[i];
		char name[NAME_SIZE] = "process", percent[64] = "", since[96] = "";
		const char *bound_name = "";
		uint64_t bound = natural_bound(all->target, pool, limit, &bound_name);

		if (limit->state != state)
			continue;
		if (pool)
			escape_text(pool->name, sizeof(pool->name), all->options->utf8, name, sizeof(name));
		if (limit->is_percent && bound != UNKNOWN_U64 && bound && limit->max != UNKNOWN_U64)
			snprintf(percent, sizeof(percent), " (%.0f %% of %s)",
				 (double)limit->max * 100 / (double)bound, bound_name);
		if (limit->since_realtime_ns)
			snprintf(since, sizeof(since), " since %s (%s)",
				 format_clock(FORMAT_BUFFER, limit->since_realtime_ns, all->snapshot->realtime_ns),
				 format_duration(FORMAT_BUFFER, seconds_since(all, limit->since_realtime_ns)));
		say(all, state == LIMIT_OVER ? ATTR_OVER : ATTR_WARN, "%s %s: %s%s%s %s %s%s%s",
		    state == LIMIT_OVER ? "OVER" : "NEAR", name, limit_phrases[limit->kind].before,
		    limit_figure(limit, limit->value, FORMAT_BUFFER), limit_phrases[limit->kind].after,
		    limit->value > limit->max ? ">" : "of",
		    limit_figure(limit, limit->max, FORMAT_BUFFER), percent, since);
	}
}

static void say_all_limits(struct collector *all, enum limit_state state)
{
	const struct snapshot_target *target = all->target;

	say_limits(all, NULL, target->limits, target->n_limits, state);
	for (size_t i = 0; i < target->n_pools; i++)
		say_limits(all, &target->pools[i], target->pools[i].limits, target->pools[i].n_limits, state);
}

/* Appends "name (figures)" to a list of pools; "" for figures: the name alone. */
static void append(const struct collector *all, char list[256], const struct snapshot_pool *pool,
		   const char *figures)
{
	size_t used = strlen(list);
	char name[NAME_SIZE];

	escape_text(pool->name, sizeof(pool->name), all->options->utf8, name, sizeof(name));
	if (used + strlen(name) + strlen(figures) + 6 < 256)
		snprintf(list + used, 256 - used, "%s%s%s%s%s", used ? ", " : "", name, figures[0] ? " (" : "", figures,
			 figures[0] ? ")" : "");
	else if (used < 4 || strcmp(list + used - 4, " ..."))
		snprintf(list + used, 256 - used, " ...");
}

/* A limit that was asked for and watches nothing must not look like one that is kept. */
static void say_unmatched(struct collector *all)
{
	const struct snapshot_target *target = all->target;
	char glob[NAME_SIZE];

	for (size_t i = 0; i < target->n_unmatched; i++) {
		const struct snapshot_unmatched *limit = &target->unmatched[i];
		bool said = false;

		for (size_t j = 0; j < i && !said; j++)
			said = !strcmp(target->unmatched[j].pool, limit->pool);
		if (said)
			continue;
		escape_text(limit->pool, sizeof(limit->pool), all->options->utf8, glob, sizeof(glob));
		say(all, ATTR_WARN, target->ended ? "no pool matched '%s': its limit watched nothing"
						  : "no pool matches '%s' yet: its limit watches nothing",
		    glob);
	}
}

struct unbound { /* limits in percent of what is not known */
	bool threads, bytes;
};

static struct unbound find_unbound(const struct snapshot_limit *limits, size_t n_limits)
{
	struct unbound found = { false, false };

	for (size_t i = 0; i < n_limits; i++) {
		bool unbound = snapshot_limit_wants_bound(&limits[i]), is_bytes = limit_phrases[limits[i].kind].is_bytes;

		found.threads |= unbound && !is_bytes;
		found.bytes |= unbound && is_bytes;
	}
	return found;
}

static void say_not_judged(struct collector *all)
{
	const struct snapshot_target *target = all->target;
	struct unbound process = find_unbound(target->limits, target->n_limits);
	bool bytes = process.bytes;
	char pools[256] = "";

	for (size_t i = 0; i < target->n_pools; i++) {
		struct unbound pool = find_unbound(target->pools[i].limits, target->pools[i].n_limits);

		if (pool.threads)
			append(all, pools, &target->pools[i], "");
		bytes |= pool.bytes;
	}
	if (process.threads)
		say(all, ATTR_WARN, "process: limit of threads not judged: no pids.max is set, or it is not known");
	if (pools[0])
		say(all, ATTR_WARN, "limit of threads not judged: the capacity of %s is not known", pools);
	if (bytes)
		say(all, ATTR_WARN, "limits in percent of memory not judged: its size is not known");
}

static void say_losses(struct collector *all)
{
	static const char *const reasons[] = {
		[LOSS_RING] = "ring full",
		[LOSS_MAP] = "kernel map full",
		[LOSS_RECURSION] = "probe re-entered",
		[LOSS_KRETPROBE] = "kretprobe missed",
	};
	_Static_assert(ARRAY_SIZE(reasons) == LOSS_REASON_COUNT, "words for each reason of a loss");
	const struct snapshot_target *target = all->target;
	char by_reason[160] = "", lost[96] = "", healed[96] = "";
	size_t used = 0;

	for (size_t i = 0; i < LOSS_REASON_COUNT && used < sizeof(by_reason); i++) {
		uint64_t count = all->snapshot->lost[i];

		if (count && count != UNKNOWN_U64)
			used += (size_t)snprintf(by_reason + used, sizeof(by_reason) - used, "%s%s %s",
						 used ? ", " : "", reasons[i], format_count(FORMAT_BUFFER, count));
		/* Before 5.12 the kernel counted no re-entered program, since it let them in. */
		if (count == UNKNOWN_U64 && i == LOSS_KRETPROBE)
			used += (size_t)snprintf(by_reason + used, sizeof(by_reason) - used, "%s%s not counted by this kernel",
						 used ? ", " : "", reasons[i]);
	}
	if (!used && !target->reseeds && (!target->events_lost || target->events_lost == UNKNOWN_U64))
		return;
	if (target->events_lost && target->events_lost != UNKNOWN_U64)
		snprintf(lost, sizeof(lost), "%s events of this target lost%s",
			 format_count(FORMAT_BUFFER, target->events_lost), used ? "; " : "");
	if (target->reseeds)
		snprintf(healed, sizeof(healed), "; read anew %s time%s, last %s ago",
			 format_count(FORMAT_BUFFER, target->reseeds), target->reseeds == 1 ? "" : "s",
			 format_duration(FORMAT_BUFFER, target->reseed_age_seconds));
	say(all, ATTR_WARN, "LOST %s%s%s%s: owners of %s are unsure", lost, used ? "agent-wide " : "", by_reason, healed,
	    format_bytes(FORMAT_BUFFER, target->unattributed[UNATTRIBUTED_LOST]));
}

/* What grows most, and what that means for the person who reads "41 minutes". */
static const char *growing_part(const struct snapshot_target *target)
{
	int64_t anon = target->growth_anon, file = target->growth_file, shmem = target->growth_shmem;

	if (file != UNKNOWN_I64 && file > anon && file >= shmem)
		return "file pages grow most, which the kernel can take back";
	if (shmem != UNKNOWN_I64 && shmem > anon && shmem > file)
		return "shared memory grows most, which no thread is charged with";
	return "";
}

static void say_rate(struct collector *all)
{
	const struct snapshot_target *target = all->target;
	const char *part = growing_part(target);

	if (target->ended || !isfinite(target->seconds_to_memory_max))
		return;
	say(all, ATTR_BOLD, "memory.max in about %s at this rate (a rate, not a verdict)%s%s",
	    format_duration(FORMAT_BUFFER, target->seconds_to_memory_max), part[0] ? ": " : "", part);
}

static void say_children(struct collector *all)
{
	const struct fact_children *children = &all->target->children;
	uint64_t own = all->target->memory.rss_anon;

	if (all->options->follows_forks || !children->count || children->rss_anon == UNKNOWN_U64 ||
	    own == UNKNOWN_U64 || children->rss_anon <= own)
		return;
	say(all, ATTR_WARN, "%u child%s %s %s, this process %s: take them in with -f", children->count,
	    children->count == 1 ? "" : "ren", children->count == 1 ? "holds" : "hold",
	    format_bytes(FORMAT_BUFFER, children->rss_anon), format_bytes(FORMAT_BUFFER, own));
}

static void say_hidden(struct collector *all)
{
	if (all->target->info.memory_hidden && !all->target->ended)
		say(all, ATTR_WARN, "Start routines and what was there before the attach are not known: its memory may not be "
				    "read (CAP_SYS_PTRACE is missing)");
}

static void say_verdict(struct collector *all)
{
	const struct snapshot_verdict *verdict = &all->target->verdict;
	char why[256];

	if (verdict->state == VERDICT_NONE)
		return;
	say(all, ATTR_BOLD, "Verdict: %s (%.0f %%): %s", verdict_state_name(verdict->state), verdict->confidence * 100,
	    escape_text(verdict->why, sizeof(verdict->why), all->options->utf8, why, sizeof(why)));
}

static void say_refused(struct collector *all)
{
	const struct snapshot_target *target = all->target;

	if (target->threads_refused)
		say(all, ATTR_WARN, "%s threads are not shown: the table of threads is full",
		    format_count(FORMAT_BUFFER, target->threads_refused));
	if (target->ranges_refused)
		say(all, ATTR_WARN, "%s ranges have no owner: the table of ranges is full",
		    format_count(FORMAT_BUFFER, target->ranges_refused));
	if (all->snapshot->series_dropped)
		say(all, ATTR_NORMAL, "%s pools are folded into `other`: raise max_pools to see them",
		    format_count(FORMAT_BUFFER, all->snapshot->series_dropped));
}

/* One sentence for each pool that has something to say of that kind. */
static void say_of_pools(struct collector *all, bool (*words)(const struct snapshot_target *target,
							      const struct snapshot_pool *pool, bool utf8, char *ret_text,
							      size_t size))
{
	char text[sizeof(all->words->text)];

	for (size_t i = 0; i < all->target->n_pools; i++)
		if (words(all->target, &all->target->pools[i], all->options->utf8, text, sizeof(text)))
			say(all, ATTR_NORMAL, "%s", text);
}

/* Told, never flagged: neither is a fault. */
static void say_notes(struct collector *all)
{
	const struct snapshot_target *target = all->target;
	double cores = target->cgroup.cpu_quota_cores;
	char full[256] = "", wide[256] = "";

	for (size_t i = 0; i < target->n_pools; i++) {
		const struct snapshot_pool *pool = &target->pools[i];
		char figures[2 * FORMAT_SIZE + 8];

		snprintf(figures, sizeof(figures), "%s of %s", format_count(FORMAT_BUFFER, pool->threads),
			 format_count(FORMAT_BUFFER, pool->capacity));
		if (pool->capacity != UNKNOWN_U64 && pool->capacity && pool->threads >= pool->capacity)
			append(all, full, pool, figures);
		if (isfinite(cores) && cores > 0 && (double)pool->threads > cores && pool->threads > 1)
			append(all, wide, pool, format_count(FORMAT_BUFFER, pool->threads));
	}
	say_of_pools(all, pool_team_words);
	say_of_pools(all, pool_process_words);
	if (full[0])
		say(all, ATTR_NORMAL, "At capacity: %s", full);
	if (wide[0])
		say(all, ATTR_NORMAL, "More threads than the CPU quota of %.3g: %s", cores, wide);
	say_of_pools(all, pool_fit_words);
}

/* Below these nobody needs to be told. */
#define KEPT_MIN (16ULL << 20)
#define CHURN_MIN 500 /* page faults a second */
#define PAGE_BYTES 4096
#define POOLS_TOLD 3

static void say_kept(struct collector *all)
{
	size_t told = 0;

	for (size_t i = 0; i < all->target->n_pools && told < POOLS_TOLD; i++) {
		const struct snapshot_bytes *memory = &all->target->pools[i].memory;
		char name[NAME_SIZE];

		if (memory->kept_bytes == UNKNOWN_U64 || memory->kept_bytes < KEPT_MIN ||
		    memory->kept_bytes < memory->resident_bytes / 4 || memory->kept_bytes > memory->resident_bytes)
			continue;
		escape_text(all->target->pools[i].name, sizeof(all->target->pools[i].name), all->options->utf8, name,
			    sizeof(name));
		say(all, ATTR_NORMAL, "%s: %s resident, %s live, %s kept by malloc", name,
		    format_bytes(FORMAT_BUFFER, memory->resident_bytes),
		    format_bytes(FORMAT_BUFFER, memory->resident_bytes - memory->kept_bytes),
		    format_bytes(FORMAT_BUFFER, memory->kept_bytes));
		told++;
	}
}

/* Pages that come in much faster than the memory grows were given back before. */
static bool churns(const struct snapshot_pool *pool)
{
	double taken = (double)pool->faults_per_second * PAGE_BYTES * 60;

	return pool->faults_per_second != UNKNOWN_U64 && pool->faults_per_second >= CHURN_MIN &&
	       pool->growth_per_minute != UNKNOWN_I64 && taken > 10 * fabs((double)pool->growth_per_minute);
}

/* What it maps itself, and its stacks, no setting of malloc's changes. */
static bool uses_malloc(const struct snapshot_pool *pool)
{
	return pool->memory.resident[REGION_ARENA] || pool->memory.resident[REGION_HEAP];
}

static void say_churn(struct collector *all)
{
	size_t told = 0;

	for (size_t i = 0; i < all->target->n_pools && told < POOLS_TOLD; i++) {
		const struct snapshot_pool *pool = &all->target->pools[i];
		char name[NAME_SIZE];

		if (!churns(pool))
			continue;
		escape_text(pool->name, sizeof(pool->name), all->options->utf8, name, sizeof(name));
		say(all, ATTR_NORMAL, "%s: %s page faults/s without growth: freed and taken again%s", name,
		    format_count(FORMAT_BUFFER, pool->faults_per_second),
		    uses_malloc(pool) ? "; glibc: raise MALLOC_TRIM_THRESHOLD_" : "");
		told++;
	}
}

size_t words_collect(const struct snapshot *snapshot, const struct snapshot_target *target,
		     const struct words_options *options, struct word *words, size_t max)
{
	struct collector all = { snapshot, target, options, words, 0, max };

	say_end(&all);
	if (target->stopped && !target->ended)
		say(&all, ATTR_WARN, "STOPPED: the target stands still (SIGSTOP or a debugger)");
	say_all_limits(&all, LIMIT_OVER);
	say_return(&all);
	say_verdict(&all);
	say_rate(&all);
	say_all_limits(&all, LIMIT_WARN);
	say_unmatched(&all);
	say_not_judged(&all);
	say_losses(&all);
	say_hidden(&all);
	say_children(&all);
	say_refused(&all);
	say_notes(&all);
	all.count += right_size_words(target, options, words + all.count, max - all.count);
	say_kept(&all);
	all.count += blame_words(target, options->utf8, all.words + all.count, all.max - all.count);
	say_churn(&all);
	return all.count;
}
