/* SPDX-License-Identifier: GPL-2.0-only */
/* Parsers of /proc and cgroup text: what the kernel writes, and what a hostile name makes of it. They need
 * no process. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "source/procfs_parse.h"

/* A copy without room behind it, so that ASan sees a parser that reads on. */
static char *exact(const char *text, size_t length)
{
	char *copy = malloc(length ? length : 1);

	assert_non_null(copy);
	memcpy(copy, text, length);
	return copy;
}

static int parse_stat(const char *text, struct proc_stat *ret_stat)
{
	char *copy = exact(text, strlen(text));
	int r = proc_parse_stat(copy, strlen(text), ret_stat);

	free(copy);
	return r;
}

#define STAT_TAIL " S 1 2 3 0 -1 4194560 90 0 0 0 150 50 0 0 20 0 43 0 12345 1000 200 184467\n"

static void stat_takes_any_byte_in_a_name(void **state)
{
	static const struct { const char *text, *comm; } cases[] = {
		{"4711 (python3)" STAT_TAIL, "python3"},
		{"4711 (a) S 1 (b)" STAT_TAIL, "a) S 1 (b"},
		{"4711 ())" STAT_TAIL, ")"},
		{"4711 ()" STAT_TAIL, ""},
		{"4711 (\033[31m\n\"\\)" STAT_TAIL, "\033[31m\n\"\\"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct proc_stat stat;

		assert_int_equal(parse_stat(cases[i].text, &stat), 0);
		assert_string_equal(stat.comm, cases[i].comm);
		assert_int_equal(stat.tid, 4711);
		assert_int_equal(stat.parent_pid, 1);
		assert_int_equal(stat.state, 'S');
		assert_int_equal(stat.flags, 4194560);
		assert_int_equal(stat.cpu_ns, 200 * NSEC_PER_TICK);
		assert_int_equal(stat.start_ns, 12345 * NSEC_PER_TICK);
	}
}

static void stat_refuses_nonsense(void **state)
{
	static const char *const cases[] = {
		"", "4711", "4711 (", "4711 (x", ")(", "4711 (x)", "4711 (x) ", "4711 (x) S", "4711 (x) S 1 2 3",
		"x (x)" STAT_TAIL, "4711  (x)" STAT_TAIL,
		"4711 (x) S 1 2 3 0 -1 4194560 90 0 0 0 150 50 0 0 20 0 43 0 99999999999999999999999 1\n",
		"4711 (x) S 1 2 3 0 -1 4194560 90 0 0 0 150 50 0 0 20 0 43 0 18446744073709551615 1\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct proc_stat stat = {.tid = 7};

		assert_int_equal(parse_stat(cases[i], &stat), -EINVAL);
		assert_int_equal(stat.tid, 7);
	}
}

static void stat_survives_every_cut(void **state)
{
	static const char text[] = "4711 (a) b)" STAT_TAIL;

	for (size_t length = 0; length < sizeof(text); length++) {
		char *copy = exact(text, length);
		struct proc_stat stat;

		proc_parse_stat(copy, length, &stat);
		free(copy);
	}
}

static void status_tells_memory_and_names(void **state)
{
	/* A name cannot break the line: the kernel writes its newline as \n. */
	static const char text[] = "Name:\tx\\nTgid:\\t9\nUmask:\t0022\nState:\tT (stopped)\nTgid:\t4711\nPid:\t4712\n"
				   "NSpid:\t4712\t33\t2\nVmSize:\t 3060 kB\nRssAnon:\t 112 kB\nRssFile:\t 1560 kB\n"
				   "RssShmem:\t 4 kB\nVmSwap:\t 0 kB\nHugetlbPages:\t 2048 kB\n";
	struct proc_status status;

	assert_int_equal(proc_parse_status(text, sizeof(text) - 1, &status), 0);
	assert_int_equal(status.tgid, 4711);
	assert_int_equal(status.ns_pid, 2);
	assert_int_equal(status.state, 'T');
	assert_int_equal(status.vm_size, 3060 * 1024);
	assert_int_equal(status.rss_anon, 112 * 1024);
	assert_int_equal(status.rss_file, 1560 * 1024);
	assert_int_equal(status.rss_shmem, 4 * 1024);
	assert_int_equal(status.swapped, 0);
	assert_int_equal(status.hugetlb, 2048 * 1024);
	for (size_t length = 0; length < sizeof(text); length++) {
		char *copy = exact(text, length);

		proc_parse_status(copy, length, &status);
		free(copy);
	}
}

static void status_of_a_zombie_has_no_memory(void **state)
{
	static const char text[] = "Name:\tx\nState:\tZ (zombie)\nTgid:\t4711\nNSpid:\t4711\n";
	struct proc_status status;

	assert_int_equal(proc_parse_status(text, sizeof(text) - 1, &status), 0);
	assert_true(status.vm_size == UNKNOWN_U64);
	assert_true(status.rss_anon == UNKNOWN_U64);
	assert_int_equal(proc_parse_status("garbage", 7, &status), -EINVAL);
	assert_int_equal(proc_parse_status("Tgid:\t99999999999\nState:\tS\n", 27, &status), -EINVAL);
}

static void numbers(void **state)
{
	assert_int_equal(proc_parse_number("4096\n", 5), 4096);
	assert_true(proc_parse_number("max\n", 4) == UNKNOWN_U64);
	assert_true(proc_parse_number("-1\n", 3) == UNKNOWN_U64);
	assert_true(proc_parse_number("", 0) == UNKNOWN_U64);
	assert_true(proc_parse_number("99999999999999999999", 20) == UNKNOWN_U64);
	assert_int_equal(proc_find_counter("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", 42, "oom_kill"), 3);
	assert_true(proc_find_counter("oom_kill_disable 0\n", 19, "oom_kill") == UNKNOWN_U64);
	assert_int_equal(proc_find_kilobytes("A: 1 kB\nAnonymous:  7 kB\n", 25, "Anonymous:"), 7 * 1024);
	assert_true(proc_find_kilobytes("Anonymous: 18446744073709551615 kB", 34, "Anonymous:") == UNKNOWN_U64);
}

static void lists_of_cpus(void **state)
{
	static const struct { const char *text; int count; } cases[] = { /* -1: refused */
		{"0-1\n", 2}, {"0", 1}, {"", 0}, {"\n", 0}, {"0-3,8,10-11\n", 7}, {"0-8191", 8192}, {"5-5", 1}, {"1,1", 1},
		{"\t0-1\nMems:\t7", 2},
		{"8192", -1}, {"0-8192", -1}, {"3-1", -1}, {"-1", -1}, {"1-", -1}, {"1,", -1}, {",1", -1}, {"1 2", -1},
		{"a", -1}, {"0-99999999999999999999", -1}, {"0--1", -1}, {"0x1", -1}, {"max", -1},
	};
	static const char text[] = "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t2-7\nMems_allowed:\t1\n";
	struct proc_cpus online, allowed;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t length = strlen(cases[i].text);
		char *copy = exact(cases[i].text, length);
		struct proc_cpus cpus;
		int r = proc_parse_cpus(copy, length, &cpus);

		assert_int_equal(r, cases[i].count < 0 ? -EINVAL : 0);
		if (r == 0)
			assert_int_equal(proc_cpus_common(&cpus, &cpus), cases[i].count);
		free(copy);
	}
	/* What may be used and is there. */
	assert_int_equal(proc_parse_cpus("0-3", 3, &online), 0);
	assert_int_equal(proc_find_cpus(text, sizeof(text) - 1, "Cpus_allowed_list:", &allowed), 0);
	assert_int_equal(proc_cpus_common(&allowed, &online), 2);
	assert_int_equal(proc_find_cpus(text, sizeof(text) - 1, "Cpus:", &allowed), -EINVAL);
}

static void lists_of_cpus_survive_any_bytes(void **state)
{
	static const char alphabet[] = "0123456789-,,--\n x";
	unsigned int seed = 7;

	for (int i = 0; i < 200000; i++) {
		char text[12];
		size_t length = (size_t)rand_r(&seed) % sizeof(text);
		struct proc_cpus cpus;
		char *copy;

		for (size_t j = 0; j < length; j++)
			text[j] = alphabet[(size_t)rand_r(&seed) % (sizeof(alphabet) - 1)];
		copy = exact(text, length);
		if (proc_parse_cpus(copy, length, &cpus) == 0)
			assert_true(proc_cpus_common(&cpus, &cpus) <= PROC_CPUS_MAX);
		free(copy);
	}
}

static void cgroup_line_of_a_controller(void **state)
{
	static const char text[] = "9:name=systemd:/user.slice\n5:cpu,cpuacct:/a\n4:memory:/b:c\n0::/unified\n";
	char path[64];

	assert_int_equal(proc_find_cgroup(text, sizeof(text) - 1, "memory", path, sizeof(path)), 0);
	assert_string_equal(path, "/b:c");
	assert_int_equal(proc_find_cgroup(text, sizeof(text) - 1, "cpu", path, sizeof(path)), 0);
	assert_string_equal(path, "/a");
	assert_int_equal(proc_find_cgroup(text, sizeof(text) - 1, "", path, sizeof(path)), 0);
	assert_string_equal(path, "/unified");
	assert_int_equal(proc_find_cgroup(text, sizeof(text) - 1, "pids", path, sizeof(path)), -ENOENT);
	assert_int_equal(proc_find_cgroup(text, sizeof(text) - 1, "memory", path, 3), -ENOENT);
	assert_int_equal(proc_find_cgroup("0:", 2, "", path, sizeof(path)), -ENOENT);
	assert_int_equal(proc_find_cgroup("", 0, "", path, sizeof(path)), -ENOENT);
}

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void unit_and_container_of_a_cgroup(void **state)
{
	static const struct { const char *path, *unit, *container; } cases[] = {
		{"/", "", ""},
		{"/system.slice/recsys-api.service", "recsys-api.service", ""},
		{"/system.slice/recsys-api.service/worker", "recsys-api.service", ""},
		{"/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service", "foo.service", ""},
		{"/system.slice/dev-disk\\x2dby.service", "dev-disk-by.service", ""},
		{"/system.slice/docker-" ID ".scope", "docker-" ID ".scope", ID},
		{"/docker/" ID, "", ID},
		{"/kubepods/besteffort/pod1/" ID, "", ID},
		{"/kubepods.slice/pod.slice/cri-containerd-" ID ".scope", "cri-containerd-" ID ".scope", ID},
		{"/machine.slice/crio-" ID ".scope/container", "crio-" ID ".scope", ID},
		{"/docker/" ID "0", "", ""},
		{"/.service/x", "", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char unit[128], container[80];

		proc_cgroup_unit(cases[i].path, unit, sizeof(unit));
		proc_cgroup_container(cases[i].path, container, sizeof(container));
		assert_string_equal(unit, cases[i].unit);
		assert_string_equal(container, cases[i].container);
	}
}

static void runtime_of_a_mapped_file(void **state)
{
	static const struct { const char *path, *runtime; } cases[] = {
		{"/usr/bin/python3.11", "cpython 3.11"},
		{"/opt/lib/libpython3.12.so.1.0", "cpython 3.12"},
		{"/opt/lib/libpython3.6m.so.1.0", "cpython 3.6"},
		{"/usr/lib/libpython3.so", ""},
		{"/usr/lib/jvm/lib/server/libjvm.so", "hotspot"},
		{"/usr/bin/node", "node"},
		{"/usr/bin/nodemon", ""},
		{"/lib/x86_64-linux-gnu/libc.so.6", "glibc"},
		{"/lib/x86_64-linux-gnu/libc-2.31.so", "glibc 2.31"},
		{"/lib/ld-musl-x86_64.so.1", "musl"},
		{"/usr/bin/cat", ""},
		{"[vdso]", ""},
		{"", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char runtime[64];
		int rank;

		proc_path_runtime(cases[i].path, runtime, sizeof(runtime), &rank);
		assert_string_equal(runtime, cases[i].runtime);
		assert_int_equal(rank > 0, cases[i].runtime[0] != '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stat_takes_any_byte_in_a_name),
		cmocka_unit_test(stat_refuses_nonsense),
		cmocka_unit_test(stat_survives_every_cut),
		cmocka_unit_test(status_tells_memory_and_names),
		cmocka_unit_test(status_of_a_zombie_has_no_memory),
		cmocka_unit_test(numbers),
		cmocka_unit_test(lists_of_cpus),
		cmocka_unit_test(lists_of_cpus_survive_any_bytes),
		cmocka_unit_test(cgroup_line_of_a_controller),
		cmocka_unit_test(unit_and_container_of_a_cgroup),
		cmocka_unit_test(runtime_of_a_mapped_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
