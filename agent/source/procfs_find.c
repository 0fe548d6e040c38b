/* SPDX-License-Identifier: GPL-2.0-only */
/* Which processes a selector means: by name, unit, cgroup path or container. It must not know what becomes
 * of them. */
#include "procfs_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

struct search {
	struct procfs *procfs;
	bool (*matches)(struct procfs *procfs, uint32_t pid, const char *wanted);
	const char *wanted;
	struct pid_list list;
};

static bool is_self(struct procfs *procfs, uint32_t pid)
{
	char self[16], name[16];
	ssize_t n = readlinkat(procfs->fd, "self", self, sizeof(self) - 1);

	if (n < 0)
		return false;
	self[n] = '\0';
	snprintf(name, sizeof(name), "%u", pid);
	return strcmp(self, name) == 0;
}

static int search_visit(void *context, uint32_t pid)
{
	struct search *search = context;

	if (is_self(search->procfs, pid))
		return 0;
	return search->matches(search->procfs, pid, search->wanted) ? pid_list_add(&search->list, pid) : 0;
}

static int search_run(struct search *search, uint32_t **ret_pids, size_t *ret_count)
{
	int r = procfs_each_number(search->procfs, ".", search_visit, search);

	if (r < 0) {
		pid_list_clear(&search->list);
		return r;
	}
	pid_list_take(&search->list, ret_pids, ret_count);
	return 0;
}

static bool matches_name(struct procfs *procfs, uint32_t pid, const char *wanted)
{
	char link[64], exe[PATH_MAX], path[PATH_MAX];
	const char *base;
	struct proc_stat stat;
	struct proc_dir dir;
	ssize_t n;

	if (procfs_living(procfs, pid, &dir) < 0)
		return false;
	if (procfs_stat(procfs, pid, pid, &stat) == 0 && strcmp(stat.comm, wanted) == 0)
		return true;
	snprintf(link, sizeof(link), "%s/exe", dir.path);
	n = readlinkat(procfs->fd, link, exe, sizeof(exe) - 1);
	if (n < 0)
		return false;
	exe[n] = '\0';
	proc_unescape_path(exe, path, sizeof(path));
	base = strrchr(path, '/');
	return strcmp(base ? base + 1 : path, wanted) == 0;
}

/* Does any line of the process's cgroup file satisfy the test? */
static bool any_cgroup(struct procfs *procfs, uint32_t pid, const char *wanted,
		       bool (*test)(const char *path, const char *wanted))
{
	struct proc_stat stat;
	char *save = NULL;

	/* Kernel threads live in the root: they are nobody's. */
	if (procfs_stat(procfs, pid, pid, &stat) < 0 || (stat.flags & PROC_PF_KTHREAD) ||
	    procfs_read_living(procfs, pid, "cgroup") <= 0)
		return false;
	for (char *line = strtok_r(procfs->buffer, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *path = strchr(line, '/');

		if (path && test(path, wanted))
			return true;
	}
	return false;
}

/* A unit is any component of the path, since a service may have cgroups of its own below. */
static bool path_in_unit(const char *path, const char *wanted)
{
	char component[256], unit[256], service[256];

	snprintf(service, sizeof(service), "%s.service", wanted);
	for (const char *at = path; *at;) {
		size_t n = strcspn(at, "/");

		snprintf(component, sizeof(component), "%.*s", (int)n, at);
		proc_cgroup_unit(component, unit, sizeof(unit));
		if (unit[0] && (strcmp(unit, wanted) == 0 || strcmp(unit, service) == 0 ||
				strcmp(component, wanted) == 0))
			return true;
		at += n + (at[n] == '/');
	}
	return false;
}

static bool path_below(const char *path, const char *wanted)
{
	size_t n = strlen(wanted);

	return strncmp(path, wanted, n) == 0 && (!path[n] || path[n] == '/');
}

static bool path_in_container(const char *path, const char *wanted)
{
	char id[80];

	proc_cgroup_container(path, id, sizeof(id));
	return id[0] && strncmp(id, wanted, strlen(wanted)) == 0;
}

static bool matches_unit(struct procfs *procfs, uint32_t pid, const char *wanted)
{
	return any_cgroup(procfs, pid, wanted, path_in_unit);
}

static bool matches_cgroup(struct procfs *procfs, uint32_t pid, const char *wanted)
{
	return any_cgroup(procfs, pid, wanted, path_below);
}

static bool matches_container(struct procfs *procfs, uint32_t pid, const char *wanted)
{
	return any_cgroup(procfs, pid, wanted, path_in_container);
}

int procfs_find_name(struct procfs *procfs, const char *name, uint32_t **ret_pids, size_t *ret_count)
{
	struct search search = {.procfs = procfs, .matches = matches_name, .wanted = name};

	return name[0] ? search_run(&search, ret_pids, ret_count) : -EINVAL;
}

int procfs_find_unit(struct procfs *procfs, const char *unit, uint32_t **ret_pids, size_t *ret_count)
{
	struct search search = {.procfs = procfs, .matches = matches_unit, .wanted = unit};

	return unit[0] ? search_run(&search, ret_pids, ret_count) : -EINVAL;
}

int procfs_find_cgroup(struct procfs *procfs, const char *path, uint32_t **ret_pids, size_t *ret_count)
{
	const char *relative = cgroup_tree_relative(procfs->cgroups, path);
	struct search search = {.procfs = procfs, .matches = matches_cgroup};
	char wanted[PATH_MAX];
	int n = snprintf(wanted, sizeof(wanted), "%s%s", relative[0] && relative[0] != '/' ? "/" : "", relative);

	if (!path[0] || n < 0 || (size_t)n >= sizeof(wanted))
		return -EINVAL;
	/* The root, "/", is above everything: the empty prefix. */
	while (n && wanted[n - 1] == '/')
		wanted[--n] = '\0';
	search.wanted = wanted;
	return search_run(&search, ret_pids, ret_count);
}

int procfs_find_container(struct procfs *procfs, const char *prefix, uint32_t **ret_pids, size_t *ret_count)
{
	struct search search = {.procfs = procfs, .matches = matches_container, .wanted = prefix};

	return prefix[0] ? search_run(&search, ret_pids, ret_count) : -EINVAL;
}
