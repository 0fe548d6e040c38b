/* SPDX-License-Identifier: GPL-2.0-only */
/* Limits of cgroups, versions 1 and 2, in folders that look like the kernel's; and what this machine has. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/cgroup.h"
#include "source/procfs.h"

static char root[] = "/tmp/poolscope-cgroup-XXXXXX";

static void put(const char *path, const char *text)
{
	char full[512];
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *slash = full + sizeof(root); (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	file = fopen(full, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int make_folders(void **state)
{
	assert_non_null(mkdtemp(root));
	/* version 2: the tightest limits stand in different ancestors */
	put("v2/a/memory.max", "1000000\n");
	put("v2/a/memory.current", "700000\n");
	put("v2/a/cpu.max", "150000 100000\n");
	put("v2/a/pids.max", "max\n");
	put("v2/a/b/memory.max", "max\n");
	put("v2/a/b/memory.current", "5000\n");
	put("v2/a/b/memory.events", "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n");
	put("v2/a/b/cpu.max", "max 100000\n");
	put("v2/a/b/pids.max", "50\n");
	put("v2/free/memory.max", "max\n");
	put("v2/free/memory.current", "77\n");
	put("v2/free/cpu.max", "max 100000\n");
	put("v2/free/pids.max", "max\n");
	/* version 1 */
	put("v1 mem/x/memory.limit_in_bytes", "9223372036854771712\n");
	put("v1 mem/x/memory.usage_in_bytes", "4096\n");
	put("v1 mem/x/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
	put("v1 mem/x/y/memory.limit_in_bytes", "2097152\n");
	put("v1 mem/x/y/memory.usage_in_bytes", "1048576\n");
	put("v1 mem/x/y/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
	put("v1cpu/x/cpu.cfs_quota_us", "-1\n");
	put("v1cpu/x/cpu.cfs_period_us", "100000\n");
	put("v1cpu/q/cpu.cfs_quota_us", "50000\n");
	put("v1cpu/q/cpu.cfs_period_us", "100000\n");
	return 0;
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	return remove(path);
}

static int remove_folders(void **state)
{
	return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static struct fact_cgroup read_with(const char *mountinfo_format, const char *cgroup_text)
{
	struct cgroup_tree *tree = NULL;
	struct fact_cgroup cgroup;
	char mountinfo[1024];

	snprintf(mountinfo, sizeof(mountinfo), mountinfo_format, root, root, root);
	assert_int_equal(cgroup_tree_parse(mountinfo, &tree), 0);
	cgroup_tree_read(tree, cgroup_text, strlen(cgroup_text), &cgroup);
	cgroup_tree_free(tree);
	return cgroup;
}

#define V2 "21 26 0:20 / /proc rw - proc proc rw\n30 22 0:27 / %s/v2 rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1 "30 22 0:27 / %s/v1\\040mem rw - cgroup cgroup rw,memory\n31 22 0:28 / %s/v1cpu rw - cgroup cgroup rw,cpu,cpuacct\n" \
	   "32 22 0:29 / %s/v2 rw - cgroup2 cgroup2 rw\n"

static void version_2_tightest_ancestor(void **state)
{
	struct fact_cgroup cgroup = read_with(V2, "0::/a/b\n");

	assert_string_equal(cgroup.path, "/a/b");
	assert_int_equal(cgroup.memory_max, 1000000);
	assert_int_equal(cgroup.memory_current, 700000); /* of the cgroup that holds the limit */
	assert_int_equal(cgroup.oom_kills, 1);
	assert_int_equal(cgroup.pids_max, 50);
	assert_true(cgroup.cpu_quota_cores == 1.5);
}

static void version_2_without_limits(void **state)
{
	struct fact_cgroup cgroup = read_with(V2, "0::/free\n");

	assert_true(cgroup.memory_max == UNKNOWN_U64 && !cgroup.is_memory_unread);
	assert_int_equal(cgroup.memory_current, 77);
	assert_true(cgroup.oom_kills == UNKNOWN_U64);
	assert_true(cgroup.pids_max == UNKNOWN_U64);
	assert_true(isnan(cgroup.cpu_quota_cores));
}

static void version_1(void **state)
{
	struct fact_cgroup cgroup = read_with(V1, "8:pids:/\n4:memory:/x/y\n3:cpu,cpuacct:/q\n0::/a\n");

	assert_string_equal(cgroup.path, "/x/y");
	assert_int_equal(cgroup.memory_max, 2097152);
	assert_int_equal(cgroup.memory_current, 1048576);
	assert_int_equal(cgroup.oom_kills, 2);
	assert_true(cgroup.cpu_quota_cores == 0.5);
	cgroup = read_with(V1, "4:memory:/x\n3:cpu,cpuacct:/x\n");
	/* the counter's maximum is no limit */
	assert_true(cgroup.memory_max == UNKNOWN_U64 && !cgroup.is_memory_unread);
	assert_int_equal(cgroup.memory_current, 4096);
	assert_int_equal(cgroup.oom_kills, 4);
	assert_true(isnan(cgroup.cpu_quota_cores));
}

/* A container without a cgroup namespace sees only its own part mounted. */
static void a_part_of_a_hierarchy(void **state)
{
	static const char part[] = "30 22 0:27 /docker/1 %s/v2/a rw - cgroup2 cgroup2 rw\n";

	assert_int_equal(read_with(part, "0::/docker/1/b\n").pids_max, 50);
	assert_int_equal(read_with(part, "0::/docker/1\n").memory_max, 1000000);
	assert_true(read_with(part, "0::/docker/12/b\n").pids_max == UNKNOWN_U64);
	assert_true(read_with(part, "0::/other\n").memory_max == UNKNOWN_U64);
}

static void what_lies_outside_is_unknown(void **state)
{
	static const struct {
		const char *text;
		bool is_there; /* some cgroup, which may have bounds */
	} cases[] = {
		{"0::/../../a/b\n", true}, {"0::/a/../../etc\n", true}, {"0::/nowhere\n", true}, {"0::\n", true},
		{"5:memory:/../a\n", true}, {"", false}, {"garbage", false}, {"1:name=systemd:/a\n", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fact_cgroup cgroup = read_with(V2, cases[i].text);

		assert_int_equal(cgroup.is_memory_unread, cases[i].is_there);

		assert_true(cgroup.memory_max == UNKNOWN_U64 && cgroup.memory_current == UNKNOWN_U64);
		assert_true(cgroup.pids_max == UNKNOWN_U64 && isnan(cgroup.cpu_quota_cores));
	}
	/* Version 1 has the memory's bounds, and is not mounted here. */
	assert_true(read_with(V2, "5:memory:/a\n0::/a/b\n").memory_max == UNKNOWN_U64);
	assert_true(read_with(V2, "5:memory:/a\n0::/a/b\n").is_memory_unread);
	assert_int_equal(read_with(V2, "5:memory:/a\n0::/a/b\n").pids_max, 50);
	assert_true(read_with("nonsense - \n - cgroup2\n1 2 - cgroup2 x y\n", "0::/a\n").memory_max == UNKNOWN_U64);
}

static void paths_as_a_user_gives_them(void **state)
{
	struct cgroup_tree *tree = NULL;

	assert_int_equal(cgroup_tree_parse("30 22 0:27 / /sys/fs/cgroup rw - cgroup2 c rw\n"
					   "31 22 0:27 / /sys/fs/cgroup/memory rw - cgroup c rw,memory\n", &tree), 0);
	assert_string_equal(cgroup_tree_relative(tree, "/sys/fs/cgroup/memory/a"), "/a");
	assert_string_equal(cgroup_tree_relative(tree, "/sys/fs/cgroup/memoryx"), "/memoryx");
	assert_string_equal(cgroup_tree_relative(tree, "/system.slice"), "/system.slice");
	assert_string_equal(cgroup_tree_relative(tree, "/sys/fs/cgroup"), "");
	cgroup_tree_free(tree);
}

static struct fact_cgroup own;

static int keep(void *context, const struct fact *fact)
{
	assert_int_equal(fact->kind, FACT_CGROUP);
	own = fact->cgroup;
	return 0;
}

static void this_process(void **state)
{
	struct procfs *procfs = NULL;
	struct explain explain;
	uint32_t *pids = NULL;
	size_t count = 0;

	assert_int_equal(procfs_open(NULL, &procfs, &explain), 0);
	assert_int_equal(procfs_cgroup(procfs, 1, (uint32_t)getpid(), &(struct fact_sink){keep, NULL}), 0);
	assert_int_equal(own.path[0], '/');
	assert_int_equal(own.host_memory_total / 1024, sysconf(_SC_PHYS_PAGES) * (sysconf(_SC_PAGESIZE) / 1024));
	assert_true(own.memory_current == UNKNOWN_U64 || own.memory_current > 0);
	/* The parent is where we are; and the agent itself is never found. */
	assert_int_equal(procfs_find_cgroup(procfs, own.path, &pids, &count), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_not_equal(pids[i], getpid());
	free(pids);
	assert_int_equal(procfs_find_cgroup(procfs, "/no/such/cgroup", &pids, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(procfs_find_cgroup(procfs, "", &pids, &count), -EINVAL);
	assert_int_equal(procfs_find_unit(procfs, "no-such-unit", &pids, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(procfs_find_container(procfs, "0123abcd", &pids, &count), 0);
	assert_int_equal(count, 0);
	procfs_free(procfs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_2_tightest_ancestor),
		cmocka_unit_test(version_2_without_limits),
		cmocka_unit_test(version_1),
		cmocka_unit_test(a_part_of_a_hierarchy),
		cmocka_unit_test(what_lies_outside_is_unknown),
		cmocka_unit_test(paths_as_a_user_gives_them),
		cmocka_unit_test(this_process),
	};

	return cmocka_run_group_tests(tests, make_folders, remove_folders);
}
