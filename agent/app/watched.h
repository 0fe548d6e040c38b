/* SPDX-License-Identifier: GPL-2.0-only */
/* One target and the sources that are open on it: seeding, sampling, reading its page tables. It must
 * not know the model; everything goes to the sink it is given. */
#ifndef POOLSCOPE_APP_WATCHED_H
#define POOLSCOPE_APP_WATCHED_H

#include "../source/cpython.h"
#include "../source/glibc.h"
#include "../source/glibc_arenas.h"
#include "../source/glibc_kept.h"
#include "../source/cplusplus.h"
#include "../source/golang.h"
#include "../source/probes.h"
#include "../source/procfs.h"
#include "../source/residency.h"
#include "../source/symbols.h"
#include "growers.h"
#include "routines.h"
#include "workers.h"

struct watched {
	uint32_t id; /* the target's, as in its facts */
	struct fact_target info;
	int pidfd; /* -1: cannot be had (another PID namespace's procfs) */
	bool doubts_image; /* it may have called exec, and the record of that been lost */
	bool ended, follow_forks;
	bool was_read; /* its page tables, whole, once */
	bool settled;  /* its figures agree with each other: what comes of it waits until they are told */
	uint64_t budget_ns; /* what this refresh may still take for its page tables; 0: without bound, 1: nothing */
	bool grew;     /* somebody in it made much usable, and was not asked for it yet */
	uint64_t reseed_ns; /* of the last reseed: they are spaced */
	const char *procfs_path;
	struct procfs *procfs;       /* borrowed */
	struct probes *probes;       /* borrowed */
	struct residency *residency; /* NULL: not readable */
	struct symbols *symbols;
	struct cpython *cpython; /* NULL: no memory for it */
	struct growers_budget *budget; /* borrowed: that of all targets */
	struct growers *growers; /* NULL: no memory for it */
	double runtime_share;    /* of one core's time, for reading the language runtime; 0: without bound */
	struct glibc_descriptor descriptor;
	bool has_python_newborns; /* whose states the kernel is not told of yet */
	uint64_t meet_next_ns;    /* not looked for before */
	bool python_is_told;    /* to the kernel: where its threads' frames are */
	bool was_sampled;       /* its present image, once */
	unsigned int runtime_looks; /* that are still to come: an exec's libraries are not there at once */
	bool has_unread; /* births whose descriptors were not read, for want of a layout */
	uint64_t learn_next_ns; /* before this its threads are not asked for the descriptor's layout again */
	struct glibc_arenas arenas;
	struct glibc_kept kept;
	struct golang golang;
	struct cplusplus cplusplus;
	uint64_t arenas_ns; /* when arena words were read last */
	bool arenas_stir;   /* since then: a newborn, or one that grew a heap, may have taken over an arena, which no event tells */
	unsigned int meets; /* readings of its runtime that are still to come before the next refresh, for newborns' sake */
	uint64_t meet_ns;   /* the next of them; 0: none */
	struct routines routines; /* start routines already resolved */
	struct workers workers;
};

struct watched *watched_new(uint32_t id, const struct fact_target *info, struct procfs *procfs,
			    struct probes *probes, struct growers_budget *budget, const char *procfs_path);
void watched_free(struct watched *watched);
DEFINE_CLEANUP(struct watched *, watched_free)

/* (Re)opens what is bound to the present image: page tables, symbols, descriptor. Without symbols less is
 * known; without page tables nothing is: -errno with the explain filled. */
int watched_open_image(struct watched *watched, struct explain *explain);
/* The mappings, then the threads with their stacks and start routines. */
int watched_seed(struct watched *watched, enum seed_reason reason, const struct fact_sink *sink);
/* Whoever knows the config's own rules for pools: a number of the one that is about a thread, 0 for none. */
struct rule_teller {
	uint32_t (*rule_of)(const void *context, const struct thread_id *id);
	const void *context;
};

/* Looks for the makers of what was there before: `unowned` as the model has it after the seed. */
int watched_search(struct watched *watched, const struct unowned *unowned, size_t n_unowned,
		   const struct rule_teller *rules, const struct fact_sink *sink);
/* A birth as the kernel told it: fills what the kernel could not know, and adds the routine's name. */
int watched_birth(struct watched *watched, const struct fact *fact, const struct fact_sink *sink);
/* Somebody waits to know whose worker the newborn is: its runtime is read before the next refresh, within the share of CPU
 * time, at meet_ns and again, until it had time to say so. */
void watched_expect_worker(struct watched *watched);
int watched_meet_workers(struct watched *watched, const struct fact_sink *sink);
/* Threads that are looked at together, at most. */
#define WATCHED_BATCH 64
/* What these threads show of the layout of their descriptors. */
void watched_learn(struct watched *watched, const struct fact_thread *threads, size_t n_threads);
/* The same of those that live now, when a birth finds the layout not yet known; not more often than is cheap. */
void watched_learn_again(struct watched *watched, bool exact);
/* Fills what a descriptor tells and these threads do not know yet; WATCHED_BATCH of them at most. */
void watched_read_descriptors(struct watched *watched, struct fact_thread *threads, size_t count);
/* Of each thread a number that those have who do the same: by what they run, their names, whose workers they are, and the
 * config's own rules; 0: it is not known. Caller frees *ret_kinds. */
int watched_tell_kinds(struct watched *watched, const struct fact_thread *threads, size_t count,
		       const struct rule_teller *rules, uint64_t **ret_kinds);
/* Of a thread whose start routine is that of every std::thread: what that calls, in place of it, where it can be told. */
void watched_name_callable(struct watched *watched, const struct fact_thread *thread, struct fact_routine *routine);
/* The youngest of those that have one TLS base have none: it is the oldest's. The threads lie `stride` bytes apart. 0 or
 * -ENOMEM. */
int watched_disown_tls(struct fact_thread *threads, size_t stride, size_t count);
/* Refreshes after an exec by which its libraries are mapped. */
#define WATCHED_RUNTIME_LOOKS 5
/* FACT_TARGET when it has another runtime now than at its exec, when no library was mapped yet. */
int watched_tell_runtime(struct watched *watched, const struct fact_sink *sink);
/* What births did not tell for want of a layout that is known by now, or shows itself by now. exact: asks at once. */
int watched_read_unread(struct watched *watched, bool exact, const struct fact_sink *sink);
/* State and CPU time of all threads; what its language runtime tells, within the share of CPU time, and RSS (exact:
 * both whatever that costs); cgroup, children. -ESRCH: it is gone. */
int watched_sample(struct watched *watched, bool exact, const struct fact_sink *sink);
/* From now on growth is blamed on functions. 0, -ENOMEM. */
int watched_blame_begin(struct watched *watched);
/* A fact of the target, as it comes and after it was passed on: what a program without Python did when it grew is told at
 * once (FACT_BLAME). True: watched_blame() has something to do, once the drain is over. */
bool watched_note(struct watched *watched, const struct fact *fact, const struct fact_sink *sink);
/* Tells the kernel of its Python threads, as far as they are news. */
int watched_tell_python(struct watched *watched);
/* Asks the threads of a Python program that have just made much usable what they do: FACT_BLAME. */
int watched_blame(struct watched *watched, const struct fact_sink *sink);
/* A thread began there. -ENOMEM. */
int watched_note_routine(struct watched *watched, const struct fact_thread *thread, const struct fact_routine *routine);
/* Who of its workers is in a task, by where they stand: FACT_ACTIVITY of each, within the share of CPU time (exact:
 * whatever it costs). -ENOMEM, or what the sink returned. */
int watched_look_at_waits(struct watched *watched, bool exact, const struct fact_sink *sink);
/* What malloc keeps; whole: of all heaps, now. */
int watched_read_kept(struct watched *watched, bool whole, const struct fact_sink *sink);
/* True when the process is no more. */
bool watched_gone(struct watched *watched);

#endif
