/* SPDX-License-Identifier: GPL-2.0-only */
/* One mounted procfs: opening it, reading its files through any living thread, listing processes. It must
 * not know what facts are made of them. */
#include "../boottime.h"
#include "procfs_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define PROC_SUPER_MAGIC_NUMBER 0x9fa0 /* include/uapi/linux/magic.h */

ssize_t file_read(int dirfd, const char *path, char **buffer, size_t *size)
{
	_cleanup_(close_fd) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n;

		if (*size - length < 512) {
			size_t bigger = *size ? *size * 2 : 8192;
			char *grown;

			if (bigger > PROCFS_FILE_MAX)
				return -EFBIG;
			grown = realloc(*buffer, bigger);
			if (!grown)
				return -ENOMEM;
			*buffer = grown;
			*size = bigger;
		}
		n = pread(fd, *buffer + length, *size - length - 1, (off_t)length);
		if (n < 0)
			return -errno;
		length += (size_t)n;
		(*buffer)[length] = '\0';
		if (n == 0)
			return (ssize_t)length;
	}
}

ssize_t procfs_read(struct procfs *procfs, const char *format, ...)
{
	char path[160];
	va_list args;
	ssize_t n;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	n = file_read(procfs->fd, path, &procfs->buffer, &procfs->buffer_size);
	return n == -ENOENT ? -ESRCH : n;
}

int procfs_openf(struct procfs *procfs, int flags, const char *format, ...)
{
	char path[160];
	va_list args;
	int fd;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	fd = openat(procfs->fd, path, flags | O_CLOEXEC);
	return fd >= 0 ? fd : errno == ENOENT ? -ESRCH : -errno;
}

/* task/TID/stat, since a leader's own stat sums over all of its threads at each reading. */
int procfs_stat(struct procfs *procfs, uint32_t pid, uint32_t tid, struct proc_stat *ret_stat)
{
	ssize_t n = procfs_read(procfs, "%u/task/%u/stat", pid, tid);

	return n < 0 ? (int)n : proc_parse_stat(procfs->buffer, (size_t)n, ret_stat);
}

static bool state_is_dead(char state)
{
	return state == 'Z' || state == 'X' || state == 'x';
}

struct living_search {
	struct procfs *procfs;
	uint32_t pid, found;
};

static int living_visit(void *context, uint32_t tid)
{
	struct living_search *search = context;
	struct proc_stat stat;

	if (procfs_stat(search->procfs, search->pid, tid, &stat) < 0 || state_is_dead(stat.state))
		return 0;
	search->found = tid;
	return 1;
}

int procfs_living(struct procfs *procfs, uint32_t pid, struct proc_dir *ret_dir)
{
	struct living_search search = {.procfs = procfs, .pid = pid};
	struct proc_stat stat;
	char tasks[32];

	if (procfs_stat(procfs, pid, pid, &stat) == 0 && !state_is_dead(stat.state)) {
		snprintf(ret_dir->path, sizeof(ret_dir->path), "%u", pid);
		ret_dir->tid = pid;
		return 0;
	}
	snprintf(tasks, sizeof(tasks), "%u/task", pid);
	if (procfs_each_number(procfs, tasks, living_visit, &search) < 0 || !search.found)
		return -ESRCH;
	snprintf(ret_dir->path, sizeof(ret_dir->path), "%u/task/%u", pid, search.found);
	ret_dir->tid = search.found;
	return 0;
}

ssize_t procfs_read_living(struct procfs *procfs, uint32_t pid, const char *file)
{
	struct proc_dir dir;
	int r = procfs_living(procfs, pid, &dir);

	return r < 0 ? r : procfs_read(procfs, "%s/%s", dir.path, file);
}

static void close_dirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int procfs_each_number(struct procfs *procfs, const char *path, int (*visit)(void *context, uint32_t number),
		       void *context)
{
	_cleanup_(close_fd) int fd = openat(procfs->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(close_dirp) DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	fd = -1;
	for (;;) {
		const struct dirent *entry;
		char *end;
		unsigned long number;
		int r;

		/* A thread list that loses its place while threads end fails with ENOENT: the process is gone. */
		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return errno == ENOENT ? -ESRCH : -errno;
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		number = strtoul(entry->d_name, &end, 10);
		if (*end || number > UINT32_MAX)
			continue;
		r = visit(context, (uint32_t)number);
		if (r)
			return r < 0 ? r : 0;
	}
}

/* A line is at most some 4,200 bytes (addresses and an escaped PATH_MAX), and the kernel gives a page at a time. */
#define MAPS_CHUNK 16384

int procfs_each_mapping(struct procfs *procfs, uint32_t pid,
			int (*visit)(void *context, const struct proc_mapping *mapping), void *context)
{
	_cleanup_(freep) char *chunk = malloc(MAPS_CHUNK);
	_cleanup_(close_fd) int fd = -1;
	struct proc_dir dir;
	size_t held = 0;
	uint64_t read_ns;
	int r;

	if (!chunk)
		return -ENOMEM;
	r = procfs_living(procfs, pid, &dir);
	if (r < 0)
		return r;
	fd = procfs_openf(procfs, O_RDONLY, "%s/maps", dir.path);
	if (fd < 0)
		return fd;
	for (;;) {
		ssize_t n = read(fd, chunk + held, MAPS_CHUNK - held);
		char *line = chunk, *newline;

		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		held += (size_t)n;
		read_ns = boottime();
		while ((newline = memchr(line, '\n', held))) {
			struct proc_mapping mapping;

			*newline = '\0';
			if (proc_parse_mapping(line, &mapping) == 0) {
				mapping.read_ns = read_ns;
				r = visit(context, &mapping);
				if (r)
					return r < 0 ? r : 0;
			}
			held -= (size_t)(newline + 1 - line);
			line = newline + 1;
		}
		if (held == MAPS_CHUNK)
			return -EFBIG;
		memmove(chunk, line, held);
	}
}

int pid_list_add(struct pid_list *list, uint32_t pid)
{
	if (TABLE_GROW(list->pids, list->count, list->room, 64))
		return -ENOMEM;
	list->pids[list->count++] = pid;
	return 0;
}

void pid_list_clear(struct pid_list *list)
{
	free(list->pids);
	*list = (struct pid_list){0};
}

static int compare_pids(const void *a, const void *b)
{
	return compare_u64(*(const uint32_t *)a, *(const uint32_t *)b);
}

void pid_list_take(struct pid_list *list, uint32_t **ret_pids, size_t *ret_count)
{
	if (list->count)
		qsort(list->pids, list->count, sizeof(*list->pids), compare_pids);
	*ret_pids = list->pids;
	*ret_count = list->count;
	*list = (struct pid_list){0};
}

static int list_visit(void *context, uint32_t pid)
{
	return pid_list_add(context, pid);
}

int procfs_list(struct procfs *procfs, uint32_t **ret_pids, size_t *ret_count)
{
	_cleanup_(pid_list_clear) struct pid_list list = {0};
	int r = procfs_each_number(procfs, ".", list_visit, &list);

	if (r < 0)
		return r;
	pid_list_take(&list, ret_pids, ret_count);
	return 0;
}

/* Does status tell RssAnon at once? Before Linux 6.2 each thread keeps up to 64 pages to itself, from then
 * to 6.16 each CPU a batch of at least 32. So: touch fewer pages than that and look. */
#define TRIAL_PAGES 16

static bool rss_is_exact(struct procfs *procfs)
{
	size_t length = TRIAL_PAGES * (size_t)sysconf(_SC_PAGESIZE);
	struct proc_status before = {0}, after = {0};
	ssize_t n = procfs_read(procfs, "self/status");
	char *pages;

	if (n < 0 || proc_parse_status(procfs->buffer, (size_t)n, &before) < 0)
		return false;
	pages = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		return false;
	madvise(pages, length, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < TRIAL_PAGES; i++)
		((volatile char *)pages)[i * (length / TRIAL_PAGES)] = 1;
	n = procfs_read(procfs, "self/status");
	munmap(pages, length);
	return n >= 0 && proc_parse_status(procfs->buffer, (size_t)n, &after) == 0 &&
	       after.rss_anon - before.rss_anon == length;
}

static int open_failed(struct explain *explain, const char *path, int error)
{
	snprintf(explain->what, sizeof(explain->what), "cannot use %.200s as the process file system", path);
	snprintf(explain->why, sizeof(explain->why), "%s",
		 error == -ENOTDIR || error == -EINVAL ? "it is not a mounted procfs" : strerror(-error));
	snprintf(explain->remedy, sizeof(explain->remedy),
		 "mount it (mount -t proc proc %.200s), or name another with --procfs", path);
	return error;
}

int procfs_open_files(const char *path, struct procfs **ret_procfs)
{
	_cleanup_(procfs_freep) struct procfs *procfs = calloc(1, sizeof(*procfs));
	struct statfs fs;

	if (!procfs)
		return -ENOMEM;
	procfs->is_own = !path;
	procfs->fd = open(path ? path : "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (procfs->fd < 0)
		return -errno;
	if (fstatfs(procfs->fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC_NUMBER)
		return -EINVAL;
	*ret_procfs = TAKE_PTR(procfs);
	return 0;
}

int procfs_open(const char *path, struct procfs **ret_procfs, struct explain *explain)
{
	_cleanup_(procfs_freep) struct procfs *procfs = NULL;
	int r = procfs_open_files(path, &procfs);

	if (r == 0)
		r = cgroup_tree_new(procfs->fd, &procfs->cgroups);
	if (r < 0)
		return open_failed(explain, path ? path : "/proc", r);
	procfs->rss_exact = rss_is_exact(procfs);
	*ret_procfs = TAKE_PTR(procfs);
	return 0;
}

void procfs_free(struct procfs *procfs)
{
	if (!procfs)
		return;
	if (procfs->fd >= 0)
		close(procfs->fd);
	for (size_t i = 0; i < TARGET_CACHES; i++)
		free(procfs->caches[i].cgroup_text);
	cgroup_tree_free(procfs->cgroups);
	free(procfs->buffer);
	free(procfs);
}
