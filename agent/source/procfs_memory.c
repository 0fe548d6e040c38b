/* SPDX-License-Identifier: GPL-2.0-only */
/* Figures of a process that are read at each refresh: resident sets, cgroup limits, children. It must not
 * know what they are judged by. */
#include "../boottime.h"
#include "procfs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int read_status(struct procfs *procfs, uint32_t pid, struct proc_status *ret_status)
{
	ssize_t n = procfs_read(procfs, "%u/status", pid);

	if (n >= 0 && proc_parse_status(procfs->buffer, (size_t)n, ret_status) == 0 &&
	    ret_status->vm_size != UNKNOWN_U64)
		return 0;
	n = procfs_read_living(procfs, pid, "status");
	if (n < 0)
		return (int)n;
	return proc_parse_status(procfs->buffer, (size_t)n, ret_status);
}

/* ---- what is dear ---------------------------------------------------------------------------------- */

static struct target_cache *target_cache(struct procfs *procfs, uint32_t target)
{
	struct target_cache *cache = &procfs->caches[target % TARGET_CACHES];

	if (cache->target != target) {
		free(cache->cgroup_text);
		*cache = (struct target_cache){.target = target};
	}
	return cache;
}

/* ---- RssAnon where the kernel's counter lags ------------------------------------------------------- */

#define ROLLUP_MAX (16ULL << 30) /* smaps_rollup walks every page: 3.5 to 7 ms a GiB */
#define ROLLUP_SHARE 200         /* it may take one part in so many of the time */

static uint64_t read_rollup(struct procfs *procfs, uint32_t pid)
{
	ssize_t n = procfs_read_living(procfs, pid, "smaps_rollup");

	return n < 0 ? UNKNOWN_U64 : proc_find_kilobytes(procfs->buffer, (size_t)n, "Anonymous:");
}

/* The lag is measured as often as its cost allows, or when the figure must be exact, and added in between. */
static uint64_t correct_rss(struct procfs *procfs, uint32_t target, uint32_t pid, bool exact,
			    const struct proc_status *status, uint64_t now_ns)
{
	struct target_cache *cache = target_cache(procfs, target);
	uint64_t cpu = thread_cputime(), rollup;
	int64_t corrected;

	if (exact || (now_ns >= cache->next_rss_ns && status->rss_anon < ROLLUP_MAX)) {
		rollup = read_rollup(procfs, pid);
		if (rollup != UNKNOWN_U64)
			cache->rss_lag = (int64_t)rollup - (int64_t)status->rss_anon;
		cache->next_rss_ns = now_ns + (thread_cputime() - cpu) * ROLLUP_SHARE;
	}
	corrected = (int64_t)status->rss_anon + cache->rss_lag;
	return corrected > 0 ? (uint64_t)corrected : 0;
}

int procfs_memory(struct procfs *procfs, uint32_t target, uint32_t pid, bool exact, const struct fact_sink *sink)
{
	struct fact fact = {.kind = FACT_MEMORY, .target = target, .time_ns = boottime()};
	struct proc_status status;
	int r = read_status(procfs, pid, &status);

	if (r < 0)
		return r == -EINVAL ? -ESRCH : r;
	fact.memory = (struct fact_memory){
		.rss_anon = status.rss_anon,
		.rss_file = status.rss_file,
		.rss_shmem = status.rss_shmem,
		.swapped = status.swapped,
		.stopped = status.state == 'T',
	};
	if (!procfs->rss_exact && status.rss_anon != UNKNOWN_U64)
		fact.memory.rss_anon = correct_rss(procfs, target, pid, exact, &status, fact.time_ns);
	return sink->emit(sink->context, &fact);
}

/* ---- CPUs ------------------------------------------------------------------------------------------ */

/* Neither changes but by hand. */
#define CPUS_NS (10 * NSEC_PER_SEC)

static void read_cpus(struct procfs *procfs, uint32_t target, uint32_t pid, uint64_t now_ns,
		      struct fact_cgroup *cgroup)
{
	struct target_cache *cache = target_cache(procfs, target);
	struct proc_cpus online, allowed;
	ssize_t n;

	if (now_ns >= cache->next_cpus_ns) {
		cache->next_cpus_ns = now_ns + CPUS_NS;
		cache->cpus_allowed = cache->cpus_online = 0;
		n = file_read(AT_FDCWD, "/sys/devices/system/cpu/online", &procfs->buffer, &procfs->buffer_size);
		if (n > 0 && proc_parse_cpus(procfs->buffer, (size_t)n, &online) == 0) {
			cache->cpus_online = proc_cpus_common(&online, &online);
			n = procfs_read(procfs, "%u/status", pid);
			/* The mask itself has CPUs that are not there. */
			if (n > 0 && proc_find_cpus(procfs->buffer, (size_t)n, "Cpus_allowed_list:", &allowed) == 0)
				cache->cpus_allowed = proc_cpus_common(&allowed, &online);
		}
	}
	cgroup->cpus_allowed = cache->cpus_allowed;
	cgroup->cpus_online = cache->cpus_online;
}

/* Without memory for it the text is not known. */
static void keep_text(char **kept, const char *text)
{
	if (*kept && !strcmp(*kept, text))
		return;
	free(*kept);
	*kept = strdup(text);
}

int procfs_cgroup(struct procfs *procfs, uint32_t target, uint32_t pid, const struct fact_sink *sink)
{
	struct fact fact = {.kind = FACT_CGROUP, .target = target, .time_ns = boottime()};
	/* Version 1 shows a thread that has ended in the root of its hierarchies. */
	ssize_t n = procfs_read_living(procfs, pid, "cgroup");

	if (n < 0)
		return (int)n;
	cgroup_tree_read(procfs->cgroups, procfs->buffer, (size_t)n, &fact.cgroup);
	if (target) /* else nobody's figures are wanted, but the cgroup's path */
		keep_text(&target_cache(procfs, target)->cgroup_text, procfs->buffer);
	n = procfs_read(procfs, "meminfo");
	fact.cgroup.host_memory_total =
		n < 0 ? UNKNOWN_U64 : proc_find_kilobytes(procfs->buffer, (size_t)n, "MemTotal:");
	if (target)
		read_cpus(procfs, target, pid, fact.time_ns, &fact.cgroup);
	return sink->emit(sink->context, &fact);
}

uint64_t procfs_oom_kills(struct procfs *procfs, uint32_t target)
{
	const char *text = target_cache(procfs, target)->cgroup_text;
	struct fact_cgroup cgroup;

	if (!text)
		return UNKNOWN_U64;
	cgroup_tree_read(procfs->cgroups, text, strlen(text), &cgroup);
	return cgroup.oom_kills;
}

/* ---- children ---------------------------------------------------------------------------------------- */

struct child_walk {
	struct procfs *procfs;
	uint32_t pid;
	struct pid_list list;
};

static int child_visit(void *context, uint32_t pid)
{
	struct child_walk *walk = context;
	struct proc_stat stat;

	if (procfs_stat(walk->procfs, pid, pid, &stat) < 0 || stat.parent_pid != walk->pid || stat.state == 'Z')
		return 0;
	return pid_list_add(&walk->list, pid);
}

static int children_visit(void *context, uint32_t tid)
{
	struct child_walk *walk = context;
	ssize_t n = procfs_read(walk->procfs, "%u/task/%u/children", walk->pid, tid);
	char *save = NULL;

	if (n < 0)
		return 0;
	for (char *word = strtok_r(walk->procfs->buffer, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		int r = pid_list_add(&walk->list, (uint32_t)strtoul(word, NULL, 10));

		if (r < 0)
			return r;
	}
	return 0;
}

#define CHILDREN_THREADS_MAX 64
#define CHILDREN_SHARE 2000 /* looking for children may take one part in so many of the time */

/* A thread's list of its own children (CONFIG_PROC_CHILDREN) costs the threads; a scan costs the processes
 * of the machine. */
static int find_children(struct child_walk *walk)
{
	struct stat tasks;
	char path[48];

	snprintf(path, sizeof(path), "%u/task/%u/children", walk->pid, walk->pid);
	if (faccessat(walk->procfs->fd, path, R_OK, 0) != 0)
		return procfs_each_number(walk->procfs, ".", child_visit, walk);
	snprintf(path, sizeof(path), "%u/task", walk->pid);
	/* A folder's link count tells its subfolders, without reading them. */
	if (fstatat(walk->procfs->fd, path, &tasks, 0) < 0 || tasks.st_nlink > CHILDREN_THREADS_MAX)
		return procfs_each_number(walk->procfs, ".", child_visit, walk);
	return procfs_each_number(walk->procfs, path, children_visit, walk);
}

/* What was made with CLONE_VM holds nothing of its own: its threads are the parent's (kcmp(2); not known: it does). */
static bool shares_memory(const struct child_walk *walk, uint32_t child)
{
	return walk->procfs->is_own && syscall(SYS_kcmp, walk->pid, child, KCMP_VM, 0, 0) == 0;
}

int procfs_children(struct procfs *procfs, uint32_t target, uint32_t pid, const struct fact_sink *sink)
{
	struct fact fact = {.kind = FACT_CHILDREN, .target = target, .time_ns = boottime()};
	struct child_walk walk = {.procfs = procfs, .pid = pid};
	_cleanup_(pid_list_clear) struct pid_list list = {0};
	struct target_cache *cache = target_cache(procfs, target);
	uint64_t cpu = thread_cputime();
	struct proc_status status;
	int r;

	if (fact.time_ns < cache->next_children_ns)
		return 0;
	r = find_children(&walk);
	list = walk.list;
	if (r < 0)
		return r;
	for (size_t i = 0; i < list.count; i++) {
		if (shares_memory(&walk, list.pids[i]) || read_status(procfs, list.pids[i], &status) < 0)
			continue;
		fact.children.count++;
		if (status.rss_anon != UNKNOWN_U64)
			fact.children.rss_anon += status.rss_anon;
	}
	cache->next_children_ns = fact.time_ns + (thread_cputime() - cpu) * CHILDREN_SHARE;
	return sink->emit(sink->context, &fact);
}
