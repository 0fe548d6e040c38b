/* SPDX-License-Identifier: GPL-2.0-only */
/* Which programs make up each variant of each probe group, and whether this kernel takes them: by trial. It must not
 * know targets, nor events. */
#include "probe_load.h"
#include "probe_why.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#if defined(__x86_64__)
#define SYSCALL_FUNCTION "__x64_sys_"
#define KERNEL_STACK_BYTES (16U << 10) /* THREAD_SIZE, arch/x86/include/asm/page_64_types.h */
#elif defined(__aarch64__)
#define SYSCALL_FUNCTION "__arm64_sys_"
#define KERNEL_STACK_BYTES (16U << 10) /* THREAD_SIZE, arch/arm64/include/asm/memory.h, 4 KiB pages */
#else
#error "poolscope knows x86-64 and arm64 only"
#endif
#define TRACEFS "/sys/kernel/tracing"

enum hook_kind {
	HOOK_TRACEPOINT_BTF, /* tp_btf, raw_tp: the section name says where */
	HOOK_TRAMPOLINE,     /* fentry, fexit on a system call's function */
	HOOK_TRACEPOINT,     /* syscalls/`where` */
	HOOK_KPROBE,
	HOOK_KRETPROBE,
	HOOK_ITERATOR,
	HOOK_NONE,
};

struct hook {
	enum probe_group group;
	const char *variant;
	enum hook_kind kind;
	const char *program, *where;
	bool optional; /* the system call may not be in this kernel */
};

#define THREAD_HOOKS(variant)                                                                                \
	{GROUP_THREADS, #variant, HOOK_TRACEPOINT_BTF, #variant "_task_newtask", "", false},                 \
	{GROUP_THREADS, #variant, HOOK_TRACEPOINT_BTF, #variant "_sched_process_exit", "", false},           \
	{GROUP_THREADS, #variant, HOOK_TRACEPOINT_BTF, #variant "_sched_process_exec", "", false},           \
	{GROUP_THREADS, #variant, HOOK_TRACEPOINT_BTF, #variant "_task_rename", "", false}

#define MEMORY_HOOKS(variant, exit_kind, entry_kind, exit_where, entry_where, entry, protect_key)            \
	{GROUP_MEMORY, #variant, entry_kind, entry "munmap", entry_where "munmap", false},                   \
	{GROUP_MEMORY, #variant, entry_kind, entry "mremap", entry_where "mremap", false},                   \
	{GROUP_MEMORY, #variant, exit_kind, #variant "_munmap", exit_where "munmap", false},                 \
	{GROUP_MEMORY, #variant, exit_kind, #variant "_mremap", exit_where "mremap", false},                 \
	{GROUP_MEMORY, #variant, exit_kind, #variant "_mmap", exit_where "mmap", false},                     \
	{GROUP_MEMORY, #variant, exit_kind, #variant "_brk", exit_where "brk", false},                       \
	{GROUP_MEMORY, #variant, exit_kind, #variant "_mprotect", exit_where "mprotect", false},             \
	{GROUP_MEMORY, #variant, exit_kind, protect_key, exit_where "pkey_mprotect", true}

/* In order of preference. */
static const struct hook hooks[] = {
	THREAD_HOOKS(tp_btf),
	THREAD_HOOKS(raw_tp),
	MEMORY_HOOKS(fexit, HOOK_TRAMPOLINE, HOOK_TRAMPOLINE, SYSCALL_FUNCTION, SYSCALL_FUNCTION, "fentry_",
		     "fexit_pkey_mprotect"),
	MEMORY_HOOKS(tracepoint, HOOK_TRACEPOINT, HOOK_TRACEPOINT, "sys_exit_", "sys_enter_", "tracepoint_entry_",
		     "tracepoint_mprotect"),
	MEMORY_HOOKS(kretprobe, HOOK_KRETPROBE, HOOK_KPROBE, SYSCALL_FUNCTION, SYSCALL_FUNCTION, "kprobe_entry_",
		     "kretprobe_mprotect"),
	{GROUP_ITERATOR, "iter", HOOK_ITERATOR, "iter_task", "", false},
	{GROUP_ITERATOR, "procfs", HOOK_NONE, "", "", false},
};

static const char *const group_names[] = {
	[GROUP_THREADS] = "threads",
	[GROUP_MEMORY] = "memory",
	[GROUP_ITERATOR] = "iterator",
};
_Static_assert(ARRAY_SIZE(group_names) == GROUP_COUNT, "every group has a name");

static bool hook_in_set(const struct hook *hook, const struct probe_set *set)
{
	const char *variant = set->variants[hook->group];

	return hook->kind != HOOK_NONE && variant && strcmp(hook->variant, variant) == 0;
}

bool probe_variant_known(enum probe_group group, const char *variant)
{
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++)
		if (hooks[i].group == group && strcmp(hooks[i].variant, variant) == 0)
			return true;
	return false;
}

static void trial_fail(struct probe_trial *trial, const struct hook *hook, int error, const char *where)
{
	trial->group = hook->group;
	trial->group_name = group_names[hook->group];
	trial->variant = hook->variant;
	trial->error = error;
	probe_why(hook->variant, where, error, trial);
}

void probe_set_clear(struct probe_set *set)
{
	for (size_t i = 0; i < set->n_links; i++)
		bpf_link__destroy(set->links[i]);
	set->n_links = 0;
	bpf_link__destroy(set->iterator);
	set->iterator = NULL;
	probes_bpf__destroy(set->object);
	set->object = NULL;
}

/* A fresh Debian has no tracefs mounted; the message of a failed attach says how to do it by hand. */
static void tracefs_mount(void)
{
	if (!probe_has_tracefs())
		mount("tracefs", TRACEFS, "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

static int hook_prepare(const struct hook *hook, struct bpf_program *program)
{
	int r = 0;

	if (hook->kind == HOOK_TRAMPOLINE) {
		/* libbpf fails the whole object over a function that is not there. */
		if (hook->optional && libbpf_find_vmlinux_btf_id(hook->where, BPF_TRACE_FEXIT) < 0)
			return 0;
		r = bpf_program__set_attach_target(program, 0, hook->where);
	}
	return r < 0 ? r : bpf_program__set_autoload(program, true);
}

static struct bpf_link *hook_attach(const struct hook *hook, struct bpf_program *program)
{
	switch (hook->kind) {
	case HOOK_TRACEPOINT:
		return bpf_program__attach_tracepoint(program, "syscalls", hook->where);
	case HOOK_KPROBE:
	case HOOK_KRETPROBE:
		return bpf_program__attach_kprobe(program, hook->kind == HOOK_KRETPROBE, hook->where);
	case HOOK_ITERATOR:
		return bpf_program__attach_iter(program, NULL);
	default:
		return bpf_program__attach(program);
	}
}

/* What only births and exits get of the ring. */
#define THREAD_PART 4
/* A smaller one would fill before its reader has a CPU: then each target's memory events may take as much as was asked for,
 * accounts are kept from the first record on, and births, exits and other targets have the rest of this. */
#define RING_BYTES_LEAST (64U << 10)

static int set_open(struct probe_set *set, const struct probes_options *options)
{
	uint32_t wanted = options->ring_bytes ? options->ring_bytes : DEFAULT_RING_BYTES;
	uint32_t bytes = wanted < RING_BYTES_LEAST ? RING_BYTES_LEAST : wanted;
	struct probes_bpf *object = probes_bpf__open();

	if (!object)
		return -errno;
	set->object = object;
	object->rodata->memory_bytes = bytes - bytes / THREAD_PART;
	object->rodata->share_bytes = wanted < bytes ? wanted : UINT64_MAX;
	object->rodata->wake_bytes = wanted < bytes ? 0 : bytes / 4;
	object->rodata->page_mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	object->rodata->thread_size = KERNEL_STACK_BYTES;
	object->rodata->growth_spacing_ns = options->growths_per_second ? NSEC_PER_SEC / options->growths_per_second : 0;
	object->rodata->has_task_pt_regs =
		libbpf_probe_bpf_helper(BPF_PROG_TYPE_TRACEPOINT, BPF_FUNC_task_pt_regs, NULL) == 1;
	if (options->max_processes) {
		bpf_map__set_max_entries(object->maps.processes, options->max_processes);
		bpf_map__set_max_entries(object->maps.wishes, options->max_processes);
		bpf_map__set_max_entries(object->maps.lost_by_space, options->max_processes);
	}
	return bpf_map__set_max_entries(object->maps.ring, bytes);
}

/* libbpf loads an object as a whole, so the programs of a failed load are the suspects; its first
 * complaint names one. */
static const struct hook *hook_blamed(const struct probe_set *set)
{
	const char *complaint = probe_log_first();
	const struct hook *first = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		if (!hook_in_set(&hooks[i], set))
			continue;
		if (!first)
			first = &hooks[i];
		if (strstr(complaint, hooks[i].program))
			return &hooks[i];
	}
	return first ? first : &hooks[0];
}

static int set_load(struct probe_set *set, const struct probes_options *options, struct probe_trial *trial)
{
	int r;

	probe_log_capture();
	r = set_open(set, options);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(hooks); i++) {
		struct bpf_program *program;

		if (!hook_in_set(&hooks[i], set))
			continue;
		if (hooks[i].kind == HOOK_TRACEPOINT)
			tracefs_mount();
		program = bpf_object__find_program_by_name(set->object->obj, hooks[i].program);
		r = program ? hook_prepare(&hooks[i], program) : -ENOENT;
	}
	if (r >= 0)
		r = probes_bpf__load(set->object);
	if (r < 0) {
		const struct hook *blamed = hook_blamed(set);

		trial_fail(trial, blamed, r, blamed->where);
		return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		struct bpf_program *program;
		struct bpf_link *link;

		if (!hook_in_set(&hooks[i], set))
			continue;
		program = bpf_object__find_program_by_name(set->object->obj, hooks[i].program);
		if (!program || bpf_program__fd(program) < 0)
			continue;
		link = hook_attach(&hooks[i], program);
		if (!link && hooks[i].optional)
			continue;
		if (!link) {
			r = -errno;
			trial_fail(trial, &hooks[i], r, hooks[i].where);
			return r;
		}
		if (hooks[i].kind == HOOK_ITERATOR)
			set->iterator = link;
		else
			set->links[set->n_links++] = link;
	}
	return 0;
}

/* The kernel has its own copy by now: the pages of the executable that hold the object's bytes, constants without
 * relocations, are nearly a tenth of the agent's resident memory. Whoever reads them again has them from the file. */
static void object_forget(void)
{
	size_t size, page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t bytes = (uintptr_t)probes_bpf__elf_bytes(&size);
	uintptr_t start = (bytes + page - 1) & ~(page - 1), end = (bytes + size) & ~(page - 1);

	if (start < end)
		(void)madvise((void *)start, end - start, MADV_DONTNEED);
}

int probe_set_load(struct probe_set *set, const struct probes_options *options, struct probe_trial *trial)
{
	int r = set_load(set, options, trial);

	object_forget();
	if (r < 0)
		probe_set_clear(set);
	return r;
}

size_t probe_set_try_all(const struct probes_options *options, struct probe_trial *trials, size_t max)
{
	const char *previous = "";
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(hooks) && count < max; i++) {
		struct probe_set set = {0};
		struct probe_trial trial = {0};

		if (strcmp(hooks[i].variant, previous) == 0)
			continue;
		previous = hooks[i].variant;
		trial.group = hooks[i].group;
		trial.group_name = group_names[hooks[i].group];
		trial.variant = hooks[i].variant;
		set.variants[hooks[i].group] = hooks[i].variant;
		if (hooks[i].kind != HOOK_NONE && probe_set_load(&set, options, &trial) >= 0)
			probe_set_clear(&set);
		trials[count++] = trial;
	}
	return count;
}

/* Does the kernel refuse every trampoline program, whatever it is for? Saves a whole load where it does. */
static bool trampolines_refused(void)
{
	/* r0 = 0; exit */
	static const struct bpf_insn nothing[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K}, {.code = BPF_JMP | BPF_EXIT}};
	LIBBPF_OPTS(bpf_prog_load_opts, load, .expected_attach_type = BPF_TRACE_FEXIT,
		    .attach_btf_id = INT32_MAX); /* a type that no kernel has: refused with EINVAL if at all looked at */
	int fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, NULL, "GPL", nothing, ARRAY_SIZE(nothing), &load);
	int error = errno;

	if (fd >= 0)
		close(fd);
	return fd < 0 && error == EPERM;
}

int probe_set_prefer(const struct probes_options *options, const char *variants[GROUP_COUNT])
{
	probe_log_capture();
	if (options->memory_variant && !probe_variant_known(GROUP_MEMORY, options->memory_variant))
		return -EINVAL;
	variants[GROUP_THREADS] = "tp_btf";
	variants[GROUP_ITERATOR] = "iter";
	variants[GROUP_MEMORY] = options->memory_variant;
	if (!options->memory_variant)
		variants[GROUP_MEMORY] = trampolines_refused() ? "tracepoint" : "fexit";
	return 0;
}
