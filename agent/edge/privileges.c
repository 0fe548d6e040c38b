/* SPDX-License-Identifier: GPL-2.0-only */
/* What this process may do here and what the kernel offers, each with what is lost without it and how to get it.
 * It must not know the probes: what really loads is found by trial (source/probes). */
#include "privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

/* One line of a file below root, without its newline. False: it cannot be read. */
static bool read_line(const char *root, const char *path, char *buffer, size_t size)
{
	char full[512];
	FILE *in;
	bool ok;

	snprintf(full, sizeof(full), "%s%s", root, path);
	in = fopen(full, "re");
	if (!in)
		return false;
	ok = fgets(buffer, (int)size, in) != NULL;
	fclose(in);
	if (ok)
		buffer[strcspn(buffer, "\n")] = '\0';
	return ok;
}

static bool exists(const char *root, const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", root, path);
	/* access() would ask for the real user, without the capabilities of who is not root. */
	return faccessat(AT_FDCWD, full, F_OK, AT_EACCESS) == 0;
}

static bool kernel_version(const char *root, char *release, size_t size, unsigned *ret_version)
{
	unsigned major, minor;

	if (!read_line(root, "/proc/sys/kernel/osrelease", release, size) || sscanf(release, "%u.%u", &major, &minor) != 2)
		return false;
	*ret_version = major * 1000 + minor;
	return true;
}

static void check_kernel(const char *root, struct privilege_check *check)
{
	struct utsname name;
	char release[128];
	unsigned version;

	uname(&name);
	if (!kernel_version(root, release, sizeof(release), &version)) {
		snprintf(check->detail, sizeof(check->detail), "its version cannot be read");
		snprintf(check->remedy, sizeof(check->remedy), "Mount /proc: mount -t proc proc /proc");
		return;
	}
	snprintf(check->detail, sizeof(check->detail), "Linux %.100s, %.20s", release, name.machine);
	if (version < 5008) /* BPF_MAP_TYPE_RINGBUF */
		snprintf(check->remedy, sizeof(check->remedy), "Use Linux 5.8 or newer (it has the BPF ring buffer); tested from 5.10 on.");
	else if (strcmp(name.machine, "x86_64") != 0 && strcmp(name.machine, "aarch64") != 0)
		snprintf(check->remedy, sizeof(check->remedy), "Use x86-64 or 64-bit ARM: poolscope knows no other machine.");
	else
		check->ok = true;
}

static void check_btf(const char *root, struct privilege_check *check)
{
	check->ok = exists(root, "/sys/kernel/btf/vmlinux");
	snprintf(check->detail, sizeof(check->detail), "/sys/kernel/btf/vmlinux %s", check->ok ? "is there" : "is missing");
	if (!check->ok)
		snprintf(check->remedy, sizeof(check->remedy),
			 "Boot a kernel built with CONFIG_DEBUG_INFO_BTF=y (those of Debian, Ubuntu, Fedora and RHEL 8+ are); "
			 "in a container, mount the host's /sys.");
}

static void check_user_namespace(const char *root, struct privilege_check *check)
{
	unsigned inside, outside, count;
	char line[128];

	/* The initial user namespace maps everything onto itself (user_namespaces(7)). */
	if (!read_line(root, "/proc/self/uid_map", line, sizeof(line)) ||
	    sscanf(line, "%u %u %u", &inside, &outside, &count) != 3 || (inside == 0 && outside == 0 && count == UINT32_MAX)) {
		check->ok = true;
		snprintf(check->detail, sizeof(check->detail), "the initial one");
		return;
	}
	snprintf(check->detail, sizeof(check->detail), "not the initial one: capabilities count only inside it");
	snprintf(check->remedy, sizeof(check->remedy),
		 "Run poolscope on the host, or in a container without user namespaces (not rootless).");
}

static bool has_capability(unsigned capability)
{
	return capng_have_capability(CAPNG_EFFECTIVE, capability) == 1;
}

/* What each is for; FACTS: with these four and no more, all probes attach. */
static const struct capability {
	const char *name, *what;
	unsigned capability;
	bool admin_does; /* CAP_SYS_ADMIN includes it (include/linux/capability.h: bpf_capable(), perfmon_capable()) */
} capabilities[] = {
	{ "CAP_BPF", "load BPF programs", CAP_BPF, true },
	{ "CAP_PERFMON", "attach them to tracepoints", CAP_PERFMON, true },
	{ "CAP_SYS_PTRACE", "read page tables and memory of other processes", CAP_SYS_PTRACE, false },
	{ "CAP_DAC_READ_SEARCH", "enter tracefs and read other users' files", CAP_DAC_READ_SEARCH, false },
};

static void check_capability(const struct capability *capability, struct privilege_check *check)
{
	bool by_admin = capability->admin_does && has_capability(CAP_SYS_ADMIN);

	check->ok = has_capability(capability->capability) || by_admin;
	snprintf(check->detail, sizeof(check->detail), "%s: to %s",
		 !check->ok ? "missing" : has_capability(capability->capability) ? "there" : "by CAP_SYS_ADMIN",
		 capability->what);
	if (check->ok)
		return;
	if (geteuid() == 0)
		snprintf(check->remedy, sizeof(check->remedy),
			 "This root lacks it: start the container or unit with %s (docker run --cap-add, AmbientCapabilities=).",
			 capability->name + strlen("CAP_"));
	else
		snprintf(check->remedy, sizeof(check->remedy),
			 "Run it with sudo, or: setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search+ep /path/to/poolscope");
}

/* "none [integrity] confidentiality": the one in brackets holds. */
static void check_lockdown(const char *root, struct privilege_check *check)
{
	char line[128];

	check->ok = true;
	if (!read_line(root, "/sys/kernel/security/lockdown", line, sizeof(line))) {
		snprintf(check->detail, sizeof(check->detail), "not known (no lockdown file; none, or securityfs is not mounted)");
	} else if (strstr(line, "[confidentiality]")) {
		check->ok = false;
		snprintf(check->detail, sizeof(check->detail), "confidentiality: the kernel lets no program read its memory");
		snprintf(check->remedy, sizeof(check->remedy),
			 "Boot without lockdown=confidentiality (integrity is no hindrance); it often comes with secure boot.");
	} else {
		snprintf(check->detail, sizeof(check->detail), "%s", strstr(line, "[integrity]") ? "integrity: no hindrance" : "none");
	}
}

static void check_unprivileged(const char *root, struct privilege_check *check)
{
	char line[32];

	check->ok = true;
	if (!read_line(root, "/proc/sys/kernel/unprivileged_bpf_disabled", line, sizeof(line)))
		snprintf(check->detail, sizeof(check->detail), "not known");
	else
		snprintf(check->detail, sizeof(check->detail), "%.10s: no hindrance to who has CAP_BPF", line);
}

static void check_tracefs(const char *root, struct privilege_check *check)
{
	static const char *const places[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };

	bool is_closed = false;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		char path[64];

		snprintf(path, sizeof(path), "%s/events", places[i]);
		if (!exists(root, path)) {
			is_closed |= errno == EACCES;
			continue;
		}
		check->ok = true;
		snprintf(check->detail, sizeof(check->detail), "mounted at %s", places[i]);
		return;
	}
	snprintf(check->detail, sizeof(check->detail), "%s: the tracepoint variant needs it",
		 is_closed ? "not to be entered" : "not mounted");
	snprintf(check->remedy, sizeof(check->remedy), "%s",
		 is_closed ? "It is for root, or with CAP_DAC_READ_SEARCH: whether it is mounted only they see."
			   : "mount -t tracefs tracefs /sys/kernel/tracing (poolscope tries this itself when it needs it and may).");
}

static void check_memlock(const char *root, struct privilege_check *check)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	char release[128];
	unsigned version;

	getrlimit(RLIMIT_MEMLOCK, &limit);
	/* From 5.11 on BPF memory is charged to the cgroup (commit 97306be45fbe). */
	if (!kernel_version(root, release, sizeof(release), &version) || version >= 5011) {
		check->ok = true;
		snprintf(check->detail, sizeof(check->detail), "of no matter: BPF memory is charged to the cgroup");
		return;
	}
	check->ok = limit.rlim_cur == RLIM_INFINITY || has_capability(CAP_SYS_RESOURCE);
	snprintf(check->detail, sizeof(check->detail), "RLIMIT_MEMLOCK is %s", check->ok ? "enough, or can be raised" : "limited");
	if (!check->ok)
		snprintf(check->remedy, sizeof(check->remedy), "Kernels before 5.11 count BPF maps there: ulimit -l unlimited");
}

static const struct {
	const char *name;
	bool needed;
	void (*check)(const char *root, struct privilege_check *check);
} kernel_checks[] = {
	{ "kernel", true, check_kernel },
	{ "BTF", true, check_btf },
	{ "user namespace", true, check_user_namespace },
	{ "lockdown", true, check_lockdown },
	{ "tracefs", false, check_tracefs },
	{ "memory lock", false, check_memlock },
	{ "unprivileged_bpf_disabled", false, check_unprivileged },
};
_Static_assert(ARRAY_SIZE(kernel_checks) + ARRAY_SIZE(capabilities) <= PRIVILEGE_CHECKS_MAX, "raise PRIVILEGE_CHECKS_MAX");

size_t privileges_check(const char *root, struct privilege_check checks[PRIVILEGE_CHECKS_MAX])
{
	size_t n = 0;

	memset(checks, 0, PRIVILEGE_CHECKS_MAX * sizeof(*checks));
	capng_get_caps_process();
	for (size_t i = 0; i < ARRAY_SIZE(kernel_checks); i++, n++) {
		checks[n].name = kernel_checks[i].name;
		checks[n].needed = kernel_checks[i].needed;
		kernel_checks[i].check(root, &checks[n]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++, n++) {
		checks[n].name = capabilities[i].name;
		/* Where tracefs is open to all, the last one is not missed. */
		checks[n].needed = capabilities[i].capability != CAP_DAC_READ_SEARCH;
		check_capability(&capabilities[i], &checks[n]);
	}
	return n;
}

int privileges_require(struct explain *explain)
{
	struct privilege_check checks[PRIVILEGE_CHECKS_MAX];
	size_t n = privileges_check("", checks);

	for (size_t i = 0; i < n; i++) {
		if (checks[i].ok || !checks[i].needed)
			continue;
		snprintf(explain->what, sizeof(explain->what), "cannot attach to anything");
		snprintf(explain->why, sizeof(explain->why), "%s: %s", checks[i].name, checks[i].detail);
		snprintf(explain->remedy, sizeof(explain->remedy), "%s `poolscope doctor` tells all.", checks[i].remedy);
		return strncmp(checks[i].name, "CAP_", 4) == 0 ? -EPERM : -ENOSYS;
	}
	return 0;
}
