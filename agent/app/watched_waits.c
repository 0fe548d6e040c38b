/* SPDX-License-Identifier: GPL-2.0-only */
/* Looks where the workers of a target stand, and tells who waits for a task and who is in one. It must not know what that
 * is counted for. */
#include "../boottime.h"
#include "../source/memory_reader.h"
#include "../source/unwind.h"
#include "watched.h"

#include <errno.h>

/* Who moves while its stack is read is read again; who moves each time stays unknown for this look. */
#define ROUNDS_MAX 8
/* CPU time of one look that nothing bounds otherwise. */
#define LOOK_NS (50 * NSEC_PER_MSEC)
/* Of the stack, from its pointer up: twice what the wait of the largest of the runtimes has on it (libomp, 1 KiB). */
#define STACK_BYTES EVENT_STACK_BYTES
#define ROUND_STACKS 128
#define PAGE_BYTES 4096U /* the smallest there is: a stack ends at the end of one */

struct look {
	struct workers *workers;
	struct memory_reader *memory;
	struct symbols *symbols;
	unsigned char (*stack)[STACK_BYTES]; /* ROUND_STACKS */
	size_t n_stacks;
	uint64_t begin_ns, bound_ns; /* CPU time; 0: without bound */
};

static bool is_judged_by(void *context, const struct fact_routine *frame)
{
	return wait_walk_step(context, frame);
}

static void judge(const struct look *look, struct worker *worker)
{
	const struct unwind_stack stack = {worker->registers, look->stack[worker->stack], worker->size};
	struct wait_walk walk;
	int r;

	wait_walk_begin(&walk, worker->waits, &worker->routine);
	r = unwind_each(look->symbols, &stack, is_judged_by, &walk);
	worker->activity = wait_walk_end(&walk, r == 0);
	worker->is_told = worker->is_final = true;
}

/* One thread as the kernel has it now: what was read of it since the last pass is right if it has not moved since. */
static int note(void *context, const struct registers_record *record)
{
	struct look *look = context;
	struct worker *worker = workers_find(look->workers, (struct thread_id){record->tid, record->start_ns});
	bool stands;

	if (!worker || worker->is_final)
		return 0;
	worker->is_seen = true;
	stands = !record->on_cpu && worker->switches == record->switches;
	if (stands && worker->is_told) {
		worker->is_final = true;
	} else if (stands && worker->is_read) {
		judge(look, worker);
	} else {
		worker->is_told = worker->is_read = false;
		worker->activity = WORKER_UNKNOWN;
		worker->switches = record->switches;
		memcpy(worker->registers, record->registers, sizeof(worker->registers));
		if (record->on_cpu) {
			/* Its registers are in the CPU. */
			worker->switches = UINT64_MAX;
			worker->is_final = true;
			worker->activity = worker->waits->spins ? WORKER_UNKNOWN : WORKER_BUSY;
		}
	}
	return 0;
}

/* In two pieces: a stack may end at the page's end. */
static int read_stacks(struct look *look)
{
	struct memory_piece pieces[2 * ROUND_STACKS];
	struct worker *of[ROUND_STACKS];
	size_t count = 0;
	int r;

	for (size_t i = 0; i < look->workers->count && count < ROUND_STACKS; i++) {
		struct worker *worker = &look->workers->worker[i];
		uint64_t at = worker->registers[EVENT_SP];
		size_t first = PAGE_BYTES - at % PAGE_BYTES;

		if (!worker->is_seen || worker->is_final || at > UINT64_MAX - 2 * PAGE_BYTES)
			continue;
		first = first < STACK_BYTES ? first : STACK_BYTES;
		worker->stack = (uint32_t)count;
		pieces[2 * count] = (struct memory_piece){.address = at, .buffer = look->stack[count], .size = first};
		pieces[2 * count + 1] = (struct memory_piece){.address = at + first, .buffer = look->stack[count] + first,
							      .size = STACK_BYTES - first};
		of[count++] = worker;
	}
	look->n_stacks = count;
	r = memory_read_pieces(look->memory, pieces, 2 * count);
	for (size_t i = 0; i < count && r == 0; i++) {
		const struct memory_piece *piece = &pieces[2 * i];

		of[i]->is_read = piece->read;
		of[i]->is_final = !piece->read;
		of[i]->size = (uint32_t)(piece->read ? piece[0].size + (piece[1].read ? piece[1].size : 0) : 0);
	}
	return r;
}

/* Each pass of the kernel's list ends one round and begins the next. */
static int look_at(struct watched *watched, struct look *look)
{
	for (int round = 0; round <= ROUNDS_MAX; round++) {
		int r = probes_registers(watched->probes, watched->id, note, look);

		if (r < 0)
			return r;
		if (look->bound_ns && thread_cputime() - look->begin_ns > look->bound_ns)
			return 0;
		r = round < ROUNDS_MAX ? read_stacks(look) : 0;
		if (r < 0 || !look->n_stacks)
			return r;
	}
	return 0;
}

static int emit_workers(struct watched *watched, bool is_known, const struct fact_sink *sink)
{
	struct fact fact = {.kind = FACT_ACTIVITY, .target = watched->id, .time_ns = boottime()};
	int r = 0;

	if (is_known)
		workers_keep_seen(&watched->workers);
	for (size_t i = 0; i < watched->workers.count && !r; i++) {
		const struct worker *worker = &watched->workers.worker[i];

		fact.activity.id = worker->id;
		fact.activity.activity = is_known && worker->is_final ? worker->activity : WORKER_UNKNOWN;
		r = sink->emit(sink->context, &fact);
	}
	return r;
}

int watched_note_routine(struct watched *watched, const struct fact_thread *thread, const struct fact_routine *routine)
{
	const struct rule_evidence evidence = {
		.name = thread->name, .routine = routine->symbol, .module = routine->module,
		.program = watched->info.comm, .runtime = watched->info.runtime, .creator = "",
	};

	return thread->is_leader ? 0 : workers_add(&watched->workers, &evidence, &thread->id);
}

int watched_look_at_waits(struct watched *watched, bool exact, const struct fact_sink *sink)
{
	struct workers *workers = &watched->workers;
	_cleanup_(freep) void *stacks = NULL;
	_cleanup_(memory_reader_close) struct memory_reader memory = MEMORY_READER_NONE;
	struct look look = {.workers = workers, .memory = &memory, .symbols = watched->symbols};
	uint64_t now_ns = boottime(), opened, cost_ns;
	int r;

	if (!workers->count || !watched->symbols || (!exact && now_ns < workers->next_ns))
		return 0;
	stacks = malloc(ROUND_STACKS * STACK_BYTES);
	if (!stacks)
		return -ENOMEM;
	look.stack = stacks;
	for (size_t i = 0; i < workers->count; i++)
		workers->worker[i].is_seen = workers->worker[i].is_final = workers->worker[i].is_read = false;
	opened = symbols_opened(watched->symbols);
	look.begin_ns = thread_cputime();
	look.bound_ns = exact ? 0 : LOOK_NS;
	r = memory_reader_open(&memory, watched->info.pid, watched->procfs_path);
	if (!r)
		r = look_at(watched, &look);
	cost_ns = thread_cputime() - look.begin_ns;
	/* Files are read once; that must not keep the next look away for seconds. */
	if (watched->runtime_share > 0 && symbols_opened(watched->symbols) == opened)
		workers->next_ns = now_ns + (uint64_t)((double)cost_ns / watched->runtime_share);
	return emit_workers(watched, r == 0, sink);
}
