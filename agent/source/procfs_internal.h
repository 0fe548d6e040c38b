/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the procfs source share: how to read /proc through any living thread. Nobody else
 * includes it. */
#ifndef POOLSCOPE_SOURCE_PROCFS_INTERNAL_H
#define POOLSCOPE_SOURCE_PROCFS_INTERNAL_H

#include "cgroup.h"
#include "procfs.h"
#include "procfs_parse.h"

#include <sys/types.h>
#include <unistd.h>

/* What is dear to read of a target and therefore not read at each refresh. */
struct target_cache {
	uint32_t target; /* 0: free */
	/* How far RssAnon lags behind the page tables; for kernels whose counter is not exact. */
	int64_t rss_lag;
	/* CPU budget: neither is read again before these boottimes. */
	uint64_t next_rss_ns, next_children_ns;
	uint64_t next_cpus_ns;
	uint32_t cpus_allowed, cpus_online; /* 0: not known */
	/* Its /proc/PID/cgroup as it was last read, owned: the cgroup outlives the process. NULL: never read. */
	char *cgroup_text;
};

#define TARGET_CACHES 256 /* direct-mapped by target id: a collision costs a reading */

struct procfs {
	int fd; /* its folder */
	bool is_own; /* its PIDs are those of the agent's own system calls */
	struct cgroup_tree *cgroups;
	bool rss_exact;
	struct target_cache caches[TARGET_CACHES];
	/* Reused for every small file: one allocation for the agent's life. */
	char *buffer;
	size_t buffer_size;
};

/* A path below /proc: "PID/..." or "PID/task/TID/..." of a thread that lives. "TID/..." is that thread's folder as well,
 * which is listed nowhere: it has what those below task/ lack (map_files). */
struct proc_dir {
	char path[48];
	uint32_t tid;
};

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The files alone, without cgroups and trials: for sources that only need to reach a process. */
int procfs_open_files(const char *path, struct procfs **ret_procfs);

/* Reads a whole file below `dirfd` into *buffer, growing it up to PROCFS_FILE_MAX. Returns the length or
 * -errno; -EFBIG beyond the bound. */
#define PROCFS_FILE_MAX (4U << 20)
ssize_t file_read(int dirfd, const char *path, char **buffer, size_t *size);
/* The same into procfs->buffer: valid until the next call. */
ssize_t procfs_read(struct procfs *procfs, const char *format, ...) __attribute__((format(printf, 2, 3)));
int procfs_openf(struct procfs *procfs, int flags, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The folder through which the memory of a process can be seen: PID's own, or a living thread's when
 * the leader is gone. -ESRCH when none lives. */
int procfs_living(struct procfs *procfs, uint32_t pid, struct proc_dir *ret_dir);
/* One of its files, read there. */
ssize_t procfs_read_living(struct procfs *procfs, uint32_t pid, const char *file);
int procfs_stat(struct procfs *procfs, uint32_t pid, uint32_t tid, struct proc_stat *ret_stat);

/* Calls visit(number) for each entry of a directory whose name is a number. Stops at a return != 0. */
int procfs_each_number(struct procfs *procfs, const char *path, int (*visit)(void *context, uint32_t number),
		       void *context);

/* Calls visit() for each line of the maps of a process. Lines that do not parse are skipped. */
int procfs_each_mapping(struct procfs *procfs, uint32_t pid,
			int (*visit)(void *context, const struct proc_mapping *mapping), void *context);

struct pid_list {
	uint32_t *pids;
	size_t count, room;
};
int pid_list_add(struct pid_list *list, uint32_t pid);
void pid_list_clear(struct pid_list *list);
/* Sorts and hands out. */
void pid_list_take(struct pid_list *list, uint32_t **ret_pids, size_t *ret_count);

#endif
