/* SPDX-License-Identifier: GPL-2.0-only */
/* The config as a whole: loading, matching, what the command line puts in front. It must not know what
 * the file looks like (config_read.c). */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <unistd.h>

#include "config_schema.h"
#include "wrapped.h"

static const char *const match_names[] = {
	[MATCH_NAME] = "name", [MATCH_EXE] = "exe",	  [MATCH_CMDLINE] = "cmdline",
	[MATCH_UNIT] = "unit", [MATCH_CGROUP] = "cgroup", [MATCH_CONTAINER] = "container",
};
_Static_assert(ARRAY_SIZE(match_names) == MATCH_KEY_COUNT, "a match key without a name");

const char *match_key_name(enum match_key key)
{
	return match_names[key];
}

void config_free(struct config *config)
{
	if (!config)
		return;
	policy_free(config->policy);
	free(config->entries);
	free(config);
}

int config_new_builtin(struct config **ret_config)
{
	_cleanup_(config_freep) struct config *config = calloc(1, sizeof(*config));
	int r;

	if (!config)
		return -ENOMEM;
	strcpy(config->listen, CONFIG_LISTEN_DEFAULT);
	config->entries = calloc(1, sizeof(*config->entries));
	if (!config->entries)
		return -ENOMEM;
	r = policy_new_builtin(&config->policy);
	if (r < 0)
		return r;
	*ret_config = TAKE_PTR(config);
	return 0;
}

int config_parse(const char *text, size_t length, struct config **ret_config, struct problems *problems)
{
	_cleanup_(yaml_freep) struct yaml_node *root = NULL;
	_cleanup_(config_freep) struct config *config = NULL;
	size_t problems_before = problems->total;
	int r;

	r = yaml_parse(text, length, &root, problems);
	if (r < 0)
		return r;
	r = config_new_builtin(&config);
	if (r < 0)
		return r;
	r = config_read(root, config, problems);
	if (r < 0)
		return r;
	if (problems->total > problems_before)
		return -EINVAL;
	*ret_config = TAKE_PTR(config);
	return 0;
}

/* One byte more than is taken, so that config_parse() refuses what is too large. */
static ssize_t read_file(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t n = -1;

	if (fd < 0)
		return -errno;
	while (length < size && (n = read(fd, buffer + length, size - length)) > 0)
		length += (size_t)n;
	n = n < 0 ? -errno : (ssize_t)length;
	close(fd);
	return n;
}

int config_load(const char *path, struct config **ret_config, struct problems *problems)
{
	_cleanup_(freep) char *buffer = malloc(YAML_BYTES_MAX + 1);
	ssize_t length;

	if (!buffer)
		return -ENOMEM;
	length = read_file(path, buffer, YAML_BYTES_MAX + 1);
	if (length < 0) {
		problem_add(problems, 0, 0, "cannot read the config: %s; name a YAML file that you may read", strerror((int)-length));
		return -EINVAL;
	}
	return config_parse(buffer, (size_t)length, ret_config, problems);
}

void problems_print(const struct problems *problems, const char *path, FILE *out)
{
	for (size_t i = 0; i < problems->n_list; i++) {
		const struct problem *problem = &problems->list[i];

		if (problem->line)
			wrapped_print(out, 2, "%s:%u:%u: %s", path, problem->line, problem->column, problem->text);
		else
			wrapped_print(out, 2, "%s: %s", path, problem->text);
	}
	if (problems->total > problems->n_list)
		fprintf(out, "%s: and %zu more\n", path, problems->total - problems->n_list);
}

int config_prepend_limits(struct config *config, const struct limit_rule *rules, size_t n_rules)
{
	for (size_t i = 0; i < config->policy->n_entries; i++) {
		for (size_t j = n_rules; j-- > 0;) {
			int r = policy_entry_prepend_limit(&config->policy->entries[i], &rules[j]);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static bool glob_matches(const char *glob, const char *text)
{
	return text && *text && fnmatch(glob, text, 0) == 0;
}

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

static bool match_name(const char *glob, const struct match_subject *subject)
{
	return glob_matches(glob, subject->comm) || glob_matches(glob, base_name(subject->exe));
}

static bool match_exe(const char *glob, const struct match_subject *subject)
{
	return glob_matches(glob, strchr(glob, '/') ? subject->exe : base_name(subject->exe));
}

static bool match_cmdline(const char *glob, const struct match_subject *subject)
{
	return glob_matches(glob, subject->cmdline);
}

static bool match_unit(const char *glob, const struct match_subject *subject)
{
	return glob_matches(glob, subject->unit);
}

static bool match_cgroup(const char *glob, const struct match_subject *subject)
{
	return glob_matches(glob, subject->cgroup);
}

static bool match_container(const char *glob, const struct match_subject *subject)
{
	char prefix[sizeof(((struct config_entry *)NULL)->match[0]) + 1];

	/* People have the first 12 characters of an id. */
	snprintf(prefix, sizeof(prefix), "%s*", glob);
	return glob_matches(prefix, subject->container);
}

static bool (*const matchers[])(const char *glob, const struct match_subject *subject) = {
	[MATCH_NAME] = match_name, [MATCH_EXE] = match_exe,	  [MATCH_CMDLINE] = match_cmdline,
	[MATCH_UNIT] = match_unit, [MATCH_CGROUP] = match_cgroup, [MATCH_CONTAINER] = match_container,
};
_Static_assert(ARRAY_SIZE(matchers) == MATCH_KEY_COUNT, "a match key that nothing matches");

static bool entry_matches(const struct config_entry *entry, const struct match_subject *subject)
{
	for (int key = 0; key < MATCH_KEY_COUNT; key++) {
		if (entry->match[key][0] && !matchers[key](entry->match[key], subject))
			return false;
	}
	return true;
}

int config_match(const struct config *config, const struct match_subject *subject, uint32_t *ret_entry)
{
	for (size_t i = 1; i < config->policy->n_entries; i++) {
		if (entry_matches(&config->entries[i], subject)) {
			*ret_entry = (uint32_t)i;
			return 0;
		}
	}
	return -ENOENT;
}
