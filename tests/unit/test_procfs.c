/* SPDX-License-Identifier: GPL-2.0-only */
/* The procfs source on real processes: this one, its threads and its children, stopped, dead and renamed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "source/procfs_internal.h"

static struct procfs *procfs;

static int open_procfs(void **state)
{
	struct explain explain;

	return procfs_open(NULL, &procfs, &explain);
}

static int close_procfs(void **state)
{
	procfs_free(procfs);
	return 0;
}

struct kept {
	struct fact facts[64];
	size_t count;
};

static int keep(void *context, const struct fact *fact)
{
	struct kept *kept = context;

	assert_true(kept->count < ARRAY_SIZE(kept->facts));
	kept->facts[kept->count++] = *fact;
	return 0;
}

static const struct fact_thread *thread_of(const struct kept *kept, uint32_t tid)
{
	for (size_t i = 0; i < kept->count; i++) {
		if (kept->facts[i].thread.id.tid == tid)
			return &kept->facts[i].thread;
	}
	return NULL;
}

static uint64_t boottime(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static bool has_pid(const uint32_t *pids, size_t count, uint32_t pid)
{
	for (size_t i = 0; i < count; i++) {
		if (pids[i] == pid)
			return true;
	}
	return false;
}

/* ---- helpers that live until they are told to end -------------------------------------------------- */

struct helper {
	pthread_t thread;
	int started[2], stop[2]; /* pipes */
	uint32_t tid;
	const char *name;
};

static void *helper_run(void *argument)
{
	struct helper *helper = argument;
	char byte;

	helper->tid = (uint32_t)syscall(SYS_gettid);
	if (helper->name)
		prctl(PR_SET_NAME, helper->name);
	assert_int_equal(write(helper->started[1], "x", 1), 1);
	assert_int_equal(read(helper->stop[0], &byte, 1), 1);
	return NULL;
}

static void helper_start(struct helper *helper)
{
	char byte;

	assert_int_equal(pipe(helper->started), 0);
	assert_int_equal(pipe(helper->stop), 0);
	assert_int_equal(pthread_create(&helper->thread, NULL, helper_run, helper), 0);
	assert_int_equal(read(helper->started[0], &byte, 1), 1);
}

static void helper_end(struct helper *helper)
{
	assert_int_equal(write(helper->stop[1], "x", 1), 1);
	assert_int_equal(pthread_join(helper->thread, NULL), 0);
	for (int i = 0; i < 2; i++) {
		close(helper->started[i]);
		close(helper->stop[i]);
	}
}

/* A child that has reached a known point: it stopped itself. */
static pid_t child_stopped(void (*prepare)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		if (prepare)
			prepare();
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	return child;
}

static void child_end(pid_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

/* ---- tests -------------------------------------------------------------------------------------------- */

static void a_folder_that_is_no_procfs(void **state)
{
	struct procfs *other = NULL;
	struct explain explain = {0};

	assert_int_equal(procfs_open("/tmp", &other, &explain), -EINVAL);
	assert_string_equal(explain.why, "it is not a mounted procfs");
	assert_int_equal(procfs_open("/nowhere", &other, &explain), -ENOENT);
	assert_non_null(strstr(explain.what, "/nowhere"));
	assert_true(explain.remedy[0]);
	assert_null(other);
}

static void threads_with_names_and_start(void **state)
{
	static const char hostile[] = "a) S 1 (\033\n";
	struct helper helper = {.name = hostile};
	struct kept kept = {0};
	struct fact_sink sink = {keep, &kept};
	const struct fact_thread *thread;
	uint64_t before = boottime(), after;

	helper_start(&helper);
	after = boottime();
	assert_int_equal(procfs_threads(procfs, 9, (uint32_t)getpid(), &sink), 0);
	thread = thread_of(&kept, helper.tid);
	assert_non_null(thread);
	assert_memory_equal(thread->name, hostile, sizeof(hostile));
	assert_false(thread->is_leader);
	assert_false(thread->is_io_worker);
	assert_int_equal(thread->stack_pointer, 0);
	assert_true(thread->id.start_ns + NSEC_PER_TICK > before && thread->id.start_ns <= after);
	assert_int_equal(thread->id.start_ns % NSEC_PER_TICK, 0);
	thread = thread_of(&kept, (uint32_t)getpid());
	assert_non_null(thread);
	assert_true(thread->is_leader);
	assert_int_equal(thread->state, 'R');
	assert_true(thread->cpu_ns != UNKNOWN_U64);
	for (size_t i = 0; i < kept.count; i++) {
		assert_int_equal(kept.facts[i].kind, FACT_THREAD_SEEN);
		assert_int_equal(kept.facts[i].target, 9);
		assert_true(kept.facts[i].time_ns >= after);
	}
	helper_end(&helper);
	kept.count = 0;
	assert_int_equal(procfs_sample(procfs, 9, (uint32_t)getpid(), &sink), 0);
	assert_null(thread_of(&kept, helper.tid));
	assert_int_equal(kept.facts[0].kind, FACT_THREAD_SAMPLED);
}

static void describes_itself(void **state)
{
	struct fact_target target;
	char cmdline[4096], exe[FACT_PATH_SIZE] = "", shortened[8];

	assert_int_equal(procfs_describe(procfs, (uint32_t)getpid(), &target), 0);
	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	assert_string_equal(target.exe, exe);
	assert_string_equal(target.comm, "test_procfs");
	assert_int_equal(target.pid, getpid());
	assert_int_equal(target.parent_pid, getppid());
	assert_true(target.ns_pid > 0);
	assert_true(target.start_ns > 0 && target.start_ns <= boottime());
	assert_int_equal(strncmp(target.runtime, "glibc", 5), 0);
	assert_int_equal(procfs_cmdline(procfs, (uint32_t)getpid(), cmdline, sizeof(cmdline)), 0);
	assert_non_null(strstr(cmdline, "test_procfs"));
	assert_int_equal(procfs_cmdline(procfs, (uint32_t)getpid(), shortened, sizeof(shortened)), 0);
	assert_int_equal(strlen(shortened), sizeof(shortened) - 1);
}

/* Programs that wait for their input, described right after exec. */
static void runtimes_of_real_programs(void **state)
{
	static const struct { const char *argv[4], *runtime; } programs[] = {
		{{"/usr/bin/python3", "-c", "import sys; sys.stdin.read()"}, "cpython 3."},
		{{"promtool", "check", "metrics"}, "go"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		int input[2], executed[2];
		struct fact_target target;
		pid_t child;
		char byte;

		assert_int_equal(pipe(input), 0);
		assert_int_equal(pipe2(executed, O_CLOEXEC), 0);
		child = fork();
		if (child == 0) {
			dup2(input[0], STDIN_FILENO);
			close(input[1]);
			execvp(programs[i].argv[0], (char *const *)programs[i].argv);
			_exit(127);
		}
		close(executed[1]);
		assert_int_equal(read(executed[0], &byte, 1), 0);
		assert_int_equal(procfs_describe(procfs, (uint32_t)child, &target), 0);
		assert_int_equal(strncmp(target.runtime, programs[i].runtime, strlen(programs[i].runtime)), 0);
		child_end(child);
		close(executed[0]);
		close(input[0]);
		close(input[1]);
	}
}

static void refuses_what_is_no_process(void **state)
{
	struct helper helper = {0};
	struct explain explain = {0};
	struct fact_target target;
	char wanted[32];
	pid_t zombie;

	assert_int_equal(procfs_check_target(procfs, (uint32_t)getpid(), &explain), 0);
	assert_int_equal(procfs_check_target(procfs, 0x7ffffff0, &explain), -ESRCH);
	assert_string_equal(explain.why, "there is no such process");
	assert_int_equal(procfs_describe(procfs, 0x7ffffff0, &target), -ESRCH);

	helper_start(&helper);
	assert_int_equal(procfs_check_target(procfs, helper.tid, &explain), -EINVAL);
	snprintf(wanted, sizeof(wanted), "-p %d", getpid());
	assert_non_null(strstr(explain.remedy, wanted));
	helper_end(&helper);

	zombie = fork();
	if (zombie == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)zombie, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	assert_int_equal(procfs_check_target(procfs, (uint32_t)zombie, &explain), -EINVAL);
	assert_non_null(strstr(explain.why, "zombie"));
	assert_int_equal(procfs_describe(procfs, (uint32_t)zombie, &target), -ESRCH);
	waitpid(zombie, NULL, 0);
}

static void refuses_kernel_threads(void **state)
{
	uint32_t *pids = NULL;
	struct explain explain = {0};
	size_t count = 0;

	/* kthreadd; not to be seen from inside a PID namespace. */
	assert_int_equal(procfs_find_name(procfs, "kthreadd", &pids, &count), 0);
	if (!count)
		print_message("no kernel threads in this PID namespace\n");
	else {
		assert_int_equal(procfs_check_target(procfs, pids[0], &explain), -EINVAL);
		assert_non_null(strstr(explain.why, "kernel thread"));
	}
	free(pids);
}

static void name_to_find(void)
{
	prctl(PR_SET_NAME, "find (me) 1");
}

static void finds_by_name(void **state)
{
	pid_t first = child_stopped(name_to_find), second = child_stopped(name_to_find);
	uint32_t *pids = NULL;
	size_t count = 0;

	assert_int_equal(procfs_find_name(procfs, "find (me) 1", &pids, &count), 0);
	assert_int_equal(count, 2);
	assert_true(pids[0] < pids[1]);
	assert_true(has_pid(pids, count, (uint32_t)first) && has_pid(pids, count, (uint32_t)second));
	free(pids);
	/* By the executable's name too; but never the agent itself. */
	assert_int_equal(procfs_find_name(procfs, "test_procfs", &pids, &count), 0);
	assert_true(has_pid(pids, count, (uint32_t)first));
	assert_false(has_pid(pids, count, (uint32_t)getpid()));
	free(pids);
	assert_int_equal(procfs_find_name(procfs, "no such name", &pids, &count), 0);
	assert_int_equal(count, 0);
	free(pids);
	assert_int_equal(procfs_list(procfs, &pids, &count), 0);
	assert_true(has_pid(pids, count, (uint32_t)first) && has_pid(pids, count, (uint32_t)getpid()));
	free(pids);
	child_end(first);
	child_end(second);
}

static struct fact_memory memory_of(pid_t pid)
{
	struct kept kept = {0};
	struct fact_sink sink = {keep, &kept};

	assert_int_equal(procfs_memory(procfs, 1, (uint32_t)pid, &sink), 0);
	assert_int_equal(kept.count, 1);
	assert_int_equal(kept.facts[0].kind, FACT_MEMORY);
	return kept.facts[0].memory;
}

static uint64_t rollup_of(pid_t pid)
{
	char path[64], line[256];
	unsigned long kilobytes = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) && sscanf(line, "Anonymous: %lu", &kilobytes) != 1)
		;
	fclose(file);
	return kilobytes * 1024;
}

static void touch_some(void)
{
	enum { BYTES = 5 << 20 };
	char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(memory, 1, BYTES);
}

static void memory_is_exact_on_a_stopped_process(void **state)
{
	pid_t plain = child_stopped(NULL), large = child_stopped(touch_some);
	struct fact_memory memory = memory_of(large);

	assert_int_equal(memory.rss_anon, rollup_of(large));
	assert_true(memory.rss_anon >= memory_of(plain).rss_anon + (4 << 20));
	assert_int_equal(memory.stopped, 1);
	assert_true(memory.rss_file != UNKNOWN_U64 && memory.rss_shmem != UNKNOWN_U64);
	assert_true(memory.swapped != UNKNOWN_U64);
	assert_int_equal(memory_of(getpid()).stopped, 0);
	child_end(plain);
	child_end(large);
}

/* A kernel whose counter lags: the lag is measured once and added until it may be measured again. */
static void a_lagging_counter_is_corrected(void **state)
{
	pid_t child = child_stopped(touch_some);
	struct target_cache *cache = &procfs->caches[1];
	bool exact = procfs->rss_exact;

	*cache = (struct target_cache){0};
	procfs->rss_exact = false;
	assert_int_equal(memory_of(child).rss_anon, rollup_of(child));
	assert_true(cache->next_rss_ns > boottime());
	cache->next_rss_ns = UINT64_MAX;
	cache->rss_lag = 40960;
	assert_int_equal(memory_of(child).rss_anon, rollup_of(child) + 40960);
	cache->rss_lag = INT64_MIN / 2;
	assert_int_equal(memory_of(child).rss_anon, 0);
	procfs->rss_exact = exact;
	child_end(child);
}

static void children_and_what_they_hold(void **state)
{
	struct kept kept = {0};
	struct fact_sink sink = {keep, &kept};
	pid_t child;

	assert_int_equal(procfs_children(procfs, 1, (uint32_t)getpid(), &sink), 0);
	assert_int_equal(kept.facts[0].children.count, 0);
	assert_int_equal(kept.facts[0].children.rss_anon, 0);
	child = child_stopped(touch_some);
	/* Under another id, since one target's children are not looked for again at once. */
	assert_int_equal(procfs_children(procfs, 2, (uint32_t)getpid(), &sink), 0);
	assert_int_equal(kept.facts[1].children.count, 1);
	assert_true(kept.facts[1].children.rss_anon >= (4 << 20));
	child_end(child);
}

/* ---- a process whose leader has exited ---------------------------------------------------------------- */

static void *survivor(void *argument)
{
	pid_t leader = getpid();
	char path[64], state = 0, line[256] = "";
	FILE *file;

	/* The leader is a zombie once this one is alone; then stop where the parent can look. */
	while (state != 'Z') {
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", leader);
		file = fopen(path, "re");
		if (!file)
			_exit(2);
		if (fgets(line, sizeof(line), file))
			state = strrchr(line, ')')[2];
		fclose(file);
	}
	raise(SIGSTOP);
	_exit(0);
}

static void leader_leaves(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, survivor, NULL);
	syscall(SYS_exit, 0);
}

static int count_ranges(void *context, const struct fact *fact)
{
	*(size_t *)context += fact->kind == FACT_RANGE_SEEN;
	return 0;
}

static void a_dead_leader_hides_nothing(void **state)
{
	pid_t child = child_stopped(leader_leaves);
	struct kept kept = {0};
	struct fact_sink sink = {keep, &kept}, counter;
	struct fact_target target;
	struct explain explain;
	char cmdline[256];
	size_t ranges = 0;

	counter = (struct fact_sink){count_ranges, &ranges};
	assert_int_equal(procfs_check_target(procfs, (uint32_t)child, &explain), 0);
	assert_int_equal(procfs_describe(procfs, (uint32_t)child, &target), 0);
	assert_non_null(strstr(target.exe, "test_procfs"));
	assert_int_equal(procfs_cmdline(procfs, (uint32_t)child, cmdline, sizeof(cmdline)), 0);
	assert_non_null(strstr(cmdline, "test_procfs"));
	assert_true(memory_of(child).rss_anon != UNKNOWN_U64);
	assert_int_equal(memory_of(child).stopped, 1);
	assert_int_equal(procfs_seed(procfs, 1, (uint32_t)child, SEED_ATTACH, &counter), 0);
	assert_true(ranges > 5);
	assert_int_equal(procfs_threads(procfs, 1, (uint32_t)child, &sink), 0);
	assert_int_equal(kept.count, 1);
	assert_int_not_equal(kept.facts[0].thread.id.tid, child);
	child_end(child);
}

static void a_process_that_is_gone(void **state)
{
	pid_t child = child_stopped(NULL);
	struct kept kept = {0};
	struct fact_sink sink = {keep, &kept};
	char cmdline[16];

	child_end(child);
	assert_int_equal(procfs_memory(procfs, 1, (uint32_t)child, &sink), -ESRCH);
	assert_int_equal(procfs_cgroup(procfs, 1, (uint32_t)child, &sink), -ESRCH);
	assert_int_equal(procfs_threads(procfs, 1, (uint32_t)child, &sink), -ESRCH);
	assert_int_equal(procfs_cmdline(procfs, (uint32_t)child, cmdline, sizeof(cmdline)), -ESRCH);
	assert_int_equal(kept.count, 0);
	/* A seed that was begun is ended. */
	assert_int_equal(procfs_seed(procfs, 1, (uint32_t)child, SEED_ATTACH, &sink), -ESRCH);
	assert_int_equal(kept.count, 2);
	assert_int_equal(kept.facts[1].kind, FACT_SEED_END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_folder_that_is_no_procfs),
		cmocka_unit_test(threads_with_names_and_start),
		cmocka_unit_test(describes_itself),
		cmocka_unit_test(runtimes_of_real_programs),
		cmocka_unit_test(refuses_what_is_no_process),
		cmocka_unit_test(refuses_kernel_threads),
		cmocka_unit_test(finds_by_name),
		cmocka_unit_test(memory_is_exact_on_a_stopped_process),
		cmocka_unit_test(a_lagging_counter_is_corrected),
		cmocka_unit_test(children_and_what_they_hold),
		cmocka_unit_test(a_dead_leader_hides_nothing),
		cmocka_unit_test(a_process_that_is_gone),
	};

	return cmocka_run_group_tests(tests, open_procfs, close_procfs);
}
