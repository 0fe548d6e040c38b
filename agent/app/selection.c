/* SPDX-License-Identifier: GPL-2.0-only */
/* Which processes are targets: the selectors of the command line and the entries of the config, against
 * who is there now. It must not know what is done with them. */
#include "selection.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Processes that were looked at and are no target are not looked at again until they are others. */
struct looked_at {
	uint32_t pid;
	uint64_t start_ns;
};

struct selection {
	const struct options *options;
	const struct config *config;
	struct procfs *procfs; /* borrowed */
	struct looked_at *passed;
	size_t n_passed;
	bool by_config; /* no selector given: the config's entries select */
	bool named_once; /* the PIDs that were named are attached to once */
	char words[256];
};

static bool has_selector(const struct options *options)
{
	return options->n_pids || options->name || options->unit || options->cgroup || options->container;
}

static void put_words(struct selection *selection)
{
	const struct options *options = selection->options;
	char *words = selection->words;
	size_t size = sizeof(selection->words);

	if (options->n_pids)
		snprintf(words, size, "PID %u", options->pids[0]);
	else if (options->name)
		snprintf(words, size, "process named %s", options->name);
	else if (options->unit)
		snprintf(words, size, "process of unit %s", options->unit);
	else if (options->cgroup)
		snprintf(words, size, "process in cgroup %s", options->cgroup);
	else if (options->container)
		snprintf(words, size, "process in container %s", options->container);
	else
		snprintf(words, size, "process that the config matches");
}

int selection_new(const struct options *options, const struct config *config, struct selection **ret_selection)
{
	struct selection *selection = calloc(1, sizeof(*selection));

	if (!selection)
		return -ENOMEM;
	selection->options = options;
	selection->config = config;
	selection->by_config = !has_selector(options);
	put_words(selection);
	*ret_selection = selection;
	return 0;
}

void selection_free(struct selection *selection)
{
	if (!selection)
		return;
	free(selection->passed);
	free(selection);
}

void selection_set_procfs(struct selection *selection, struct procfs *procfs)
{
	selection->procfs = procfs;
}

bool selection_waits(const struct selection *selection)
{
	return selection->by_config || selection->options->n_pids == 0;
}

const char *selection_words(const struct selection *selection)
{
	return selection->words;
}

/* 0 with the entry, or -ENOENT. Never -ENOENT where the config wants no match keys. */
static int match(struct selection *selection, const struct fact_target *target, uint32_t *ret_entry)
{
	char cmdline[4096] = "", cgroup[FACT_PATH_SIZE] = "";
	struct match_subject subject = {.comm = target->comm,
					.exe = target->exe,
					.cmdline = cmdline,
					.unit = target->unit,
					.cgroup = cgroup,
					.container = target->container};

	if (selection->config->policy->n_entries < 2)
		return -ENOENT;
	procfs_cmdline(selection->procfs, target->pid, cmdline, sizeof(cmdline));
	procfs_cgroup_path(selection->procfs, target->pid, cgroup, sizeof(cgroup));
	return config_match(selection->config, &subject, ret_entry);
}

void selection_classify(void *context, struct fact_target *target)
{
	struct selection *selection = context;
	const struct policy_entry *entry;
	uint32_t index = 0;

	match(selection, target, &index);
	entry = &selection->config->policy->entries[index];
	target->policy = index;
	snprintf(target->name, sizeof(target->name), "%s", entry->name[0] ? entry->name : target->comm);
}

static int list(struct selection *selection, uint32_t **ret_pids, size_t *ret_count)
{
	const struct options *options = selection->options;

	if (options->name)
		return procfs_find_name(selection->procfs, options->name, ret_pids, ret_count);
	if (options->unit)
		return procfs_find_unit(selection->procfs, options->unit, ret_pids, ret_count);
	if (options->cgroup)
		return procfs_find_cgroup(selection->procfs, options->cgroup, ret_pids, ret_count);
	if (options->container)
		return procfs_find_container(selection->procfs, options->container, ret_pids, ret_count);
	return procfs_list(selection->procfs, ret_pids, ret_count);
}

static bool was_passed(const struct selection *selection, const struct fact_target *target)
{
	for (size_t i = 0; i < selection->n_passed; i++)
		if (selection->passed[i].pid == target->pid)
			return selection->passed[i].start_ns == target->start_ns;
	return false;
}

/* The list of those passed over is that of the last look: who is gone leaves it. */
static void pass(struct looked_at *passed, size_t *n_passed, const struct fact_target *target)
{
	passed[(*n_passed)++] = (struct looked_at){.pid = target->pid, .start_ns = target->start_ns};
}

static bool entry_follows(const struct selection *selection, uint32_t entry)
{
	return selection->options->follow_forks || selection->config->entries[entry].follow_forks;
}

static int attach_found(struct selection *selection, struct engine *engine, struct explain *explain)
{
	_cleanup_(freep) struct looked_at *passed = NULL;
	_cleanup_(freep) uint32_t *pids = NULL;
	size_t count = 0, n_passed = 0;
	int attached = 0, error = list(selection, &pids, &count);

	if (error)
		return error;
	passed = calloc(count + 1, sizeof(*passed));
	if (!passed)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct fact_target target = {0};
		uint32_t entry = 0;

		if (pids[i] == (uint32_t)getpid() || engine_has(engine, pids[i]) ||
		    procfs_describe(selection->procfs, pids[i], &target))
			continue;
		if (was_passed(selection, &target) ||
		    (match(selection, &target, &entry) && selection->by_config)) {
			pass(passed, &n_passed, &target);
			continue;
		}
		error = engine_attach(engine, pids[i], entry_follows(selection, entry), explain);
		if (error == -ENOMEM)
			return error;
		if (error)
			pass(passed, &n_passed, &target);
		else
			attached++;
	}
	free(selection->passed);
	selection->passed = TAKE_PTR(passed);
	selection->n_passed = n_passed;
	return attached;
}

static int attach_named(struct selection *selection, struct engine *engine, struct explain *explain)
{
	int attached = 0;

	if (selection->named_once)
		return 0;
	selection->named_once = true;
	for (size_t i = 0; i < selection->options->n_pids; i++) {
		struct fact_target target = {0};
		uint32_t entry = 0;
		int error;

		if (!procfs_describe(selection->procfs, selection->options->pids[i], &target))
			match(selection, &target, &entry);
		error = engine_attach(engine, selection->options->pids[i], entry_follows(selection, entry), explain);
		if (error && error != -EEXIST)
			return error;
		attached += !error;
	}
	return attached;
}

int selection_attach(struct selection *selection, struct engine *engine, struct explain *explain)
{
	return selection->options->n_pids ? attach_named(selection, engine, explain)
					  : attach_found(selection, engine, explain);
}

int selection_print(struct selection *selection, FILE *out)
{
	_cleanup_(freep) uint32_t *pids = NULL;
	size_t count = 0, matched = 0;
	int error = procfs_list(selection->procfs, &pids, &count);

	if (error)
		return error;
	for (size_t i = 0; i < count; i++) {
		struct fact_target target = {0};
		uint32_t entry = 0;

		if (procfs_describe(selection->procfs, pids[i], &target) || match(selection, &target, &entry))
			continue;
		selection_classify(selection, &target);
		fprintf(out, "matches now: PID %u as %s (entry %u)\n", target.pid, target.name, entry);
		matched++;
	}
	if (!matched)
		fputs("matches now: no process\n", out);
	return 0;
}
