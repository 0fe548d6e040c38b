/* SPDX-License-Identifier: GPL-2.0-only */
/* The procfs source on real processes: this one, its threads and its children: who they are, who is refused, and
 * how they are found. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "procfs_fixture.h"

static const struct fact_thread *thread_of(const struct kept *kept, uint32_t tid)
{
	for (size_t i = 0; i < kept->count; i++) {
		if (kept->facts[i].thread.id.tid == tid)
			return &kept->facts[i].thread;
	}
	return NULL;
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

static bool is_stopped_at_once(void)
{
	struct fact_thread asked = {0};
	pid_t child = fork();

	if (child == 0) {
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(child, NULL, WUNTRACED), child);
	asked.id.tid = (uint32_t)child;
	procfs_ask(procfs, (uint32_t)child, &asked);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_false(asked.is_unsure);
	return !asked.has_run && asked.state == 'T';
}

/* Who works has run; who is stopped has not, if it could do hardly anything before. */
static void asks_newborns(void **state)
{
	struct fact_thread asked = {.id.tid = (uint32_t)getpid()};
	clock_t begun = clock();
	int stopped = 0;

	while (clock() - begun < CLOCKS_PER_SEC / 100)
		;
	procfs_ask(procfs, (uint32_t)getpid(), &asked);
	assert_true(asked.has_run);
	for (int i = 0; i < 20; i++)
		stopped += is_stopped_at_once();
	assert_int_not_equal(stopped, 0); /* on a slow machine some take longer than a moment for their first step */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_folder_that_is_no_procfs),
		cmocka_unit_test(threads_with_names_and_start),
		cmocka_unit_test(describes_itself),
		cmocka_unit_test(runtimes_of_real_programs),
		cmocka_unit_test(refuses_what_is_no_process),
		cmocka_unit_test(asks_newborns),
		cmocka_unit_test(refuses_kernel_threads),
		cmocka_unit_test(finds_by_name),
	};

	return cmocka_run_group_tests(tests, open_procfs, close_procfs);
}
