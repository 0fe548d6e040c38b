/* SPDX-License-Identifier: GPL-2.0-only */
/* Mounted cgroup hierarchies and the limits in them, versions 1 and 2 behind one table of files. It must not
 * know processes. */
#include "cgroup.h"
#include "procfs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct hierarchy {
	char *mount, *root; /* root: the path inside the hierarchy that is mounted */
	char *options;      /* version 1: its controllers, between commas */
	bool version_2;
};

struct cgroup_tree {
	struct hierarchy *hierarchies;
	size_t count;
};

static void hierarchy_clear(struct hierarchy *hierarchy)
{
	free(hierarchy->mount);
	free(hierarchy->root);
	free(hierarchy->options);
}

void cgroup_tree_free(struct cgroup_tree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->count; i++)
		hierarchy_clear(&tree->hierarchies[i]);
	free(tree->hierarchies);
	free(tree);
}

/* mountinfo writes blanks, tabs, newlines and backslashes as three octal digits. */
static char *octal_unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in;) {
		if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' && in[2] <= '7' &&
		    in[3] >= '0' && in[3] <= '7') {
			*out++ = (char)((in[1] - '0') * 64 + (in[2] - '0') * 8 + (in[3] - '0'));
			in += 4;
		} else {
			*out++ = *in++;
		}
	}
	*out = '\0';
	return text;
}

/* ID PARENT MAJ:MIN ROOT MOUNT OPTIONS [TAGS...] - TYPE SOURCE SUPER-OPTIONS (proc(5)) */
static int tree_add_line(struct cgroup_tree *tree, char *line)
{
	char *dash = strstr(line, " - "), *save = NULL, *fields[5];
	struct hierarchy *grown, hierarchy = {0};
	const char *type, *options;

	if (!dash)
		return 0;
	*dash = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!fields[i])
			return 0;
	}
	type = strtok_r(dash + 3, " ", &save);
	if (!type || (strcmp(type, "cgroup") != 0 && strcmp(type, "cgroup2") != 0))
		return 0;
	strtok_r(NULL, " ", &save);
	options = strtok_r(NULL, " ", &save);
	hierarchy.version_2 = strcmp(type, "cgroup2") == 0;
	hierarchy.root = strdup(octal_unescape(fields[3]));
	hierarchy.mount = strdup(octal_unescape(fields[4]));
	hierarchy.options = strdup(options ? options : "");
	grown = reallocarray(tree->hierarchies, tree->count + 1, sizeof(*grown));
	if (grown)
		tree->hierarchies = grown;
	if (!grown || !hierarchy.root || !hierarchy.mount || !hierarchy.options) {
		hierarchy_clear(&hierarchy);
		return -ENOMEM;
	}
	tree->hierarchies[tree->count++] = hierarchy;
	return 0;
}

int cgroup_tree_parse(const char *mountinfo, struct cgroup_tree **ret_tree)
{
	_cleanup_(cgroup_tree_freep) struct cgroup_tree *tree = calloc(1, sizeof(*tree));
	_cleanup_(freep) char *copy = strdup(mountinfo);
	char *save = NULL;

	if (!tree || !copy)
		return -ENOMEM;
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int r = tree_add_line(tree, line);

		if (r < 0)
			return r;
	}
	*ret_tree = TAKE_PTR(tree);
	return 0;
}

int cgroup_tree_new(int procfs_fd, struct cgroup_tree **ret_tree)
{
	_cleanup_(freep) char *text = NULL;
	size_t size = 0;

	/* "self" dangles in a procfs of a PID namespace that the agent is not in. */
	if (file_read(procfs_fd, "self/mountinfo", &text, &size) <= 0 &&
	    file_read(AT_FDCWD, "/proc/self/mountinfo", &text, &size) <= 0)
		return cgroup_tree_parse("", ret_tree);
	return cgroup_tree_parse(text, ret_tree);
}

static bool has_option(const char *options, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = options; *at;) {
		size_t length = strcspn(at, ",");

		if (length == n && memcmp(at, word, n) == 0)
			return true;
		at += length + (at[length] == ',');
	}
	return false;
}

/* Version 1 where the controller is mounted there, else version 2: a controller lives in one of them. */
static const struct hierarchy *tree_find(const struct cgroup_tree *tree, const char *controller)
{
	const struct hierarchy *unified = NULL;

	for (size_t i = 0; i < tree->count; i++) {
		const struct hierarchy *hierarchy = &tree->hierarchies[i];

		if (hierarchy->version_2)
			unified = unified ? unified : hierarchy;
		else if (has_option(hierarchy->options, controller))
			return hierarchy;
	}
	return unified;
}

int cgroup_tree_folder(const struct cgroup_tree *tree, const char *controller, const char *text, size_t length,
		       char *buffer, size_t size, size_t *ret_mount_length, bool *ret_version_2)
{
	const struct hierarchy *hierarchy = tree_find(tree, controller);
	char path[4096];
	const char *below = path;
	bool is_version_1;
	size_t root;
	int n;

	/* Version 2 does not have what version 1 has, though that may not be mounted here. */
	is_version_1 = proc_find_cgroup(text, length, controller, path, sizeof(path)) == 0;
	if (!hierarchy || is_version_1 == hierarchy->version_2 ||
	    (!is_version_1 && proc_find_cgroup(text, length, "", path, sizeof(path)) < 0))
		return -ENOENT;
	/* "/.." is outside of this cgroup namespace; a path that a container's name forged is no better. */
	if (path[0] != '/' || strstr(path, "/..") || strstr(hierarchy->root, "/.."))
		return -ENOENT;
	root = strlen(hierarchy->root);
	if (strcmp(hierarchy->root, "/") != 0) {
		if (strncmp(path, hierarchy->root, root) != 0 || (path[root] && path[root] != '/'))
			return -ENOENT;
		below = path + root;
	}
	n = snprintf(buffer, size, "%s%s", hierarchy->mount, strcmp(below, "/") == 0 ? "" : below);
	if (n < 0 || (size_t)n >= size)
		return -ENOENT;
	*ret_mount_length = strlen(hierarchy->mount);
	*ret_version_2 = hierarchy->version_2;
	return 0;
}

const char *cgroup_tree_relative(const struct cgroup_tree *tree, const char *path)
{
	size_t best = 0;

	for (size_t i = 0; i < tree->count; i++) {
		size_t n = strlen(tree->hierarchies[i].mount);

		if (n > best && strncmp(path, tree->hierarchies[i].mount, n) == 0 && (!path[n] || path[n] == '/'))
			best = n;
	}
	return path + best;
}

/* ---- limits ------------------------------------------------------------------------------------ */

static ssize_t limit_file(const char *folder, size_t length, const char *file, char *buffer, size_t size)
{
	char path[4400];
	_cleanup_(close_fd) int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%.*s/%s", (int)length, folder, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = pread(fd, buffer, size - 1, 0);
	if (n < 0)
		return -errno;
	buffer[n] = '\0';
	return n;
}

static uint64_t limit_number(const char *folder, size_t length, const char *file)
{
	char text[64];
	ssize_t n = limit_file(folder, length, file, text, sizeof(text));

	return n < 0 ? UNKNOWN_U64 : proc_parse_number(text, (size_t)n);
}

static uint64_t limit_counter(const char *folder, size_t length, const char *file, const char *key)
{
	char text[1024];
	ssize_t n = limit_file(folder, length, file, text, sizeof(text));

	return n < 0 ? UNKNOWN_U64 : proc_find_counter(text, (size_t)n, key);
}

static double limit_quota(const char *folder, size_t length, bool version_2)
{
	char text[64];
	long long quota = 0, period = 0;
	ssize_t n = limit_file(folder, length, version_2 ? "cpu.max" : "cpu.cfs_quota_us", text, sizeof(text));

	if (n < 0)
		return NAN;
	if (version_2) {
		if (sscanf(text, "%lld %lld", &quota, &period) != 2)
			return NAN;
	} else {
		quota = strtoll(text, NULL, 10);
		period = (long long)limit_number(folder, length, "cpu.cfs_period_us");
	}
	return quota > 0 && period > 0 ? (double)quota / (double)period : NAN;
}

/* The parent's length of a folder's path, or 0 above the mount point. */
static size_t folder_parent(const char *folder, size_t length, size_t mount_length)
{
	if (length <= mount_length)
		return 0;
	while (length > mount_length && folder[length - 1] != '/')
		length--;
	return length > mount_length ? length - 1 : mount_length;
}

/* Version 1 tells "no limit" as the counter's maximum: PAGE_COUNTER_MAX pages (include/linux/page_counter.h). */
#define MEMORY_NO_LIMIT (1ULL << 62)

static void read_memory(const char *folder, size_t mount_length, bool version_2, struct fact_cgroup *cgroup)
{
	const char *max_file = version_2 ? "memory.max" : "memory.limit_in_bytes";
	const char *current_file = version_2 ? "memory.current" : "memory.usage_in_bytes";
	size_t length = strlen(folder), tightest = length;

	cgroup->is_memory_unread = access(folder, F_OK) < 0;
	cgroup->oom_kills = version_2 ? limit_counter(folder, length, "memory.events", "oom_kill")
				      : limit_counter(folder, length, "memory.oom_control", "oom_kill");
	for (size_t at = length; at; at = folder_parent(folder, at, mount_length)) {
		uint64_t max = limit_number(folder, at, max_file);

		if (max < cgroup->memory_max && max < MEMORY_NO_LIMIT) {
			cgroup->memory_max = max;
			tightest = at;
		}
	}
	cgroup->memory_current = limit_number(folder, tightest, current_file);
}

static void read_cpu(const char *folder, size_t mount_length, bool version_2, struct fact_cgroup *cgroup)
{
	for (size_t at = strlen(folder); at; at = folder_parent(folder, at, mount_length))
		cgroup->cpu_quota_cores = fmin(cgroup->cpu_quota_cores, limit_quota(folder, at, version_2));
}

static void read_pids(const char *folder, size_t mount_length, bool version_2, struct fact_cgroup *cgroup)
{
	for (size_t at = strlen(folder); at; at = folder_parent(folder, at, mount_length)) {
		uint64_t max = limit_number(folder, at, "pids.max");

		if (max < cgroup->pids_max)
			cgroup->pids_max = max;
	}
}

static const struct {
	const char *controller;
	void (*read)(const char *folder, size_t mount_length, bool version_2, struct fact_cgroup *cgroup);
} controllers[] = {{"memory", read_memory}, {"cpu", read_cpu}, {"pids", read_pids}};

void cgroup_tree_read(const struct cgroup_tree *tree, const char *text, size_t length,
		      struct fact_cgroup *ret_cgroup)
{
	struct fact_cgroup cgroup = {
		.memory_max = UNKNOWN_U64, .memory_current = UNKNOWN_U64, .oom_kills = UNKNOWN_U64,
		.pids_max = UNKNOWN_U64, .cpu_quota_cores = NAN, .host_memory_total = UNKNOWN_U64,
	};
	char folder[4352], path[4096] = "";
	size_t mount_length;
	bool version_2;

	/* A kernel without either has no such limit. */
	cgroup.is_memory_unread = proc_find_cgroup(text, length, "memory", path, sizeof(path)) == 0 ||
				  proc_find_cgroup(text, length, "", path, sizeof(path)) == 0;
	snprintf(cgroup.path, sizeof(cgroup.path), "%.255s", path);
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		if (cgroup_tree_folder(tree, controllers[i].controller, text, length, folder, sizeof(folder),
				       &mount_length, &version_2) == 0)
			controllers[i].read(folder, mount_length, version_2, &cgroup);
	}
	*ret_cgroup = cgroup;
}
