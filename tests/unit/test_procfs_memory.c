/* SPDX-License-Identifier: GPL-2.0-only */
/* The procfs source on real processes: what they hold, stopped, without a leader, and gone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "procfs_fixture.h"

static struct fact_memory memory_read(pid_t pid, bool exact)
{
	struct kept kept = {0};
	struct fact_sink sink = {keep, &kept};

	assert_int_equal(procfs_memory(procfs, 1, (uint32_t)pid, exact, &sink), 0);
	assert_int_equal(kept.count, 1);
	assert_int_equal(kept.facts[0].kind, FACT_MEMORY);
	return kept.facts[0].memory;
}

static struct fact_memory memory_of(pid_t pid)
{
	return memory_read(pid, false);
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

/* A kernel whose counter lags: the lag is measured once and added until it may, or must, be measured again. */
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
	assert_int_equal(memory_read(child, true).rss_anon, rollup_of(child));
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

static void pin_to_one(void)
{
	cpu_set_t all, one;

	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&one); cpu++) {
		if (CPU_ISSET(cpu, &all))
			CPU_SET(cpu, &one);
	}
	sched_setaffinity(0, sizeof(one), &one);
}

static struct fact_cgroup cgroup_of(uint32_t target, pid_t pid)
{
	struct kept kept = {0};
	struct fact_sink sink = {keep, &kept};

	assert_int_equal(procfs_cgroup(procfs, target, (uint32_t)pid, &sink), 0);
	assert_int_equal(kept.count, 1);
	return kept.facts[0].cgroup;
}

static void cpus_of_the_host_and_of_a_process(void **state)
{
	pid_t pinned = child_stopped(pin_to_one);
	cpu_set_t all;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	assert_int_equal(cgroup_of(11, getpid()).cpus_online, sysconf(_SC_NPROCESSORS_ONLN));
	assert_int_equal(cgroup_of(11, getpid()).cpus_allowed, CPU_COUNT(&all));
	assert_int_equal(cgroup_of(12, pinned).cpus_allowed, 1);
	assert_int_equal(cgroup_of(12, pinned).cpus_online, sysconf(_SC_NPROCESSORS_ONLN));
	/* Not asked for again at once, of the same target. */
	assert_int_equal(cgroup_of(12, getpid()).cpus_allowed, 1);
	procfs->caches[12].next_cpus_ns = 0;
	assert_int_equal(cgroup_of(12, getpid()).cpus_allowed, CPU_COUNT(&all));
	child_end(pinned);
}

/* ---- a process whose leader has exited ---------------------------------------------------------------- */

static void *survivor(void *argument)
{
	pid_t leader = getpid();
	char path[64], state = 0, line[256] = "";
	FILE *file;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves it behind */
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
	assert_string_equal(cgroup_of(13, child).path, cgroup_of(14, getpid()).path);
	assert_int_equal(procfs_seed(procfs, 1, (uint32_t)child, SEED_ATTACH, &counter), 0);
	assert_true(ranges > 5);
	assert_int_equal(procfs_threads(procfs, 1, (uint32_t)child, &sink), 0);
	assert_int_equal(kept.count, 1);
	assert_int_not_equal(kept.facts[0].thread.id.tid, child);
	child_end(child);
}

#define HUGE (2UL << 20)

/* None need be there: nothing is reserved. */
static void leader_leaves_a_huge_page(void)
{
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/tmp", "hugetlbfs", 0, NULL) < 0)
		_exit(3);
	fd = open("/tmp/huge", O_CREAT | O_RDWR, 0600);
	if (mmap(NULL, HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0) == MAP_FAILED)
		_exit(4);
	leader_leaves();
}

static int count_huge(void *context, const struct fact *fact)
{
	*(size_t *)context += fact->kind == FACT_RANGE_SEEN && fact->range.flags & RANGE_HUGETLB;
	return 0;
}

static void a_dead_leader_hides_no_huge_page(void **state)
{
	size_t huge = 0;
	struct fact_sink counter = {count_huge, &huge};
	pid_t child;

	if (geteuid() != 0 || access("/sys/kernel/mm/hugepages/hugepages-2048kB", F_OK) < 0) {
		print_message("no rights to mount, or no huge pages of 2 MiB\n");
		return;
	}
	child = child_stopped(leader_leaves_a_huge_page);
	assert_int_equal(procfs_seed(procfs, 1, (uint32_t)child, SEED_ATTACH, &counter), 0);
	assert_int_equal(huge, 1);
	child_end(child);
}

static void a_process_that_is_gone(void **state)
{
	pid_t child = child_stopped(NULL);
	struct kept kept = {0};
	struct fact_sink sink = {keep, &kept};
	char cmdline[16];

	child_end(child);
	assert_int_equal(procfs_memory(procfs, 1, (uint32_t)child, false, &sink), -ESRCH);
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
		cmocka_unit_test(memory_is_exact_on_a_stopped_process),
		cmocka_unit_test(a_lagging_counter_is_corrected),
		cmocka_unit_test(children_and_what_they_hold),
		cmocka_unit_test(cpus_of_the_host_and_of_a_process),
		cmocka_unit_test(a_dead_leader_hides_nothing),
		cmocka_unit_test(a_dead_leader_hides_no_huge_page),
		cmocka_unit_test(a_process_that_is_gone),
	};

	return cmocka_run_group_tests(tests, open_procfs, close_procfs);
}
