/* SPDX-License-Identifier: GPL-2.0-only */
/* What is found missing on machines of other kinds: their proc and sys files are laid out in a folder, since one
 * machine has but one lockdown mode. Capabilities are this process's own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <cap-ng.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/privileges.h"

static void put(const char *root, const char *path, const char *text)
{
	char full[512];
	FILE *out;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = strchr(full + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0755);
		*slash = '/';
	}
	out = fopen(full, "we");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static int begin(void **state)
{
	static char root[] = "/tmp/test_privileges.XXXXXX";

	strcpy(root + strlen(root) - 6, "XXXXXX");
	*state = mkdtemp(root);
	return *state ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	return remove(path);
}

static int end(void **state)
{
	return nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The check of this name; static, good until the next call. */
static const struct privilege_check *check(const char *root, const char *name)
{
	static struct privilege_check checks[PRIVILEGE_CHECKS_MAX];
	size_t n = privileges_check(root, checks);

	for (size_t i = 0; i < n; i++) {
		assert_true(checks[i].detail[0]);
		/* What is wrong has a remedy, and only that. */
		assert_int_equal(checks[i].ok, checks[i].remedy[0] == '\0');
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(checks[i].name, name) == 0)
			return &checks[i];
	}
	fail_msg("no check '%s'", name);
	return NULL;
}

static void bare_machine(void **state)
{
	const char *root = *state;

	assert_false(check(root, "kernel")->ok);
	assert_false(check(root, "BTF")->ok);
	assert_non_null(strstr(check(root, "BTF")->remedy, "CONFIG_DEBUG_INFO_BTF"));
	assert_false(check(root, "tracefs")->ok);
	assert_string_equal(check(root, "tracefs")->detail, "not mounted: the tracepoint variant needs it");
	assert_non_null(strstr(check(root, "tracefs")->remedy, "mount -t tracefs"));
	assert_true(check(root, "lockdown")->ok);
}

static void good_machine(void **state)
{
	const char *root = *state;

	put(root, "/proc/sys/kernel/osrelease", "6.1.0-28-cloud-amd64\n");
	put(root, "/proc/sys/kernel/unprivileged_bpf_disabled", "2\n");
	put(root, "/proc/self/uid_map", "         0          0 4294967295\n");
	put(root, "/sys/kernel/btf/vmlinux", "");
	put(root, "/sys/kernel/debug/tracing/events/header_page", "");
	put(root, "/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	assert_true(check(root, "kernel")->ok);
	assert_non_null(strstr(check(root, "kernel")->detail, "6.1.0-28-cloud-amd64"));
	assert_true(check(root, "BTF")->ok);
	assert_true(check(root, "user namespace")->ok);
	assert_true(check(root, "tracefs")->ok);
	assert_non_null(strstr(check(root, "tracefs")->detail, "/sys/kernel/debug/tracing"));
	assert_true(check(root, "lockdown")->ok);
	assert_non_null(strstr(check(root, "lockdown")->detail, "integrity"));
	assert_non_null(strstr(check(root, "unprivileged_bpf_disabled")->detail, "2"));
	assert_true(check(root, "memory lock")->ok);
}

static void hardened_and_old_machines(void **state)
{
	const char *root = *state;

	put(root, "/proc/sys/kernel/osrelease", "5.4.0\n");
	put(root, "/proc/self/uid_map", "0 100000 65536\n");
	put(root, "/sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
	assert_false(check(root, "kernel")->ok);
	assert_non_null(strstr(check(root, "kernel")->remedy, "5.8"));
	assert_false(check(root, "user namespace")->ok);
	assert_false(check(root, "lockdown")->ok);
	assert_true(check(root, "lockdown")->needed);
	put(root, "/proc/sys/kernel/osrelease", "5.8.0\n");
	assert_true(check(root, "kernel")->ok);
	put(root, "/proc/sys/kernel/osrelease", "not a version\n");
	assert_false(check(root, "kernel")->ok);
}

/* Takes capabilities away, so it is the last test. */
static void capabilities(void **state)
{
	struct explain explain = { 0 };
	bool privileged = geteuid() == 0;

	if (privileged) {
		capng_get_caps_process();
		capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_BPF);
		capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, CAP_PERFMON);
		assert_int_equal(capng_apply(CAPNG_SELECT_CAPS), 0);
		/* CAP_SYS_ADMIN stands in for both. */
		assert_true(check("", "CAP_BPF")->ok);
		assert_true(check("", "CAP_SYS_PTRACE")->ok);
		assert_int_equal(privileges_require(&explain), 0);
		assert_string_equal(explain.what, "");
	}
	capng_clear(CAPNG_SELECT_CAPS);
	assert_int_equal(capng_apply(CAPNG_SELECT_CAPS), 0);
	assert_false(check("", "CAP_BPF")->ok);
	assert_false(check("", "CAP_PERFMON")->ok);
	assert_false(check("", "CAP_SYS_PTRACE")->ok);
	assert_true(check("", "CAP_BPF")->needed);
	assert_non_null(strstr(check("", "CAP_BPF")->remedy, privileged ? "--cap-add" : "sudo"));
	assert_true(privileges_require(&explain) < 0);
	assert_non_null(strstr(explain.remedy, "poolscope doctor"));
}

#define PRIVILEGE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PRIVILEGE_TEST(bare_machine),
		PRIVILEGE_TEST(good_machine),
		PRIVILEGE_TEST(hardened_and_old_machines),
		PRIVILEGE_TEST(capabilities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
