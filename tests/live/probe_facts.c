/* SPDX-License-Identifier: GPL-2.0-only */
/* Prints the facts of the kernel probes about a command that it runs, one JSON object a line, for tests.
 * usage: probe_facts [-v VARIANT] [-r RING_BYTES] [-s] [-f] [-w] [-g N] [-P PROCFS] (-p PID | -- COMMAND...)
 * -s: read nothing before the command has ended; -w: wants to hear of its growth, and says so without end; -g: wants that
 * of each target, N a second of all (0: without bound). */
#include "source/probes.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const names[FACT_KIND_COUNT] = {
	[FACT_TARGET] = "target",       [FACT_TARGET_GONE] = "gone",      [FACT_THREAD_BORN] = "born",
	[FACT_THREAD_SEEN] = "seen",    [FACT_THREAD_EXITED] = "exited",  [FACT_THREAD_RENAMED] = "renamed",
	[FACT_RANGE_MADE] = "made",     [FACT_RANGE_FREED] = "freed",     [FACT_RANGE_FREE_FAILED] = "free_failed",
	[FACT_RANGE_MOVED] = "moved",   [FACT_RANGE_PROTECTED] = "protected", [FACT_BRK] = "brk",
	[FACT_LOSS] = "loss",           [FACT_EVENTS] = "events",         [FACT_LIVES_LOST] = "lives_lost",
	[FACT_THREAD_ASKED] = "asked",
};

static void print_name(const char *name)
{
	printf("\"name\":\"");
	for (; *name; name++)
		if (*name >= ' ' && *name < 127 && *name != '"' && *name != '\\')
			putchar(*name);
		else
			printf("\\u%04x", (unsigned char)*name);
	printf("\"");
}

static int print_fact(void *context, const struct fact *fact)
{
	printf("{\"kind\":\"%s\",\"target\":%u,\"time\":%" PRIu64, names[fact->kind] ? names[fact->kind] : "?",
	       fact->target, fact->time_ns);
	switch (fact->kind) {
	case FACT_TARGET:
		printf(",\"pid\":%u,\"ns_pid\":%u,\"parent\":%u,\"family\":%u,\"start\":%" PRIu64 ",\"followed\":%d,",
		       fact->target_info.pid, fact->target_info.ns_pid, fact->target_info.parent_pid,
		       fact->target_info.family, fact->target_info.start_ns, fact->target_info.followed);
		print_name(fact->target_info.comm);
		break;
	case FACT_TARGET_GONE:
		printf(",\"how\":%d,\"code\":%d", fact->gone.how, fact->gone.code);
		break;
	case FACT_THREAD_BORN:
	case FACT_THREAD_SEEN:
	case FACT_THREAD_EXITED:
	case FACT_THREAD_RENAMED:
		printf(",\"tid\":%u,\"start\":%" PRIu64 ",\"creator\":%u,\"leader\":%d,\"io_worker\":%d,\"tls\":%" PRIu64
		       ",\"sp\":%" PRIu64 ",\"stack\":%" PRIu64 ",\"stack_length\":%" PRIu64 ",\"routine\":%" PRIu64
		       ",\"state\":\"%c\",\"cpu\":%" PRIu64 ",",
		       fact->thread.id.tid, fact->thread.id.start_ns, fact->thread.creator.tid, fact->thread.is_leader,
		       fact->thread.is_io_worker, fact->thread.tls_base, fact->thread.stack_pointer,
		       fact->thread.stack_start, fact->thread.stack_length, fact->thread.start_routine,
		       fact->thread.state ? fact->thread.state : '?', fact->thread.cpu_ns);
		print_name(fact->thread.name);
		break;
	case FACT_RANGE_MADE:
	case FACT_RANGE_FREED:
	case FACT_RANGE_FREE_FAILED:
	case FACT_RANGE_MOVED:
	case FACT_RANGE_PROTECTED:
	case FACT_BRK:
		printf(",\"tid\":%u,\"start\":%" PRIu64 ",\"length\":%" PRIu64 ",\"old\":%" PRIu64
		       ",\"old_length\":%" PRIu64 ",\"protection\":%u,\"flags\":%u",
		       fact->range.who.tid, fact->range.start, fact->range.length, fact->range.old_start,
		       fact->range.old_length, fact->range.protection, fact->range.flags);
		break;
	case FACT_LOSS:
		for (int i = 0; i < LOSS_REASON_COUNT; i++)
			printf("%s%" PRId64, i ? "," : ",\"lost\":[", (int64_t)fact->loss.lost[i]);
		printf("]");
		break;
	case FACT_EVENTS:
		for (int i = 0; i < PROBE_COUNT; i++)
			printf("%s%" PRIu64, i ? "," : ",\"received\":[", fact->events.received[i]);
		printf("]");
		break;
	default:
		break;
	}
	printf("}\n");
	return 0;
}

/* Of any target: how much was new by the call that its stack was copied at. */
static void print_stacks(struct probes *probes, uint32_t last_target)
{
	struct stack_copy stack;

	for (uint32_t target = 1; target <= last_target; target++)
		while (probes_take_stack(probes, target, (struct thread_id){0}, &stack))
			printf("{\"kind\":\"stack\",\"target\":%u,\"tid\":%u,\"grown\":%" PRIu64 "}\n", target,
			       stack.who.tid, stack.grown_length);
}

static pid_t start_stopped(char **command)
{
	pid_t child = fork();

	if (child)
		return child;
	raise(SIGSTOP);
	execvp(command[0], command);
	_exit(127);
}

static int fail_with(const struct explain *explain)
{
	printf("{\"kind\":\"failed\",\"what\":\"%s\",\"why\":\"%s\",\"remedy\":\"%s\"}\n", explain->what, explain->why,
	       explain->remedy);
	return 1;
}

int main(int argc, char **argv)
{
	static char lines[4096];
	const struct fact_sink sink = {.emit = print_fact};
	_cleanup_(probes_freep) struct probes *probes = NULL;
	struct probes_options options = {0};
	struct probe_trial trials[16];
	struct explain explain = {0};
	bool follow = false, starve = false, try_all = false, wants = false, wants_all = false;
	uint32_t pid = 0, target, routine_offset = 0;
	int option, status = 0, pidfd;

	/* Whole lines: the command that is watched writes to the same pipe. */
	setvbuf(stdout, lines, _IOLBF, sizeof(lines));
	while ((option = getopt(argc, argv, "+v:r:sfwg:P:p:to:")) != -1)
		switch (option) {
		case 'v': options.memory_variant = optarg; break;
		case 'r': options.ring_bytes = (uint32_t)atoi(optarg); break;
		case 's': starve = true; break;
		case 'f': follow = true; break;
		case 'w': wants = true; break;
		case 'g': wants_all = true; options.growths_per_second = (uint32_t)atoi(optarg); break;
		case 'P': options.procfs = optarg; break;
		case 'p': pid = (uint32_t)atoi(optarg); break;
		case 't': try_all = true; break;
		case 'o': routine_offset = (uint32_t)atoi(optarg); break;
		default: return 2;
		}
	if (try_all) {
		size_t n = probes_try_all(&options, trials, ARRAY_SIZE(trials));

		for (size_t i = 0; i < n; i++)
			printf("{\"kind\":\"trial\",\"group\":\"%s\",\"variant\":\"%s\",\"error\":%d,\"used\":%d,"
			       "\"why\":\"%s\",\"remedy\":\"%s\"}\n",
			       trials[i].group_name, trials[i].variant, trials[i].error, trials[i].used, trials[i].why,
			       trials[i].remedy);
		return 0;
	}
	if (probes_open(&options, &probes, &explain) < 0)
		return fail_with(&explain);
	for (size_t i = 0, n = probes_in_use(probes, trials, ARRAY_SIZE(trials)); i < n; i++)
		printf("{\"kind\":\"variant\",\"group\":\"%s\",\"variant\":\"%s\"}\n", trials[i].group_name,
		       trials[i].variant);
	bool own_child = !pid;
	if (own_child) {
		pid = (uint32_t)start_stopped(argv + optind);
		waitpid((pid_t)pid, NULL, WUNTRACED);
	}
	if (probes_add_target(probes, pid, follow, 0, &target, &explain) < 0)
		return fail_with(&explain);
	if (routine_offset)
		probes_set_descriptor(probes, target, routine_offset);
	printf("{\"kind\":\"added\",\"pid\":%u,\"target\":%u}\n", pid, target);
	probes_threads(probes, target, &sink);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (own_child)
		kill((pid_t)pid, SIGCONT);
	struct pollfd polls[] = {{.fd = pidfd, .events = POLLIN}, {.fd = probes_fd(probes), .events = POLLIN}};
	for (bool over = false; !over;) {
		poll(polls, starve ? 1 : 2, wants ? 0 : probes_due(probes) != UINT64_MAX ? 5 : 1000);
		over = polls[0].revents;
		for (int i = 0; wants && i < 5000; i++)
			if (probes_want_growth(probes, target) < 0)
				break;
		if (!starve && probes_drain(probes, &sink) < 0)
			return 1;
		print_stacks(probes, wants_all ? 64 : wants ? target : 0);
		for (uint32_t any = 1; wants_all && any <= 64 && !probes_want_growth(probes, any); any++)
			continue;
	}
	if (own_child)
		waitpid((pid_t)pid, &status, 0);
	usleep(50000); /* until RCU has freed the leader's task */
	while (probes_drain(probes, &sink) > 0)
		;
	probes_counters(probes, &sink);
	return 0;
}
