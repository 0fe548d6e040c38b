/* SPDX-License-Identifier: GPL-2.0-only */
/* Which processes are targets: the selectors of the command line and the entries of the config, against
 * who is there now. It must not know what is done with them. */
#include "selection.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../edge/log.h"
#include "../edge/loop.h"
#include "../open_files.h"
#include "../view/escape.h"

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
	bool has_looked;
	bool pids_done; /* the PIDs that were given are attached to once */
	char words[256], hint[256];
};

static void put_words(struct selection *selection)
{
	const struct options *options = selection->options;
	char pid[16];
	const struct {
		const char *given, *what, *where;
	} ways[] = {
		{options->n_pids ? pid : NULL, "PID %s", "Look with `pgrep -a NAME`."},
		{options->n_names ? options->names[0] : NULL, "process named %s",
		 "Look with `pgrep -a %s`: the name is that of the command or of its executable."},
		{options->unit, "process of unit %s", "Look with `systemctl status %s`."},
		{options->cgroup, "process in cgroup %s", "Look in /proc/PID/cgroup of one that should be there, or below /sys/fs/cgroup: not in %s."},
		{options->container, "process in container %s",
		 "Look with `docker ps`, `podman ps` or `crictl ps`: the ID begins as it does there, not with %s."},
		{options->config, "process that the config matches", "`poolscope check %s` says what it matches."},
	};

	snprintf(pid, sizeof(pid), "%u", options->n_pids ? options->pids[0] : 0);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		if (!ways[i].given)
			continue;
		snprintf(selection->words, sizeof(selection->words), ways[i].what, ways[i].given);
		snprintf(selection->hint, sizeof(selection->hint), ways[i].where, ways[i].given);
		return;
	}
}

int selection_new(const struct options *options, const struct config *config, struct selection **ret_selection)
{
	struct selection *selection = calloc(1, sizeof(*selection));

	if (!selection)
		return -ENOMEM;
	selection->options = options;
	selection->config = config;
	selection->by_config = !options_have_target(options);
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
	const struct options *options = selection->options;

	return selection->by_config || options->n_names || options->unit || options->cgroup || options->container;
}

const char *selection_words(const struct selection *selection)
{
	return selection->words;
}

const char *selection_hint(const struct selection *selection)
{
	return selection->hint;
}

static int take_path(void *context, const struct fact *fact)
{
	if (fact->kind == FACT_CGROUP)
		snprintf(context, FACT_PATH_SIZE, "%s", fact->cgroup.path);
	return 0;
}

/* 0 with the entry, or -ENOENT. */
static int match(struct selection *selection, const struct fact_target *target, uint32_t *ret_entry)
{
	char cmdline[4096] = "", cgroup[FACT_PATH_SIZE] = "";
	struct fact_sink path = {.emit = take_path, .context = cgroup};
	struct match_subject subject = {.comm = target->comm,
					.exe = target->exe,
					.cmdline = cmdline,
					.unit = target->unit,
					.cgroup = cgroup,
					.container = target->container};

	if (selection->config->policy->n_entries < 2)
		return -ENOENT;
	if (!target->is_past)
		procfs_cmdline(selection->procfs, target->pid, cmdline, sizeof(cmdline));
	procfs_cgroup(selection->procfs, 0, target->pid, &path);
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

static int add_pids(uint32_t **pids, size_t *count, uint32_t *found, size_t n_found)
{
	uint32_t *grown = reallocarray(*pids, *count + n_found + 1, sizeof(*grown));

	if (grown) {
		*pids = grown;
		for (size_t i = 0; i < n_found; i++)
			grown[*count + i] = found[i];
		*count += n_found;
	}
	free(found);
	return grown ? 0 : -ENOMEM;
}

static int compare_pids(const void *a, const void *b)
{
	return compare_u64(*(const uint32_t *)a, *(const uint32_t *)b);
}

/* Alone it is an error; beside others that find something it would be dropped without a word. */
static void note_found(const struct selection *selection, const char *selector, const char *what, size_t count)
{
	const struct options *options = selection->options;
	size_t selectors = options->n_pids + options->n_names + !!options->unit + !!options->cgroup + !!options->container;

	if (!count && selectors > 1 && !selection->has_looked)
		log_event(LOG_LEVEL_WARN, "no_process_yet", selector, what, NULL);
}

/* Everything that the selectors find, all together, ascending; a PID may stand there twice. */
static int list(struct selection *selection, uint32_t **ret_pids, size_t *ret_count)
{
	const struct options *options = selection->options;
	_cleanup_(freep) uint32_t *pids = NULL;
	const struct finder {
		const char *selector, *what;
		int (*find)(struct procfs *procfs, const char *what, uint32_t **ret_pids, size_t *ret_count);
	} finders[] = {{"unit", options->unit, procfs_find_unit},
		       {"cgroup", options->cgroup, procfs_find_cgroup},
		       {"container", options->container, procfs_find_container}};
	uint32_t *found = NULL;
	size_t count = 0, n_found = 0;
	int error = 0;

	if (selection->by_config)
		return procfs_list(selection->procfs, ret_pids, ret_count);
	for (size_t i = 0; i < options->n_names && !error; i++) {
		error = procfs_find_name(selection->procfs, options->names[i], &found, &n_found);
		if (error)
			break;
		note_found(selection, "name", options->names[i], n_found);
		error = add_pids(&pids, &count, found, n_found);
	}
	for (size_t i = 0; i < ARRAY_SIZE(finders) && !error; i++) {
		if (!finders[i].what)
			continue;
		error = finders[i].find(selection->procfs, finders[i].what, &found, &n_found);
		if (error)
			break;
		note_found(selection, finders[i].selector, finders[i].what, n_found);
		error = add_pids(&pids, &count, found, n_found);
	}
	selection->has_looked = true;
	if (error)
		return error;
	if (count)
		qsort(pids, count, sizeof(*pids), compare_pids);
	*ret_pids = TAKE_PTR(pids);
	*ret_count = count;
	return 0;
}

static bool was_passed(const struct selection *selection, uint32_t pid)
{
	size_t at = TABLE_PLACE(selection->passed, selection->n_passed, pid, pid);
	uint64_t start_ns;
	uint32_t parent;

	return at < selection->n_passed && selection->passed[at].pid == pid &&
	       !procfs_born(selection->procfs, pid, &parent, &start_ns) && selection->passed[at].start_ns == start_ns;
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

/* It was not refused for what it is: there are too many. */
static bool lacked_room(int error)
{
	return error == -E2BIG || open_files_are_short(error);
}

static int attach_found(struct selection *selection, struct engine *engine, bool *follows, size_t *unwatched,
			struct explain *explain)
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
	for (size_t i = 0; i < count && !loop_end_is_asked(); i++) {
		struct fact_target target = {.pid = pids[i]};
		uint32_t entry = 0;
		bool follow, is_child;

		if (pids[i] == (uint32_t)getpid() || engine_has(engine, pids[i]))
			continue;
		if (was_passed(selection, pids[i])) {
			passed[n_passed++] = selection->passed[TABLE_PLACE(selection->passed, selection->n_passed, pid, pids[i])];
			continue;
		}
		if (procfs_describe(selection->procfs, pids[i], &target))
			continue;
		is_child = !target.execed && engine_follows(engine, target.parent_pid); /* then it takes after its parent */
		if (!is_child && match(selection, &target, &entry) && selection->by_config) {
			pass(passed, &n_passed, &target);
			continue;
		}
		follow = is_child || entry_follows(selection, entry);
		error = *unwatched ? -E2BIG
			: is_child ? engine_attach_child(engine, pids[i], explain)
				   : engine_attach(engine, pids[i], follow, explain);
		if (error == -ENOMEM)
			return error;
		*unwatched += lacked_room(error);
		if (error && !lacked_room(error))
			pass(passed, &n_passed, &target);
		attached += !error;
		*follows |= !error && follow;
	}
	free(selection->passed);
	selection->passed = TAKE_PTR(passed);
	selection->n_passed = n_passed;
	return attached;
}

static int attach_given(struct selection *selection, struct engine *engine, bool *follows, struct explain *explain)
{
	int attached = 0;

	if (selection->pids_done)
		return 0;
	selection->pids_done = true;
	for (size_t i = 0; i < selection->options->n_pids && !loop_end_is_asked(); i++) {
		struct fact_target target = {0};
		uint32_t entry = 0;
		bool follow;
		int error;

		if (!procfs_describe(selection->procfs, selection->options->pids[i], &target))
			match(selection, &target, &entry);
		follow = entry_follows(selection, entry);
		error = engine_attach(engine, selection->options->pids[i], follow, explain);
		if (error && error != -EEXIST)
			return error;
		attached += !error;
		*follows |= !error && follow;
	}
	return attached;
}

/* One round; a child's own children may stand before it in the list. What is in the list was born before the drain that
 * follows, so a child that the kernel follows already is known. Where one found no room the others find none: they are
 * counted and not tried, which would cost as much as if they were attached to. */
static int attach_missed_once(struct selection *selection, struct engine *engine, size_t *unwatched)
{
	_cleanup_(freep) uint32_t *pids = NULL;
	struct explain ignored = {0};
	size_t count = 0;
	int attached = 0, error = procfs_list(selection->procfs, &pids, &count);

	if (error)
		return error;
	engine_events(engine);
	for (size_t i = 0; i < count && !loop_end_is_asked(); i++) {
		uint64_t start_ns;
		uint32_t parent;

		if (engine_has(engine, pids[i]) || procfs_born(selection->procfs, pids[i], &parent, &start_ns) ||
		    !engine_follows(engine, parent))
			continue;
		error = *unwatched ? -E2BIG : engine_attach_child(engine, pids[i], &ignored);
		if (error == -ENOMEM)
			return error;
		*unwatched += lacked_room(error);
		attached += !error;
	}
	return attached;
}

int selection_attach_missed(struct selection *selection, struct engine *engine, size_t *ret_unwatched)
{
	size_t unwatched = 0;
	int attached = 0, more;

	do {
		more = attach_missed_once(selection, engine, &unwatched);
		if (more < 0)
			return more;
		attached += more;
	} while (more && !unwatched);
	*ret_unwatched = unwatched;
	return attached;
}

int selection_attach(struct selection *selection, struct engine *engine, struct explain *explain)
{
	bool follows = false;
	size_t unwatched = 0, children_unwatched = 0;
	int given = attach_given(selection, engine, &follows, explain), found = 0, children = 0;

	if (given >= 0 && selection_waits(selection))
		found = attach_found(selection, engine, &follows, &unwatched, explain);
	/* The children that are there already; later ones enter the kernel's filter at their birth. */
	if (given >= 0 && found >= 0 && follows)
		children = selection_attach_missed(selection, engine, &children_unwatched);
	/* Those that are born later and find no room the kernel counts. */
	engine_note_unwatched(engine, unwatched + children_unwatched);
	return given < 0 ? given : found < 0 ? found : children < 0 ? children : given + found + children;
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
		char name[4 * sizeof(target.name)];

		if (procfs_describe(selection->procfs, pids[i], &target) || match(selection, &target, &entry))
			continue;
		selection_classify(selection, &target);
		fprintf(out, "matches now: PID %u as %s (entry %u)\n", target.pid,
			escape_text(target.name, sizeof(target.name), locale_is_utf8(), name, sizeof(name)), entry);
		matched++;
	}
	if (!matched)
		fputs("matches now: no process\n", out);
	return 0;
}
