/* SPDX-License-Identifier: GPL-2.0-only */
/* Why the kernel refused a probe, and what to do, in words. It must not know how probes are loaded. */
#include "../open_files.h"
#include "probe_why.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38 /* Linux 5.8 */
#define CAP_BPF 39
#endif
/* include/linux/errno.h: leaks out of the trampoline code */
#define KERNEL_ENOTSUPP 524

#define LOG_PREFIX "libbpf: "

/* libbpf's print function has no context argument, so this cannot be anywhere else. */
static char first_complaint[256];

static int log_keep(enum libbpf_print_level level, const char *format, va_list arguments)
{
	size_t length;

	if (level != LIBBPF_WARN || first_complaint[0])
		return 0;
	vsnprintf(first_complaint, sizeof(first_complaint), format, arguments);
	length = strlen(LOG_PREFIX);
	if (strncmp(first_complaint, LOG_PREFIX, length) == 0)
		memmove(first_complaint, first_complaint + length, sizeof(first_complaint) - length);
	first_complaint[strcspn(first_complaint, "\n")] = '\0';
	return 0;
}

void probe_log_capture(void)
{
	first_complaint[0] = '\0';
	libbpf_set_print(log_keep);
}

const char *probe_log_first(void)
{
	return first_complaint;
}

static bool file_says(const char *path, const char *word)
{
	char text[128] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = -1;

	if (fd >= 0) {
		size = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	return size > 0 && strstr(text, word);
}

static bool has(unsigned int capability)
{
	capng_get_caps_process();
	return capng_have_capability(CAPNG_EFFECTIVE, capability);
}

/* What came with CAP_BPF and CAP_PERFMON was CAP_SYS_ADMIN's before, and still is. */
static bool capable(unsigned int capability)
{
	return has(capability) || has(CAP_SYS_ADMIN);
}

/* access() would ask for the real user, without the capabilities of who is not root. */
bool probe_has_tracefs(void)
{
	return faccessat(AT_FDCWD, "/sys/kernel/tracing/events", F_OK, AT_EACCESS) == 0 ||
	       faccessat(AT_FDCWD, "/sys/kernel/debug/tracing/events", F_OK, AT_EACCESS) == 0;
}

static bool is_tracepoint(const char *variant)
{
	return strcmp(variant, "tracepoint") == 0;
}

static bool lacks_bpf(const char *variant, int error)
{
	return error == -EPERM && !capable(CAP_BPF);
}

static bool lacks_perfmon(const char *variant, int error)
{
	return (error == -EPERM || error == -EACCES) && !capable(CAP_PERFMON);
}

/* The initial user namespace maps everything onto itself (user_namespaces(7)). */
static bool in_user_namespace(const char *variant, int error)
{
	unsigned int inside, outside, count;
	FILE *map = fopen("/proc/self/uid_map", "re");
	bool is_mapped = map && fscanf(map, "%u %u %u", &inside, &outside, &count) == 3;

	if (map)
		fclose(map);
	return error == -EPERM && is_mapped && (inside || outside || count != UINT32_MAX);
}

static bool lacks_btf(const char *variant, int error)
{
	struct stat btf;

	return stat("/sys/kernel/btf/vmlinux", &btf) < 0 || !S_ISREG(btf.st_mode) || !btf.st_size;
}

/* The helper is older than any kernel poolscope can run on; who may load programs and is not given it is locked out.
 * Tried because the file that says so is often not mounted. */
static bool kernel_memory_withheld(void)
{
	static const struct bpf_insn read_nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_10},
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_1, .imm = -8},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 8},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_probe_read_kernel},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, NULL, "GPL", read_nothing, ARRAY_SIZE(read_nothing), NULL);
	int error = errno;

	if (fd >= 0)
		close(fd);
	return fd < 0 && error == EINVAL;
}

/* The error says nothing: EPERM here, EINVAL for an unknown helper there. */
static bool locked_down(const char *variant, int error)
{
	return file_says("/sys/kernel/security/lockdown", "[confidentiality]") || kernel_memory_withheld();
}

static bool lacks_tracefs(const char *variant, int error)
{
	return is_tracepoint(variant) && !probe_has_tracefs() && has(CAP_DAC_READ_SEARCH);
}

static bool lacks_tracefs_rights(const char *variant, int error)
{
	return is_tracepoint(variant) && !has(CAP_DAC_READ_SEARCH);
}

static bool lacks_kprobes(const char *variant, int error)
{
	return strcmp(variant, "kretprobe") == 0 && access("/sys/bus/event_source/devices/kprobe", F_OK) < 0;
}

static bool lacks_trampolines(const char *variant, int error)
{
	return strcmp(variant, "fexit") == 0 &&
	       (error == -KERNEL_ENOTSUPP || error == -EOPNOTSUPP || error == -EINVAL || error == -EBUSY);
}

static bool refuses_trampolines(const char *variant, int error)
{
	return strcmp(variant, "fexit") == 0 && error == -EPERM;
}

static bool lacks_memory(const char *variant, int error)
{
	return error == -ENOMEM;
}

static bool lacks_files(const char *variant, int error)
{
	return open_files_are_short(error);
}

static bool lacks_function(const char *variant, int error)
{
	return error == -ESRCH || error == -ENOENT;
}

#define ALL_RIGHTS "run as root, or give the binary cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search; " \
		   "a root that lacks them is a container's or a unit's: start that with them"

/* In order: the first that applies is told. `%s` in why is the function or event. */
static const struct {
	bool (*applies)(const char *variant, int error);
	const char *why, *remedy;
	bool inborn; /* to this kernel: nothing to be done but to use another */
} reasons[] = {
	{in_user_namespace, "the right to load BPF programs counts outside of user namespaces only, and this is inside of one",
	 "run poolscope on the host, or in a container without user namespaces (not rootless)", .inborn = false},
	{lacks_btf, "this kernel has no type information (/sys/kernel/btf/vmlinux)",
	 "use a kernel with CONFIG_DEBUG_INFO_BTF=y (Debian 11 and later, Ubuntu 20.10, RHEL 8.2 have it); in a container, mount the host's /sys", .inborn = false},
	{lacks_bpf, "the right to load BPF programs is missing (CAP_BPF)",
	 ALL_RIGHTS, .inborn = false},
	{lacks_perfmon, "the right to trace is missing (CAP_PERFMON)",
	 ALL_RIGHTS, .inborn = false},
	{locked_down, "the kernel is locked down (lockdown=confidentiality): no program may read kernel memory",
	 "boot without lockdown=confidentiality; lockdown=integrity does not hinder poolscope", .inborn = false},
	{lacks_tracefs_rights, "tracefs is for root only, and CAP_DAC_READ_SEARCH is missing",
	 "run as root, or give the binary cap_dac_read_search too; it is needed until the probes are attached", .inborn = false},
	{lacks_tracefs, "tracefs is not mounted, and could not be",
	 "mount -t tracefs tracefs /sys/kernel/tracing (in a container: mount it from the host)", .inborn = false},
	{lacks_kprobes, "this kernel is built without kprobes",
	 "nothing to do if another variant works; else use a kernel with CONFIG_KPROBE_EVENTS=y", .inborn = true},
	{lacks_trampolines, "this kernel cannot attach programs to functions directly (%s)",
	 "nothing to do if another variant works; it takes Linux 5.5 on x86-64, 6.4 on arm64, with CONFIG_FUNCTION_TRACER=y", .inborn = true},
	{refuses_trampolines, "this kernel refuses programs on functions (%s), though the rights are there",
	 "nothing to do if another variant works; its policy or its build forbids it", .inborn = true},
	{lacks_function, "this kernel has no %s", "nothing to do if another variant works", .inborn = true},
	{lacks_memory, "the kernel has no memory for the maps, or RLIMIT_MEMLOCK is too low (before Linux 5.11)",
	 "raise it (ulimit -l unlimited, LimitMEMLOCK=infinity), or ask for a smaller ring", .inborn = false},
	{lacks_files, OPEN_FILES_WHY, OPEN_FILES_REMEDY, .inborn = false},
};

void probe_why(const char *variant, const char *where, int error, struct probe_trial *trial)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		const char *mark = strstr(reasons[i].why, "%s");

		if (!reasons[i].applies(variant, error))
			continue;
		if (mark)
			snprintf(trial->why, sizeof(trial->why), "%.*s%s%s", (int)(mark - reasons[i].why),
				 reasons[i].why, where, mark + strlen("%s"));
		else
			snprintf(trial->why, sizeof(trial->why), "%s", reasons[i].why);
		snprintf(trial->remedy, sizeof(trial->remedy), "%s", reasons[i].remedy);
		trial->inborn = reasons[i].inborn;
		return;
	}
	snprintf(trial->why, sizeof(trial->why), "%.150s", first_complaint[0] ? first_complaint : strerror(-error));
	snprintf(trial->remedy, sizeof(trial->remedy),
		 "please report this with the output of `poolscope doctor` and `uname -a`");
}
