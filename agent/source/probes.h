/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel probes: load by trial, filter by target, drain the ring into facts. Hands out the ids
 * of targets. It must not know what facts mean. */
#ifndef POOLSCOPE_SOURCE_PROBES_H
#define POOLSCOPE_SOURCE_PROBES_H

#include "stack_copy.h"

struct probes;

/* Groups and variants as DESIGN.md's table has them, in order of preference. */
enum probe_group { GROUP_THREADS, GROUP_MEMORY, GROUP_ITERATOR, GROUP_COUNT };

struct probe_trial { /* what a trial load said; one per (group, variant) */
	enum probe_group group;
	const char *group_name, *variant; /* "threads", "tp_btf" ... static strings */
	int error;          /* 0: loads and attaches; else -errno */
	bool used;          /* the variant that this agent would use, or uses */
	char why[160], remedy[200]; /* when error != 0 */
	bool inborn; /* refused by what this kernel is: the user can do nothing about it */
};

struct probes_options {
	const char *memory_variant; /* "fexit", "tracepoint", "kretprobe"; NULL: the first that loads */
	uint32_t ring_bytes;        /* power of two, multiple of the page size; 0: 4 MiB */
	uint32_t max_processes;     /* watched at one time; 0: EVENT_MAX_PROCESSES, which is the most */
	const char *procfs;         /* NULL: /proc */
	uint32_t growths_per_second; /* of all processes, that are told at once (probes_want_growth); 0: no bound */
};

/* 0; -EPERM, -ENOSYS, -EOPNOTSUPP, ... with *explain filled. */
int probes_open(const struct probes_options *options, struct probes **ret_probes, struct explain *explain);
void probes_free(struct probes *probes);
DEFINE_CLEANUP(struct probes *, probes_free)

/* Tries every variant of every group without keeping any (doctor). Returns the number filled. */
size_t probes_try_all(const struct probes_options *options, struct probe_trial *trials, size_t max);
/* The variants in use. */
size_t probes_in_use(const struct probes *probes, struct probe_trial *trials, size_t max);

/* -EINVAL, explained: it lives in its parent's memory (CLONE_VM, and is not about to exec), which would be taken for its own;
 * attached to the parent, both are shown. 0: no, or not to be told. */
int probes_check_guest(struct probes *probes, uint32_t pid, uint32_t parent, struct explain *explain);
/* From now on, events of this process (PID of the procfs in use) are reported, under *ret_target. family: of the target
 * that it descends from, and then of whoever descends from it; 0: its own.
 * -ESRCH: no such process; -EXDEV: its PID cannot be translated to the kernel's; -E2BIG: the map is full; -EEXIST (not
 * explained): it is in the memory of one that is a target already. */
int probes_add_target(struct probes *probes, uint32_t pid, bool follow_forks, uint32_t family, uint32_t *ret_target,
		      struct explain *explain);
/* So many processes found no room when they were looked for: they count as lost with the map. */
void probes_note_unwatched(struct probes *probes, uint64_t count);
void probes_count_unwatched(struct probes *probes); /* one more */
void probes_remove_target(struct probes *probes, uint32_t target);
/* Has it called exec again since it was told of last? Then /proc shows another image than that. */
bool probes_image_is_past(const struct probes *probes, uint32_t target);
/* Was the record of its last exec lost? Drains what there is. 1: yes, and from here on its image is known; 0: no; -EAGAIN: the
 * record may be in the ring yet; -errno. */
int probes_take_lost_exec(struct probes *probes, uint32_t target, const struct fact_sink *sink);
/* What was lost may be followed by what the last drain has left in the ring. */
bool probes_are_behind(const struct probes *probes);
/* Of the last drain, which began at now_ns: all that came before has been told. */
uint64_t probes_heard_until(const struct probes *probes, uint64_t now_ns);

/* Poll for reading, until probes_due() at the latest: after a pause a thread event wakes at once. */
int probes_fd(const struct probes *probes);
uint64_t probes_due(const struct probes *probes); /* a boottime; UINT64_MAX: never */
/* Emits what is in the ring. A followed child appears as FACT_TARGET (pid, ns_pid, parent_pid, family, start_ns, comm
 * and `followed` set, the rest empty) before its own facts; a FACT_TARGET of a target that is known already
 * says that it has called exec: describe and seed it anew, only its leader lives on. FACT_TARGET_GONE comes once,
 * after the exits of its threads; the target stays in the tables until removed or reaped. Reads at most 65,536
 * records a call; when there are more, probes_due() is now. Returns the number of records or -errno. */
int probes_drain(struct probes *probes, const struct fact_sink *sink);
/* Finds the guests of the target: other processes in its memory (CLONE_VM), that were there before it was watched, or
 * whose births may have been lost. Before a seed: calls that others made while a guest was not watched are not
 * emitted any more, since without the guest's they mislead, and the seed sees their outcome. */
int probes_guests(struct probes *probes, uint32_t target);
/* FACT_THREAD_SEEN for every living thread of the target, by the task iterator. -EOPNOTSUPP: none. */
int probes_threads(struct probes *probes, uint32_t target, const struct fact_sink *sink);
/* One sample of who runs: FACT_THREAD_RUNNING for each thread of any target that is on a CPU or ready for one, then
 * FACT_RUNNING_SAMPLED for each target, all of one time. -EOPNOTSUPP: without the task iterator there is none. */
int probes_running(struct probes *probes, const struct fact_sink *sink);
/* Where the threads of the target stand: `each` for each of them; what it returns other than 0 ends it. -EOPNOTSUPP:
 * without the task iterator, or on this architecture, it cannot be told. -ESRCH. */
int probes_registers(struct probes *probes, uint32_t target,
		     int (*each)(void *context, const struct registers_record *record), void *context);
/* FACT_EVENTS and FACT_LOSS with target 0 (of the agent), and both per target. */
int probes_counters(struct probes *probes, const struct fact_sink *sink);
/* Where struct pthread holds the start routine, relative to the thread pointer; 0: unknown, then
 * births carry none. Found by evidence in source/glibc. */
int probes_set_descriptor(struct probes *probes, uint32_t target, uint32_t start_routine_offset);
/* From now on, and until it calls exec, probes_fd() becomes readable at once when the target has made
 * EVENT_GROWTH_BYTES usable, by one call or on average by several, 50 times a second at most, all targets together
 * growths_per_second, as many at once as in a second; where it would be more often, for more bytes each time. The fact
 * that completes them bears its own time. Others bear that of the last look at the clock before them, or a later one:
 * now less the fact's time is never less than its age. */
int probes_want_growth(struct probes *probes, uint32_t target);
/* With it comes a copy of the thread's stack, where the kernel had room and the architecture is known; the last of all
 * targets wait to be taken: the newest of this thread, or with tid 0 the oldest of the target. of: that of the call which this
 * fact tells, when it comes; python_only: if it names functions of Python. */
bool probes_take_stack_of(struct probes *probes, const struct fact *fact, bool python_only, struct stack_copy *ret_copy);
bool probes_take_stack(struct probes *probes, uint32_t target, struct thread_id who, struct stack_copy *ret_copy);
/* From then on, and until the target calls exec, such copies of threads that are noted are of what they do in Python. */
int probes_set_python(struct probes *probes, uint32_t target, const struct python_layout *layout);
int probes_note_python_thread(struct probes *probes, struct thread_id id, uint64_t address);

#endif
