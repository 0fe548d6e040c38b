/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel probes in use: which variants, and who is watched. It must not know what facts mean, nor how programs are
 * loaded. */
#include "probes.h"

#include "probe_loss.h"
#include "probe_state.h"
#include "probe_tasks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The first PID namespace: PROC_PID_INIT_INO, include/linux/proc_ns.h */
#define FIRST_PID_NAMESPACE 0xeffffffcU


static int fail(struct explain *explain, int error, const char *what, const char *why, const char *remedy)
{
	snprintf(explain->what, sizeof(explain->what), "%s", what);
	snprintf(explain->why, sizeof(explain->why), "%s", why);
	snprintf(explain->remedy, sizeof(explain->remedy), "%s", remedy);
	return error;
}

/* The first choice failed somewhere: find out what works, group by group. */
static int choose_by_trial(const struct probes_options *options, const char *variants[GROUP_COUNT],
			   struct explain *explain)
{
	struct probe_trial trials[16];
	size_t n_trials = probe_set_try_all(options, trials, ARRAY_SIZE(trials));

	for (size_t group = 0; group < GROUP_COUNT; group++) {
		const struct probe_trial *refused = NULL;

		variants[group] = NULL;
		for (size_t i = 0; i < n_trials && !variants[group]; i++) {
			if (trials[i].group != group || (group == GROUP_MEMORY && options->memory_variant &&
							 strcmp(trials[i].variant, options->memory_variant) != 0))
				continue;
			if (!trials[i].error)
				variants[group] = trials[i].variant;
			else if (!refused || (refused->inborn && !trials[i].inborn))
				refused = &trials[i]; /* the first that the user can do something about */
		}
		if (!variants[group] && refused)
			return fail(explain, refused->error, "cannot attach the kernel probes", refused->why,
				    refused->inborn && group == GROUP_MEMORY && options->memory_variant
					    ? "leave --variant out: another one may work; `poolscope doctor` says which"
					    : refused->remedy);
	}
	return 0;
}

static int probes_load(struct probes *probes, const struct probes_options *options, struct explain *explain)
{
	struct probe_trial trial = {0};
	const char *variants[GROUP_COUNT];
	int r = probe_set_prefer(options, variants);

	if (r < 0)
		return fail(explain, r, "cannot use the variant asked for", "there is no such variant",
			    "use fexit, tracepoint or kretprobe");
	for (int attempt = 0; attempt < 2; attempt++) {
		memcpy(probes->set.variants, variants, sizeof(variants));
		r = probe_set_load(&probes->set, options, &trial);
		if (r >= 0)
			return 0;
		if (attempt == 0) {
			int chosen = choose_by_trial(options, variants, explain);

			if (chosen < 0)
				return chosen;
		}
	}
	return fail(explain, r, "cannot attach the kernel probes", trial.why, trial.remedy);
}

int probes_open(const struct probes_options *options, struct probes **ret_probes, struct explain *explain)
{
	_cleanup_(probes_freep) struct probes *probes = calloc(1, sizeof(*probes));
	const char *procfs = options->procfs ? options->procfs : "/proc";
	uint32_t bytes = options->ring_bytes;
	int r;

	if (!probes)
		return fail(explain, -ENOMEM, "cannot attach the kernel probes", "out of memory", "");
	probes->due_ns = UINT64_MAX;
	probes->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	if (bytes & (bytes - 1) || bytes & (probes->page_size - 1))
		return fail(explain, -EINVAL, "cannot make the ring buffer",
			    "its size is not a power of two of whole pages", "ask for 4MiB, for example");
	snprintf(probes->procfs, sizeof(probes->procfs), "%s", procfs);
	r = probe_tasks_namespace(procfs, &probes->pid_namespace);
	if (r < 0)
		return fail(explain, r, "cannot tell which PID namespace the procfs shows", strerror(-r),
			    "check --procfs; reading it takes CAP_SYS_PTRACE");
	r = probe_spaces_new(&probes->spaces);
	if (r < 0)
		return fail(explain, r, "cannot attach the kernel probes", "out of memory", "");
	r = probes_load(probes, options, explain);
	if (r < 0)
		return r;
	r = probe_drain_open(probes);
	if (r < 0)
		return fail(explain, r, "cannot read the ring buffer", strerror(-r),
			    "ask for a smaller ring, or raise the limit of open files");
	*ret_probes = TAKE_PTR(probes);
	return 0;
}

void probes_free(struct probes *probes)
{
	if (!probes)
		return;
	probe_drain_close(probes);
	probe_set_clear(&probes->set);
	probe_spaces_free(probes->spaces);
	probe_stacks_clear(&probes->stacks);
	free(probes);
}

size_t probes_try_all(const struct probes_options *options, struct probe_trial *trials, size_t max)
{
	size_t count = probe_set_try_all(options, trials, max);
	bool chosen[GROUP_COUNT] = {false};

	for (size_t i = 0; i < count; i++) {
		enum probe_group group = trials[i].group;

		if (group == GROUP_MEMORY && options->memory_variant &&
		    strcmp(options->memory_variant, trials[i].variant) != 0)
			continue;
		trials[i].used = !trials[i].error && !chosen[group];
		chosen[group] |= trials[i].used;
	}
	return count;
}

size_t probes_in_use(const struct probes *probes, struct probe_trial *trials, size_t max)
{
	static const char *const names[] = {"threads", "memory", "iterator"};
	size_t count = 0;

	_Static_assert(ARRAY_SIZE(names) == GROUP_COUNT, "every group has a name");
	for (size_t group = 0; group < GROUP_COUNT && count < max; group++)
		trials[count++] = (struct probe_trial){.group = (enum probe_group)group,
						       .group_name = names[group],
						       .variant = probes->set.variants[group],
						       .used = true};
	return count;
}

static int take_first(void *context, const struct task_record *record)
{
	*(struct task_record *)context = *record;
	return 1;
}

/* The kernel's number for a PID of the procfs in use. Without the iterator the two are the same in the first
 * namespace only. */
static int translate(struct probes *probes, uint32_t pid, struct task_record *ret_record)
{
	struct probe_tasks_request request = {.pid_namespace = probes->pid_namespace, .pid = pid};
	int r = probe_tasks_read(&probes->set, &request, take_first, ret_record);

	if (r == -EOPNOTSUPP && probes->pid_namespace == FIRST_PID_NAMESPACE) {
		*ret_record = (struct task_record){.kernel_tgid = pid, .tid = pid};
		return 0;
	}
	return r > 0 ? 0 : r == 0 ? -EXDEV : r;
}

static bool process_exists(const struct probes *probes, uint32_t pid)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%u/stat", probes->procfs, pid);
	return access(path, F_OK) == 0;
}

static void watch(struct probes *probes, uint32_t tgid, uint32_t step)
{
	uint32_t *slot = &probes->set.object->bss->watched[tgid & (EVENT_FILTER_SLOTS - 1)];

	__atomic_fetch_add(slot, step, __ATOMIC_SEQ_CST);
}

static int process_insert(struct probes *probes, uint32_t tgid, const struct process *process)
{
	int fd = bpf_map__fd(probes->set.object->maps.processes);

	watch(probes, tgid, 1);
	if (bpf_map_update_elem(fd, &tgid, process, BPF_NOEXIST) == 0)
		return 0;
	int error = -errno;
	watch(probes, tgid, (uint32_t)-1);
	return error;
}

bool probe_watch_guest(struct probes *probes, const struct probe_space *space, const struct task_record *record)
{
	struct process process = {0};

	/* Its host's account and its host's wish to have forks followed. */
	if (bpf_map_lookup_elem(bpf_map__fd(probes->set.object->maps.processes), &space->tgid, &process) < 0)
		return false;
	process.space = space->tgid;
	process.start_ns = record->start_ns;
	process.flags = (process.flags & PROCESS_FOLLOW) | PROCESS_GUEST | (record->vfork ? PROCESS_VFORK : 0);
	return process_insert(probes, record->kernel_tgid, &process) == 0;
}

/* In the memory of a target, which shows it already. */
static bool is_guest(const struct probes *probes, uint32_t tgid)
{
	struct process process;

	return bpf_map_lookup_elem(bpf_map__fd(probes->set.object->maps.processes), &tgid, &process) == 0 &&
	       process.flags & PROCESS_GUEST;
}

int probes_check_guest(struct probes *probes, uint32_t pid, uint32_t parent, struct explain *explain)
{
	struct task_record record = {0}, host = {0};
	char what[64], why[128], remedy[128];

	if (!parent || translate(probes, pid, &record) || record.vfork || !record.memory ||
	    translate(probes, parent, &host) || record.memory != host.memory)
		return 0;
	snprintf(what, sizeof(what), "cannot attach to PID %u", pid);
	snprintf(why, sizeof(why), "it lives in the memory of process %u (CLONE_VM)", parent);
	snprintf(remedy, sizeof(remedy), "attach to that, which shows both: -p %u", parent);
	return fail(explain, -EINVAL, what, why, remedy);
}

int probes_add_target(struct probes *probes, uint32_t pid, bool follow_forks, uint32_t family, uint32_t *ret_target,
		      struct explain *explain)
{
	struct task_record record = {0};
	struct process process = {0};
	struct probe_space *space;
	char what[64];
	int r;

	snprintf(what, sizeof(what), "cannot attach to PID %u", pid);
	if (!process_exists(probes, pid))
		return fail(explain, -ESRCH, what, "there is no such process", "list processes with ps -e");
	r = translate(probes, pid, &record);
	if (r == -EXDEV && !process_exists(probes, pid))
		return fail(explain, -ESRCH, what, "it has just ended", "");
	if (r == -EXDEV || r == -EOPNOTSUPP)
		return fail(explain, -EXDEV, what,
			    "its PID cannot be translated: of the tasks that the kernel lists here, none has it",
			    "if it runs in another PID namespace, run poolscope in that of its procfs (--pid=host, hostPID: true)");
	if (r < 0)
		return fail(explain, r, what, strerror(-r), "run `poolscope doctor`");
	if (is_guest(probes, record.kernel_tgid))
		return -EEXIST;
	probes->set.object->bss->procfs_level = record.level;

	space = probe_spaces_find(probes->spaces, record.kernel_tgid);
	if (space && (!record.start_ns || space->start_ns == record.start_ns)) {
		*ret_target = space->target;
		return 0;
	}
	r = probe_spaces_add(probes->spaces, record.kernel_tgid, record.start_ns, probes->last_target + 1, &space);
	if (r < 0)
		return fail(explain, r, what, "out of memory", "");
	space->memory = record.memory;
	process.space = record.kernel_tgid;
	process.flags = follow_forks ? PROCESS_FOLLOW : 0;
	process.start_ns = record.start_ns;
	process.family = family ? family : space->target;
	process.share = space->share = (uint16_t)(process.family % EVENT_SHARES);
	process.left = EVENT_GROWTH_BYTES;
	probes->told[space->share].has_newcomer = true;
	r = process_insert(probes, record.kernel_tgid, &process);
	/* It is there already when a followed parent has just made it; its birth is still in the ring. */
	if (r < 0 && r != -EEXIST) {
		probe_spaces_remove(probes->spaces, record.kernel_tgid);
		return fail(explain, r, what, r == -E2BIG ? "too many processes are watched" : strerror(-r),
			    "attach to fewer processes, or without --follow-forks, or raise --max-processes");
	}
	*ret_target = ++probes->last_target;
	return 0;
}

/* As the kernel counts them; of one that it watches no more, as the reader does. */
static uint64_t execs_of(const struct probes *probes, const struct probe_space *space)
{
	struct process process;

	if (bpf_map_lookup_elem(bpf_map__fd(probes->set.object->maps.processes), &space->tgid, &process) < 0 ||
	    process.start_ns != space->start_ns)
		return space->wish.execs;
	return process.execs;
}

bool probes_image_is_past(const struct probes *probes, uint32_t target)
{
	const struct probe_space *space = probe_spaces_of_target(probes->spaces, target);

	return space && execs_of(probes, space) != space->wish.execs;
}

bool probes_are_behind(const struct probes *probes)
{
	return probes->is_behind;
}

uint64_t probes_heard_until(const struct probes *probes, uint64_t now_ns)
{
	return probes->is_behind && probes->event_ns < now_ns ? probes->event_ns : now_ns;
}

int probes_take_lost_exec(struct probes *probes, uint32_t target, const struct fact_sink *sink)
{
	struct probe_space *space = probe_spaces_of_target(probes->spaces, target);
	uint64_t execs = space ? execs_of(probes, space) : 0;
	int r;

	if (!space || execs == space->wish.execs)
		return 0;
	r = probes_drain(probes, sink); /* its record may wait there */
	space = probe_spaces_of_target(probes->spaces, target);
	if (r < 0 || !space || space->wish.execs >= execs)
		return r < 0 ? r : 0;
	if (probes->is_behind)
		return -EAGAIN;
	space->wish = (struct wish){.execs = execs};
	return 1;
}

static void unwatch(struct probes *probes, uint32_t tgid)
{
	if (bpf_map_delete_elem(bpf_map__fd(probes->set.object->maps.processes), &tgid) == 0)
		watch(probes, tgid, (uint32_t)-1);
}

void probe_forget(struct probes *probes, struct probe_space *space)
{
	struct process process;

	/* The number may be a followed child's by now, whose birth is still in the ring. */
	if (bpf_map_lookup_elem(bpf_map__fd(probes->set.object->maps.processes), &space->tgid, &process) == 0 &&
	    process.start_ns == space->start_ns)
		unwatch(probes, space->tgid);
	bpf_map_delete_elem(bpf_map__fd(probes->set.object->maps.wishes), &space->tgid);
	probe_loss_forget(&probes->set, space->tgid);
	probe_spaces_remove(probes->spaces, space->tgid);
}

void probes_note_unwatched(struct probes *probes, uint64_t count)
{
	if (count > probes->unwatched)
		probes->unwatched = count;
}

void probes_count_unwatched(struct probes *probes)
{
	probes->unwatched++;
}

void probes_remove_target(struct probes *probes, uint32_t target)
{
	struct probe_space *space = probe_spaces_of_target(probes->spaces, target);
	int fd = bpf_map__fd(probes->set.object->maps.processes);
	uint32_t key, *previous = NULL;
	uint32_t guests[64];
	size_t n_guests = 0;

	if (!space)
		return;
	for (size_t i = 0; i < 2 * EVENT_MAX_PROCESSES && bpf_map_get_next_key(fd, previous, &key) == 0; i++) {
		struct process process;

		previous = &key;
		if (n_guests < ARRAY_SIZE(guests) && bpf_map_lookup_elem(fd, &key, &process) == 0 &&
		    process.space == space->tgid && process.flags & PROCESS_GUEST)
			guests[n_guests++] = key;
	}
	for (size_t i = 0; i < n_guests; i++)
		unwatch(probes, guests[i]);
	probe_forget(probes, space);
}

/* Whole, into a map of its own: an entry of the kernel's that is read, changed and written back takes back what the kernel
 * has written meanwhile. */
static int wish_tell(struct probes *probes, struct probe_space *space)
{
	space->wish.start_ns = space->start_ns;
	return bpf_map_update_elem(bpf_map__fd(probes->set.object->maps.wishes), &space->tgid, &space->wish, BPF_ANY) < 0
		       ? -errno : 0;
}

int probes_set_descriptor(struct probes *probes, uint32_t target, uint32_t start_routine_offset)
{
	struct probe_space *space = probe_spaces_of_target(probes->spaces, target);

	if (!space)
		return -ESRCH;
	space->wish.routine_offset = start_routine_offset;
	return wish_tell(probes, space);
}

bool probes_take_stack_of(struct probes *probes, const struct fact *fact, bool python_only, struct stack_copy *ret_copy)
{
	return probe_stacks_take_of(&probes->stacks, fact, python_only, ret_copy);
}

bool probes_take_stack(struct probes *probes, uint32_t target, struct thread_id who, struct stack_copy *ret_copy)
{
	return probe_stacks_take(&probes->stacks, target, who, ret_copy);
}

int probes_want_growth(struct probes *probes, uint32_t target)
{
	struct probe_space *space = probe_spaces_of_target(probes->spaces, target);

	if (!space)
		return -ESRCH;
	space->wish.growth = 1;
	return wish_tell(probes, space);
}

int probes_set_python(struct probes *probes, uint32_t target, const struct python_layout *layout)
{
	struct probe_space *space = probe_spaces_of_target(probes->spaces, target);

	if (!space)
		return -ESRCH;
	space->wish.python = *layout;
	return wish_tell(probes, space);
}

int probes_note_python_thread(struct probes *probes, struct thread_id id, uint64_t address)
{
	const struct python_thread thread = {.address = address, .start_ns = id.start_ns};

	return bpf_map_update_elem(bpf_map__fd(probes->set.object->maps.python_threads), &id.tid, &thread, BPF_ANY) < 0
		       ? -errno : 0;
}
