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
/* Of a look that may cost what it does: it goes on until so many rounds as above have told nothing. */
#define ROUNDS_EXACT_MAX 512
/* CPU time of one look that nothing bounds otherwise. */
#define LOOK_NS (50 * NSEC_PER_MSEC)
/* Of stacks, and the pages that they lie in, in one round. */
#define ROUND_BYTES (512U << 10)
#define ROUND_PIECES 512
#define PAGE_BYTES 4096U /* the smallest there is: a stack ends at the end of one */

struct look {
	struct workers *workers;
	struct memory_reader *memory;
	struct symbols *symbols;
	unsigned char *stacks; /* ROUND_BYTES */
	size_t n_pieces;
	uint64_t begin_ns, bound_ns; /* CPU time; 0: without bound */
	bool has_progress; /* this round */
};

static bool is_judged_by(void *context, const struct fact_routine *frame)
{
	return wait_walk_step(context, frame);
}

static void judge(struct look *look, struct worker *worker)
{
	const struct unwind_stack stack = {worker->registers, look->stacks + worker->stack, worker->size};
	struct wait_walk walk;
	int r;

	look->has_progress = true;
	wait_walk_begin(&walk, worker->waits, &worker->routine);
	r = unwind_each(look->symbols, &stack, is_judged_by, &walk);
	worker->activity = wait_walk_end(&walk, r == 0);
	if (worker->activity == WORKER_UNKNOWN && r == -ENODATA && worker->size == worker->wanted &&
	    worker->wanted < WORKER_STACK_MAX) {
		worker->wanted *= 4; /* the next round tells */
		worker->is_read = false;
		return;
	}
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
	look->has_progress |= !worker->is_seen;
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

/* Page by page: a stack may end at the end of any. */
static size_t add_pieces(const struct worker *worker, unsigned char *buffer, struct memory_piece *pieces)
{
	uint64_t at = worker->registers[EVENT_SP];
	size_t count = 0, size;

	for (size_t done = 0; done < worker->wanted; done += size) {
		size = PAGE_BYTES - (at + done) % PAGE_BYTES;
		size = size < worker->wanted - done ? size : worker->wanted - done;
		pieces[count++] = (struct memory_piece){.address = at + done, .buffer = buffer + done, .size = size};
	}
	return count;
}

/* What the two before it need: libomp's stacks grow along. A single one may be deep in its task. */
static uint32_t wanted_before(const struct workers *workers, size_t place)
{
	const struct worker *worker = &workers->worker[place];

	if (place < 2 || worker[-1].waits != worker->waits || worker[-2].waits != worker->waits)
		return WORKER_STACK_MIN;
	return worker[-1].wanted < worker[-2].wanted ? worker[-1].wanted : worker[-2].wanted;
}

/* Where the last round's room ended the next one begins: who moves all the time does not keep others from their turn. */
static int read_stacks(struct look *look)
{
	struct memory_piece pieces[ROUND_PIECES];
	struct worker *of[ROUND_PIECES];
	struct workers *workers = look->workers;
	size_t n_pieces = 0, bytes = 0, first = workers->first;
	int r;

	for (size_t i = 0; i < workers->count; i++) {
		size_t place = (first + i) % workers->count, n;
		struct worker *worker = &workers->worker[place];

		if (!worker->is_seen || worker->is_final || worker->registers[EVENT_SP] > UINT64_MAX - WORKER_STACK_MAX)
			continue;
		if (!worker->was_read)
			worker->wanted = wanted_before(workers, place);
		if (bytes + worker->wanted > ROUND_BYTES || n_pieces + worker->wanted / PAGE_BYTES + 2 > ROUND_PIECES) {
			workers->first = place;
			break;
		}
		worker->stack = (uint32_t)bytes;
		worker->size = 0;
		worker->is_read = worker->was_read = true;
		n = add_pieces(worker, look->stacks + bytes, &pieces[n_pieces]);
		bytes += worker->wanted;
		for (; n; n--)
			of[n_pieces++] = worker;
	}
	look->n_pieces = n_pieces;
	r = memory_read_pieces(look->memory, pieces, n_pieces);
	for (size_t i = 0; i < n_pieces && r == 0; i++) {
		/* what follows on a page that is not there is no part of it */
		if (pieces[i].read && (unsigned char *)pieces[i].buffer == look->stacks + of[i]->stack + of[i]->size)
			of[i]->size += (uint32_t)pieces[i].size;
		of[i]->is_final = !of[i]->size;
	}
	return r;
}

/* Each pass of the kernel's list ends one round and begins the next. */
static int look_at(struct watched *watched, struct look *look)
{
	unsigned int vain = 0;

	for (unsigned int round = 0;; round++) {
		int r;

		look->has_progress = false;
		r = probes_registers(watched->probes, watched->id, note, look);
		if (r < 0)
			return r;
		vain = look->has_progress ? 0 : vain + 1;
		if (look->bound_ns ? round == ROUNDS_MAX || thread_cputime() - look->begin_ns > look->bound_ns
				   : round == ROUNDS_EXACT_MAX || vain == ROUNDS_MAX)
			return 0;
		r = read_stacks(look);
		if (r < 0 || !look->n_pieces)
			return r;
	}
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
	_cleanup_(freep) unsigned char *stacks = NULL;
	_cleanup_(memory_reader_close) struct memory_reader memory = MEMORY_READER_NONE;
	struct look look = {.workers = workers, .memory = &memory, .symbols = watched->symbols};
	uint64_t now_ns = boottime(), opened, cost_ns;
	int r;

	if (!workers->count || !watched->symbols || (!exact && now_ns < workers->next_ns))
		return 0;
	stacks = malloc(ROUND_BYTES);
	if (!stacks)
		return -ENOMEM;
	look.stacks = stacks;
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
