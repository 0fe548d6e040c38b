/* SPDX-License-Identifier: GPL-2.0-only */
/* What the ring holds, as facts: draining, tasks, counters. It must not know what facts mean, nor how programs are
 * loaded or targets chosen. */
#include "../boottime.h"
#include "probes.h"

#include "probe_event.h"
#include "probe_loss.h"
#include "probe_state.h"

#include <errno.h>
#include <string.h>

/* Records of one drain: a target that outruns the reader must not keep it in here. */
#define DRAIN_MAX_RECORDS 65536
/* How long the reader rests between looks while memory events come. With twice that, of what four threads of Python grow by
 * small blocks a half is seen instead of four fifths (bench_blame.py). */
#define READ_INTERVAL_NS (5 * NSEC_PER_MSEC)
/* While there are threads' alone: a limit on them may be told so much later (bench_latency.py). */
#define READ_THREADS_INTERVAL_NS (10 * NSEC_PER_MSEC)

int probes_fd(const struct probes *probes)
{
	return bpf_map__fd(probes->set.object->maps.ring);
}

uint64_t probes_due(const struct probes *probes)
{
	bool has_spare = probe_ring_is_wide(probes->ring) && probes->forget_ns < probes->due_ns;

	return has_spare ? probes->forget_ns : probes->due_ns;
}

/* Late exits of a process that has ended are still told; then its number is free for another. */
static void once_a_second(struct probes *probes)
{
	uint64_t now = boottime();
	struct probe_space *space, *next;

	if (now < probes->forget_ns)
		return;
	probes->forget_ns = now + NSEC_PER_SEC;
	probe_ring_settle(probes->ring);
	for (space = probe_spaces_next(probes->spaces, NULL); space; space = next) {
		next = probe_spaces_next(probes->spaces, space);
		if (space->end_told && now - space->end.time_ns >= NSEC_PER_SEC)
			probe_forget(probes, space);
	}
}

static int emit(struct probes *probes, const struct fact *fact)
{
	return probes->sink->emit(probes->sink->context, fact);
}

/* How a process ended is told once, after the exits that are in the ring with it. */
static int end_space(struct probes *probes, struct probe_space *space)
{
	if (space->end_told)
		return 0;
	space->end_told = true;
	if (space->end.kind != FACT_TARGET_GONE)
		space->end = (struct fact){.kind = FACT_TARGET_GONE, .time_ns = boottime(), .gone.code = -1};
	space->end.target = space->target;
	return emit(probes, &space->end);
}

static int birth_of_space(struct probes *probes, const struct event_header *header, struct probe_space **ret_space)
{
	struct probe_space *space = probe_spaces_find(probes->spaces, header->space);
	uint16_t share = (uint16_t)(((const struct event_thread *)header)->family % EVENT_SHARES);
	int r;

	if (space && space->start_ns == header->start_ns) {
		space->share = share;
		*ret_space = space;
		return 0;
	}
	if (space) {
		r = end_space(probes, space);
		if (r < 0)
			return r;
	}
	r = probe_spaces_add(probes->spaces, header->space, header->start_ns, probes->last_target + 1, ret_space);
	if (r < 0)
		return r;
	probes->last_target++;
	(*ret_space)->share = share;
	return 0;
}

/* Calls between two looks at the clock bear one time: in the ring's order each is told a moment after the one before,
 * so that none is taken for another told again. */
static uint64_t time_of(struct probes *probes, const struct event_header *header)
{
	uint64_t time_ns = header->time_ns;

	if (header->kind >= EVENT_MMAP && time_ns <= probes->event_ns)
		time_ns = probes->event_ns + 1;
	if (time_ns > probes->event_ns)
		probes->event_ns = time_ns;
	return time_ns;
}

static int pass_on(struct probes *probes, struct probe_space *space, const void *data, uint64_t time_ns)
{
	struct fact facts[PROBE_EVENT_MAX_FACTS];
	int n = probe_event_facts(data, space->target, probes->page_size, facts);

	for (int i = 0; i < n; i++) {
		int r;

		facts[i].time_ns = time_ns;
		if (facts[i].kind == FACT_TARGET_GONE) {
			if (space->end.kind != FACT_TARGET_GONE)
				space->end = facts[i];
			probe_spaces_end_later(probes->spaces, space);
			continue;
		}
		r = emit(probes, &facts[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int tell_lives_of(const struct fact_sink *sink, const struct probe_space *space)
{
	const struct fact fact = {.kind = FACT_LIVES_LOST, .target = space->target, .time_ns = boottime()};

	return sink->emit(sink->context, &fact);
}

static int tell_lives_of_share(struct probes *probes, uint32_t share)
{
	struct probe_space *space = NULL;
	int r = 0;

	while (r >= 0 && (space = probe_spaces_next(probes->spaces, space)))
		if (space->share == share)
			r = tell_lives_of(probes->sink, space);
	return r;
}

/* What its family had lost when its birth was read may be of its own first threads: the kernel watches it from its birth on. */
static int tell_child_of_losses(struct probes *probes, uint32_t tgid)
{
	/* Who took it in may have let go of it. */
	const struct probe_space *space = probe_spaces_find(probes->spaces, tgid);

	return space && probes->told[space->share].is_told ? tell_lives_of(probes->sink, space) : 0;
}

/* Before what came after it: who is counted now may have ended unheard. */
static int tell_lives_lost(struct probes *probes)
{
	const struct probes_bpf__bss *shared = probes->set.object->bss;
	uint64_t lost = __atomic_load_n(&shared->lives_lost, __ATOMIC_ACQUIRE);
	int r = 0;

	if (lost == probes->lives_lost)
		return 0;
	for (uint32_t i = 0; i < EVENT_SHARES && r >= 0; i++) {
		struct told_share *told = &probes->told[i];
		uint64_t own = __atomic_load_n(&shared->shares[i].lives_lost, __ATOMIC_RELAXED);

		if (own == told->lives_lost)
			continue;
		probes->lives_lost += own - told->lives_lost; /* as far as it is seen whose they are */
		told->lives_lost = own;
		if (!told->is_told || told->has_newcomer)
			r = tell_lives_of_share(probes, i);
		told->is_told = true;
		told->has_newcomer = false;
	}
	return r;
}

/* What was learnt and wanted is void with its image, here as in the kernel. False: this image is known. */
static bool take_exec(struct probe_space *space, const struct event_thread *event)
{
	if ((int32_t)(event->execs - (uint32_t)space->wish.execs) <= 0)
		return false;
	space->wish = (struct wish){.execs = event->execs};
	return true;
}

static int handle_record(void *context, const void *data, size_t size)
{
	struct probes *probes = context;
	const struct event_header *header = data;
	struct probe_space *space;
	struct share *share;
	uint64_t time_ns;
	int r = probe_event_check(data, size);

	if (r < 0)
		return 0;
	time_ns = time_of(probes, header);
	if (header->share < EVENT_SHARES) {
		share = &probes->set.object->bss->shares[header->share];
		__atomic_store_n(&share->consumed, share->consumed + size, __ATOMIC_RELAXED);
	}
	probes->drained++;
	probes->drained_memory |= header->kind >= EVENT_MMAP;
	if (header->kind == EVENT_STACK) {
		space = probe_spaces_find(probes->spaces, header->space);
		if (space)
			probe_stacks_keep(&probes->stacks, space->target, data);
		return probes->drained >= DRAIN_MAX_RECORDS ? -ECANCELED : 0;
	}
	probes->received[probe_event_probe(data)]++;
	r = tell_lives_lost(probes);
	space = probe_spaces_find(probes->spaces, header->space);
	if (header->kind == EVENT_PROCESS_BORN && r >= 0)
		r = birth_of_space(probes, header, &space);
	if (space) {
		space->received[probe_event_probe(data)]++;
		/* A thread that leads a group of its own: another process in the same memory. */
		space->has_guests |= header->kind == EVENT_THREAD_BORN && header->flags & EVENT_THREAD_LEADER;
		if (header->kind == EVENT_EXEC && !take_exec(space, data))
			space = NULL;
	}
	if (r >= 0 && space && (header->kind < EVENT_MMAP || time_ns >= space->complete_ns))
		r = pass_on(probes, space, data, time_ns);
	if (r >= 0 && header->kind == EVENT_PROCESS_BORN)
		r = tell_child_of_losses(probes, header->space);
	probes->error = r;
	return r < 0 || probes->drained >= DRAIN_MAX_RECORDS ? -ECANCELED : 0;
}

static void reader_flag(uint32_t *flag, uint32_t value)
{
	__atomic_store_n(flag, value, __ATOMIC_SEQ_CST);
}

/* Who is alone may have eight ninths of the ring; among others nobody has more than half. */
static void share_ring(struct probes *probes)
{
	uint32_t most = probe_spaces_count(probes->spaces) > 1 ? 1 : 8;

	if (probes->set.object->bss->share_most != most)
		reader_flag(&probes->set.object->bss->share_most, most);
}

int probe_drain_open(struct probes *probes)
{
	struct probes_bpf__bss *shared = probes->set.object->bss;
	const struct bpf_map *ring = probes->set.object->maps.ring;
	int r = probe_ring_open(bpf_map__fd(ring), bpf_map__max_entries(ring), &probes->ring);

	if (r < 0)
		return r;
	share_ring(probes);
	reader_flag(&shared->wake_on_thread, 1);
	reader_flag(&shared->wake_on_fill, 1);
	boottime_share((uint64_t *)&shared->clock_ns);
	return 0;
}

void probe_drain_close(struct probes *probes)
{
	boottime_share(NULL);
	probe_ring_close(probes->ring);
}

/* While events come the reader looks every few milliseconds and nobody has to wake it: the first event after a
 * pause does so at once, those of a storm cost the target no interrupt. */
static int read_and_rest(struct probes *probes)
{
	struct probes_bpf__bss *shared = probes->set.object->bss;
	uint64_t rest_ns;
	int r;

	probes->drained_memory = false;
	r = probe_ring_read(probes->ring, handle_record, probes);
	if (r == 0) {
		reader_flag(&shared->wake_on_thread, 1);
		/* What came just before the flag woke nobody. */
		r = probe_ring_read(probes->ring, handle_record, probes);
	}
	reader_flag(&shared->wake_on_fill, 1);
	if (r != 0)
		reader_flag(&shared->wake_on_thread, 0);
	rest_ns = probes->drained_memory ? READ_INTERVAL_NS : READ_THREADS_INTERVAL_NS;
	probes->due_ns = r == -ECANCELED ? boottime() : r != 0 ? boottime() + rest_ns : UINT64_MAX;
	return r;
}

int probes_drain(struct probes *probes, const struct fact_sink *sink)
{
	uint64_t there = probe_ring_produced(probes->ring);
	struct probe_space *space;
	int r;

	probes->sink = sink;
	probes->drained = 0;
	probes->error = 0;
	share_ring(probes);
	r = read_and_rest(probes);
	probes->is_behind = !probe_ring_is_read_to(probes->ring, there);
	if (r < 0 && r != -ECANCELED && !probes->error)
		probes->error = r;
	if (probes->error >= 0)
		probes->error = tell_lives_lost(probes); /* names are waited for though no event comes any more */
	/* Cut short, the rest may hold exits of those who ended. */
	while (r != -ECANCELED && probes->error >= 0 && (space = probe_spaces_next_ended(probes->spaces)))
		probes->error = end_space(probes, space);
	probes->sink = NULL;
	once_a_second(probes);
	return probes->error < 0 ? probes->error : (int)probes->drained;
}

/* A birth may be among what was lost: guests are to be looked for again. */
static void note_losses(struct probe_space *space, uint64_t own, const struct fact_loss *all)
{
	uint64_t lost = own;

	for (int reason = 0; reason < LOSS_REASON_COUNT; reason++)
		if (reason != LOSS_RING && all->lost[reason] != UNKNOWN_U64)
			lost += all->lost[reason];
	if (lost != space->lost)
		space->guests_sought = false;
	space->lost = lost;
}

int probes_counters(struct probes *probes, const struct fact_sink *sink)
{
	struct fact fact = {.kind = FACT_EVENTS, .time_ns = boottime()};
	struct probe_space *space = NULL;
	int r;
	struct fact_loss all;

	for (uint32_t i = 0; i < EVENT_SHARES && !probes->is_behind; i++)
		probes->told[i].is_told = false;
	memcpy(fact.events.received, probes->received, sizeof(fact.events.received));
	r = sink->emit(sink->context, &fact);
	if (r < 0)
		return r;
	memset(&fact.loss, 0, sizeof(fact.loss));
	fact.kind = FACT_LOSS;
	probe_loss_read(&probes->set, &fact.loss);
	if (fact.loss.lost[LOSS_MAP] != UNKNOWN_U64)
		fact.loss.lost[LOSS_MAP] += probes->unwatched;
	all = fact.loss;
	r = sink->emit(sink->context, &fact);
	while (r >= 0 && (space = probe_spaces_next(probes->spaces, space))) {
		fact.target = space->target;
		fact.kind = FACT_EVENTS;
		memcpy(fact.events.received, space->received, sizeof(fact.events.received));
		r = sink->emit(sink->context, &fact);
		if (r < 0)
			break;
		fact.kind = FACT_LOSS;
		memset(&fact.loss, 0, sizeof(fact.loss));
		fact.loss.lost[LOSS_RING] = probe_loss_of_space(&probes->set, space->tgid);
		note_losses(space, fact.loss.lost[LOSS_RING], &all);
		r = sink->emit(sink->context, &fact);
		/* What is in the ring still may be of threads whose ends were lost. */
		if (r >= 0 && probes->told[space->share].is_told)
			r = tell_lives_of(sink, space);
	}
	return r < 0 ? r : 0;
}
