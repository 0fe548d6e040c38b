/* SPDX-License-Identifier: GPL-2.0-only */
/* What a person must know now, as sentences: limits over or near, how the target ended, losses, the rate.
 * Shared by the dashboard and the readable text; they must not know the screen. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dashboard_words.h"
#include "escape.h"
#include "format.h"
#include "limit_words.h"
#include "memory_words.h"
#include "pool_words.h"
#include "right_size.h"

#define END_SIZE 96

static const char *signal_word(int code, char buffer[FORMAT_SIZE])
{
	const char *name = sigabbrev_np(code);

	snprintf(buffer, FORMAT_SIZE, name ? "signal %d (SIG%s)" : "signal %d", code, name ? name : "");
	return buffer;
}

const struct snapshot_target *target_successor(const struct snapshot *snapshot, const struct snapshot_target *target)
{
	/* A forked child was not asked for by name: the next one is another child, not its return, nor is a child of its own. */
	if (!target->ended || !target->ended_realtime_ns || target->info.followed)
		return NULL;
	for (size_t i = 0; i < snapshot->n_targets; i++) {
		const struct snapshot_target *other = &snapshot->targets[i];

		if (other->id > target->id && !other->info.followed && !strcmp(other->info.name, target->info.name) &&
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
	char next[64] = "; nothing of it was read", age[FORMAT_SIZE];

	if (!target->ended)
		return;
	/* What it took in between, which may be what killed it, is in no figure. */
	if (isfinite(target->age_seconds))
		snprintf(next, sizeof(next), "; this is the last frame, read %s before", format_duration(age, target->age_seconds));
	if (all->options->is_summary)
		next[0] = '\0';
	else if (back)
		snprintf(next, sizeof(next), "; it came back as PID %u", back->info.pid);
	else if (!target->info.followed && all->options->waits_for && all->options->waits_for[0])
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

static void say_losses(struct collector *all)
{
	static const char *const reasons[] = {
		[LOSS_RING] = "ring full",
		[LOSS_MAP] = "processes without room (--max-processes, ulimit -n)",
		[LOSS_RECURSION] = "probe re-entered",
		[LOSS_KRETPROBE] = "kretprobe missed",
	};
	_Static_assert(ARRAY_SIZE(reasons) == LOSS_REASON_COUNT, "words for each reason of a loss");
	const struct snapshot_target *target = all->target;
	char by_reason[160] = "", lost[96] = "", healed[96] = "", unsure[64] = "";
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
		snprintf(lost, sizeof(lost), "%s of this target%s",
			 format_counted(FORMAT_BUFFER, target->events_lost, "event"), used ? "; " : "");
	if (target->reseeds)
		snprintf(healed, sizeof(healed), "; read anew %s, last %s ago",
			 format_counted(FORMAT_BUFFER, target->reseeds, "time"),
			 format_duration(FORMAT_BUFFER, target->reseed_age_seconds));
	if (target->unattributed[UNATTRIBUTED_LOST])
		snprintf(unsure, sizeof(unsure), ": owners of %s are unsure",
			 format_bytes(FORMAT_BUFFER, target->unattributed[UNATTRIBUTED_LOST]));
	if (!*lost && !used) /* a doubt, and no loss: what was found did not fit what was known */
		say(all, ATTR_NORMAL, "Mappings%s%s", healed + strlen(";"), unsure);
	else
		say(all, ATTR_WARN, "LOST %s%s%s%s%s", lost, used ? "agent-wide " : "", by_reason, healed, unsure);
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
	if (target->seconds_to_memory_max < 1) {
		say(all, ATTR_BOLD, "memory.max is reached: what grows further is reclaimed, swapped or killed");
		return;
	}
	/* Others share the bound; what they read of files counts with it. */
	if (isfinite(target->cgroup_seconds_to_memory_max)) {
		say(all, ATTR_BOLD, "memory.max in about %s as its cgroup grows, file cache too; in %s at this process's rate alone (rates, not verdicts)%s%s",
		    format_duration(FORMAT_BUFFER, target->cgroup_seconds_to_memory_max),
		    format_duration(FORMAT_BUFFER, target->seconds_to_memory_max), part[0] ? ": " : "", part);
		return;
	}
	say(all, ATTR_BOLD, "memory.max in about %s at this rate (a rate, not a verdict)%s%s",
	    format_duration(FORMAT_BUFFER, target->seconds_to_memory_max), part[0] ? ": " : "", part);
}

#define SWAPPED_MIN (1ULL << 20)

/* Also why growth may seem to stop. */
static void say_swapped(struct collector *all)
{
	uint64_t swapped = all->target->memory.swapped;

	if (swapped != UNKNOWN_U64 && swapped >= SWAPPED_MIN)
		say(all, ATTR_NORMAL, "%s swapped out: in no RES, GROWN or /MIN", format_bytes(FORMAT_BUFFER, swapped));
}

static void say_children(struct collector *all)
{
	struct fact_children left = all->target->children;
	uint64_t own = all->target->memory.rss_anon;

	if (all->options->follows_forks || left.rss_anon == UNKNOWN_U64 || own == UNKNOWN_U64)
		return;
	/* Those that were selected themselves are there. */
	for (size_t i = 0; i < all->snapshot->n_targets; i++) {
		const struct snapshot_target *other = &all->snapshot->targets[i];

		if (other->ended || other->info.parent_pid != all->target->info.pid || !left.count)
			continue;
		left.count--;
		left.rss_anon -= other->memory.rss_anon < left.rss_anon ? other->memory.rss_anon : left.rss_anon;
	}
	if (!left.count || left.rss_anon <= own)
		return;
	say(all, ATTR_WARN, "%u child%s %s %s, this process %s: take them in with -f", left.count,
	    left.count == 1 ? "" : "ren", left.count == 1 ? "holds" : "hold",
	    format_bytes(FORMAT_BUFFER, left.rss_anon), format_bytes(FORMAT_BUFFER, own));
}

static void say_hidden(struct collector *all)
{
	if (all->target->info.memory_hidden && !all->target->ended)
		say(all, ATTR_WARN, "Start routines, where stacks end, and what was there before the attach are not known: its memory "
				    "may not be read (CAP_SYS_PTRACE is missing)");
}

/* None is attached to; one may come by an exec. */
static void say_32_bit(struct collector *all)
{
	if (all->target->info.is_32_bit && !all->target->ended)
		say(all, ATTR_WARN, "A 32-bit program: its threads are known, but what it maps is not traced, so that no pool holds it");
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
	static const struct {
		enum attribute attribute;
		const char *noun, *means;
	} tables[] = {
		[TABLE_OF_THREADS] = { ATTR_WARN, "thread", "not shown: the table of threads is full" },
		[TABLE_OF_RANGES] = { ATTR_WARN, "range", "without an owner: the table of ranges is full" },
		[TABLE_OF_HEAPS] = { ATTR_WARN, "time", "the table of heaps was full: who shares the others is not known" },
		[TABLE_OF_EXECUTORS] = { ATTR_NORMAL, "time", "the table of executors was full: the others are pools by thread name" },
		[TABLE_OF_FUNCTIONS] = { ATTR_NORMAL, "time", "the table of functions was full: what some threads run is not shown" },
		[TABLE_OF_BLAME] = { ATTR_NORMAL, "time", "the table of blame was full: that growth is under other functions" },
	};
	_Static_assert(ARRAY_SIZE(tables) == TABLE_KIND_COUNT, "words for each table");

	for (size_t i = 0; i < TABLE_KIND_COUNT; i++)
		if (all->target->refused[i])
			say(all, tables[i].attribute, "%s %s", format_counted(FORMAT_BUFFER, all->target->refused[i], tables[i].noun),
			    tables[i].means);
	if (all->target->pools_dropped)
		say(all, ATTR_NORMAL, "%s folded into `other`: raise max_pools to see them",
		    format_counted(FORMAT_BUFFER, all->target->pools_dropped, "pool"));
	if (all->snapshot->ended_dropped && !all->target->info.followed)
		say(all, ATTR_NORMAL, "Processes that ended and are not shown: %s (those asked for are, and the children that held most)",
		    format_count(FORMAT_BUFFER, all->snapshot->ended_dropped));
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

/* Each refresh reads it, unless the readings of all targets take more than the budget. */
#define OLD_SECONDS 2.5

static void say_old_activity(struct collector *all)
{
	const struct snapshot_target *target = all->target;

	if (!target->ended && target->activity_age_seconds > OLD_SECONDS)
		say(all, ATTR_WARN, "BUSY, QUEUE and what threads do were read %s ago: reading them takes more than --cpu-budget",
		    format_duration(FORMAT_BUFFER, target->activity_age_seconds));
}

/* Told, never flagged: neither is a fault. */
static void say_notes(struct collector *all)
{
	const struct snapshot_target *target = all->target;
	double cores = target->cgroup.cpu_quota_cores;
	char full[POOL_LIST_SIZE] = "", wide[POOL_LIST_SIZE] = "";

	for (size_t i = 0; i < target->n_pools; i++) {
		const struct snapshot_pool *pool = &target->pools[i];
		char figures[2 * FORMAT_SIZE + 8];

		snprintf(figures, sizeof(figures), "%s of %s", format_count(FORMAT_BUFFER, pool->threads),
			 format_count(FORMAT_BUFFER, pool->capacity));
		if (pool->capacity != UNKNOWN_U64 && pool->capacity && pool->threads >= pool->capacity)
			append_pool(all, full, pool, figures);
		/* Those that the runtime keeps for itself nobody sizes. */
		if (isfinite(cores) && cores > 0 && (double)pool->threads > cores && pool->threads > 1 && !pool->is_runtimes_own)
			append_pool(all, wide, pool, format_count(FORMAT_BUFFER, pool->threads));
	}
	say_of_pools(all, pool_team_words);
	say_of_pools(all, pool_process_words);
	if (full[0])
		say(all, ATTR_NORMAL, "At capacity: %s", full);
	if (wide[0])
		say(all, ATTR_NORMAL, "More threads than the CPU quota of %.3g: %s", cores, wide);
	say_of_pools(all, pool_fit_words);
}

size_t words_collect(const struct snapshot *snapshot, const struct snapshot_target *target,
		     const struct words_options *options, struct word *words, size_t max)
{
	struct collector all = { snapshot, target, options, words, 0, max };

	say_end(&all);
	if (target->stopped && !target->ended)
		say(&all, ATTR_WARN, "STOPPED: the target stands still (SIGSTOP or a debugger)");
	say_all_limits(&all, LIMIT_OVER);
	say_over_elsewhere(&all);
	say_return(&all);
	say_verdict(&all);
	say_rate(&all);
	say_all_limits(&all, LIMIT_WARN);
	say_swapped(&all);
	say_pending_limits(&all);
	say_unmatched(&all);
	say_not_judged(&all);
	say_losses(&all);
	say_hidden(&all);
	say_32_bit(&all);
	say_children(&all);
	say_refused(&all);
	say_old_activity(&all);
	say_notes(&all);
	all.count += right_size_words(target, options, words + all.count, max - all.count);
	say_kept(&all);
	all.count += blame_words(target, options->utf8, all.words + all.count, all.max - all.count);
	say_churn(&all);
	say_orphaned(&all);
	say_held(&all);
	say_shared(&all);
	say_unattributed(&all);
	say_unexplained(&all);
	return all.count;
}
