/* SPDX-License-Identifier: GPL-2.0-only */
/* Who a process is, and whether it can be a target at all. It must not know its threads or memory. */
#include "procfs_internal.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static int refuse(struct explain *explain, uint32_t pid, int error, const char *why, const char *remedy)
{
	snprintf(explain->what, sizeof(explain->what), "cannot attach to PID %u", pid);
	snprintf(explain->why, sizeof(explain->why), "%s", why);
	snprintf(explain->remedy, sizeof(explain->remedy), "%s", remedy);
	return error;
}

/* 32 bits, told by the executable's own header. 0: no, or not to be told. */
static bool is_32_bit(struct procfs *procfs, const struct proc_dir *dir)
{
	_cleanup_(close_fd) int fd = procfs_openf(procfs, O_RDONLY, "%s/exe", dir->path);
	unsigned char ident[EI_NIDENT];

	return fd >= 0 && pread(fd, ident, sizeof(ident), 0) == sizeof(ident) &&
	       memcmp(ident, ELFMAG, SELFMAG) == 0 && ident[EI_CLASS] == ELFCLASS32;
}

int procfs_check_target(struct procfs *procfs, uint32_t pid, struct explain *explain)
{
	struct proc_status status;
	struct proc_stat stat;
	struct proc_dir dir;
	char why[256], remedy[320];
	ssize_t n = procfs_read(procfs, "%u/status", pid);

	snprintf(remedy, sizeof(remedy), "look for the process with: ps -e -o pid,comm");
	if (n == -EACCES || n == -EPERM)
		return refuse(explain, pid, (int)n, strerror((int)-n), "run poolscope as root");
	if (n < 0 || proc_parse_status(procfs->buffer, (size_t)n, &status) < 0)
		return refuse(explain, pid, -ESRCH, "there is no such process", remedy);
	if (status.tgid != pid) {
		snprintf(why, sizeof(why), "it is a thread of process %u", status.tgid);
		snprintf(remedy, sizeof(remedy), "attach to the process: -p %u", status.tgid);
		return refuse(explain, pid, -EINVAL, why, remedy);
	}
	if (procfs_stat(procfs, pid, pid, &stat) == 0 && (stat.flags & PROC_PF_KTHREAD))
		return refuse(explain, pid, -EINVAL, "it is a kernel thread, which has no memory of its own",
			      "choose a user process");
	if (procfs_living(procfs, pid, &dir) < 0)
		return refuse(explain, pid, -EINVAL, "it has ended and waits for its parent (a zombie)",
			      "attach to a process that runs");
	if (is_32_bit(procfs, &dir))
		return refuse(explain, pid, -EOPNOTSUPP, "it is a 32-bit process, whose system calls are not traced",
			      "poolscope handles 64-bit processes only");
	return 0;
}

struct runtime_search {
	char *runtime;
	size_t size;
	int rank;
};

static int runtime_visit(void *context, const struct proc_mapping *mapping)
{
	struct runtime_search *search = context;
	char path[PATH_MAX], runtime[64];
	int rank;

	/* Only what is mapped as code is a module; data files may have any name. */
	if (!mapping->path[0] || !(mapping->protection & PROT_EXEC))
		return 0;
	proc_unescape_path(mapping->path, path, sizeof(path));
	proc_path_runtime(path, runtime, sizeof(runtime), &rank);
	if (rank > search->rank) {
		search->rank = rank;
		snprintf(search->runtime, search->size, "%s", runtime);
	}
	return 0;
}

/* Go's linker leaves a note of type 4 by the owner "Go" near the beginning of each executable
 * (cmd/internal/buildid). */
static bool is_go(struct procfs *procfs, const struct proc_dir *dir)
{
	static const char note[] = "\4\0\0\0Go\0";
	_cleanup_(close_fd) int fd = procfs_openf(procfs, O_RDONLY, "%s/exe", dir->path);
	char head[4096];
	ssize_t n = fd < 0 ? 0 : pread(fd, head, sizeof(head), 0);

	return n > 0 && memmem(head, (size_t)n, note, sizeof(note));
}

static void read_exe(struct procfs *procfs, const struct proc_dir *dir, char *buffer, size_t size)
{
	char link[64], exe[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "%s/exe", dir->path);
	n = readlinkat(procfs->fd, link, exe, sizeof(exe) - 1);
	exe[n < 0 ? 0 : n] = '\0';
	proc_unescape_path(exe, buffer, size);
}

/* The first line that knows a unit or a container: with version 1 the controllers may not. */
static void read_names(struct procfs *procfs, uint32_t pid, struct fact_target *target)
{
	ssize_t n = procfs_read_living(procfs, pid, "cgroup");
	char *save = NULL;

	if (n <= 0)
		return;
	for (char *line = strtok_r(procfs->buffer, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *path = strchr(line, '/');

		if (path && !target->unit[0])
			proc_cgroup_unit(path, target->unit, sizeof(target->unit));
		if (path && !target->container[0])
			proc_cgroup_container(path, target->container, sizeof(target->container));
	}
}

int procfs_describe(struct procfs *procfs, uint32_t pid, struct fact_target *ret_target)
{
	struct fact_target target = {.pid = pid};
	struct runtime_search search = {.runtime = target.runtime, .size = sizeof(target.runtime)};
	struct proc_status status;
	struct proc_stat stat, parent;
	struct proc_dir dir;
	ssize_t n;
	int r;

	r = procfs_stat(procfs, pid, pid, &stat);
	if (r == 0)
		r = procfs_living(procfs, pid, &dir);
	if (r < 0)
		return r == -EINVAL ? -ESRCH : r;
	n = procfs_read(procfs, "%u/status", pid);
	if (n < 0 || proc_parse_status(procfs->buffer, (size_t)n, &status) < 0)
		return -ESRCH;
	target.ns_pid = status.ns_pid ? status.ns_pid : pid;
	target.parent_pid = stat.parent_pid;
	target.start_ns = stat.start_ns;
	target.execed = !(stat.flags & PROC_PF_FORKNOEXEC);
	memcpy(target.comm, stat.comm, sizeof(target.comm));
	if (stat.parent_pid && procfs_stat(procfs, stat.parent_pid, stat.parent_pid, &parent) == 0)
		memcpy(target.parent_comm, parent.comm, sizeof(target.parent_comm));
	read_exe(procfs, &dir, target.exe, sizeof(target.exe));
	read_names(procfs, pid, &target);
	r = procfs_each_mapping(procfs, pid, runtime_visit, &search);
	if (r == -ESRCH)
		return r;
	target.is_32_bit = is_32_bit(procfs, &dir);
	if (search.rank <= RANK_LIBC && is_go(procfs, &dir))
		snprintf(target.runtime, sizeof(target.runtime), "go");
	*ret_target = target;
	return 0;
}

int procfs_born(struct procfs *procfs, uint32_t pid, uint32_t *ret_parent_pid, uint64_t *ret_start_ns)
{
	struct proc_stat stat;
	int r = procfs_stat(procfs, pid, pid, &stat);

	if (r < 0)
		return r;
	*ret_parent_pid = stat.parent_pid;
	*ret_start_ns = stat.start_ns;
	return 0;
}

int procfs_cmdline(struct procfs *procfs, uint32_t pid, char *buffer, size_t size)
{
	_cleanup_(close_fd) int fd = -1;
	struct proc_dir dir;
	ssize_t n;
	int r;

	if (!size)
		return -EINVAL;
	r = procfs_living(procfs, pid, &dir);
	if (r < 0)
		return r;
	fd = procfs_openf(procfs, O_RDONLY, "%s/cmdline", dir.path);
	if (fd < 0)
		return fd;
	n = pread(fd, buffer, size - 1, 0);
	if (n < 0)
		return -errno;
	while (n && !buffer[n - 1])
		n--;
	for (ssize_t i = 0; i < n; i++)
		buffer[i] = buffer[i] ? buffer[i] : ' ';
	buffer[n] = '\0';
	return 0;
}
