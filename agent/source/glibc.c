/* SPDX-License-Identifier: GPL-2.0-only */
/* struct pthread from outside: gathers the evidence about its offsets, then reads stacks and start routines in
 * batches. It must not know what a thread is charged with. */
#include "glibc_evidence.h"
#include "memory_reader.h"
#include "stack_pages.h"
#include "symbols.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define LEARN_THREADS 64

static int code_visit(void *context, const struct proc_mapping *mapping)
{
	struct code_ranges *code = context;

	if (!(mapping->protection & PROT_EXEC))
		return 0;
	if (code->count == CODE_RANGES_MAX)
		return 1;
	code->start[code->count] = mapping->start;
	code->end[code->count++] = mapping->end;
	return 0;
}

static int sample_read(const struct memory_reader *reader, const struct fact_thread *thread, struct sample *sample)
{
	struct proc_status status;
	ssize_t n = procfs_read(reader->procfs, "%u/task/%u/status", reader->pid, thread->id.tid);

	if (n < 0 || proc_parse_status(reader->procfs->buffer, (size_t)n, &status) < 0)
		return -ESRCH;
	*sample = (struct sample){
		.tid = thread->id.tid,
		.ns_tid = status.ns_pid ? status.ns_pid : thread->id.tid,
		.tls_base = thread->tls_base,
		.is_leader = thread->is_leader,
	};
	/* Behind the descriptor's end another mapping may begin. */
	n = memory_read_present(reader, thread->id.tid, thread->tls_base, sample->bytes, DESCRIPTOR_BYTES);
	if (n <= 0) /* none of it is there: swapped out, say */
		return n ? (int)n : -ENODATA;
	sample->length = (size_t)n;
	return 0;
}

static size_t read_samples(const struct memory_reader *reader, const struct fact_thread *threads, size_t n_threads,
			   struct sample *samples)
{
	size_t count = 0;

	/* io_uring's workers carry their creator's TLS base: they are no threads of glibc's. */
	for (size_t i = 0; i < n_threads && count < LEARN_THREADS; i++) {
		if (threads[i].tls_base && !threads[i].is_io_worker &&
		    sample_read(reader, &threads[i], &samples[count]) == 0)
			count++;
	}
	return count;
}

/* glibc describes struct pthread to debuggers (nptl_db): for each field an array of its size in bits, its
 * count, its offset. In .dynsym from 2.34, before that in libpthread's .symtab. */
static bool read_described(struct symbols *symbols, const struct memory_reader *reader, const char *symbol, uint32_t *ret_words,
			   size_t count)
{
	/* In a static program it is the program's own. */
	static const char *const modules[] = {"libc.so*", "libpthread*", "*"};
	ssize_t size = (ssize_t)(count * sizeof(*ret_words));
	uint64_t address;

	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		if (symbols_find(symbols, modules[i], symbol, &address) == 0 &&
		    memory_read(reader, reader->pid, address, ret_words, (size_t)size) == size)
			return true;
	return false;
}

static uint32_t described_offset(struct symbols *symbols, const struct memory_reader *reader, const char *symbol,
				 uint32_t bits)
{
	uint32_t field[3];

	if (!read_described(symbols, reader, symbol, field, ARRAY_SIZE(field)) || field[0] != bits || field[2] >= DESCRIPTOR_BYTES)
		return 0;
	return field[2];
}

static uint32_t described_size(struct symbols *symbols, const struct memory_reader *reader)
{
	uint32_t size;

	if (!read_described(symbols, reader, "_thread_db_sizeof_pthread", &size, 1) || size > DESCRIPTOR_BYTES)
		return DESCRIPTOR_BYTES;
	return size;
}

bool glibc_is_hidden(uint32_t pid, const char *procfs)
{
	_cleanup_(memory_reader_close) struct memory_reader reader = MEMORY_READER_NONE;
	ssize_t r = memory_reader_begin(&reader, pid, procfs);
	char byte = 0;

	/* The right is asked before the address, where nothing is mapped. */
	if (r == 0)
		r = memory_read(&reader, pid, 0, &byte, 1);
	return r == -EPERM || r == -EACCES;
}

int glibc_learn(uint32_t pid, const char *procfs, const struct fact_thread *threads, size_t n_threads,
		struct glibc_descriptor *ret_descriptor)
{
	_cleanup_(freep) struct sample *samples = calloc(n_threads < LEARN_THREADS ? n_threads + 1 : LEARN_THREADS, sizeof(*samples));
	_cleanup_(freep) struct code_ranges *code = calloc(1, sizeof(*code));
	_cleanup_(symbols_freep) struct symbols *symbols = NULL;
	_cleanup_(memory_reader_close) struct memory_reader reader = MEMORY_READER_NONE;
	uint32_t tid, routine;
	size_t count;
	int r;

	if (!samples || !code)
		return -ENOMEM;
	r = memory_reader_open(&reader, pid, procfs);
	if (r == 0)
		r = symbols_new(pid, procfs, &symbols);
	if (r == 0)
		r = procfs_each_mapping(reader.procfs, pid, code_visit, code);
	if (r < 0)
		return r;
	count = read_samples(&reader, threads, n_threads, samples);
	if (!count)
		return -ENOENT;
	tid = described_offset(symbols, &reader, "_thread_db_pthread_tid", 32);
	routine = described_offset(symbols, &reader, "_thread_db_pthread_start_routine", 64);
	r = glibc_evidence(samples, count, code, tid, routine, ret_descriptor);
	if (r == 0)
		ret_descriptor->bytes = described_size(symbols, &reader);
	return r;
}

/* ---- threads ------------------------------------------------------------------------------------- */

#define BATCH 256 /* iovecs a call; IOV_MAX is 1,024 */

/* What of one thread's descriptor is read: from the start routine to the stack's size. */
struct window {
	uint32_t from;
	size_t size;
};

static struct window descriptor_window(const struct glibc_descriptor *descriptor)
{
	uint32_t from = descriptor->tid, to = descriptor->tid + 4;
	/* The argument stands behind the routine. */
	uint32_t routine = descriptor->start_routine;
	uint32_t ends[] = {routine ? routine + 8 : 0, descriptor->stack_block, descriptor->stack_size};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		if (ends[i] && ends[i] + 8 > to)
			to = ends[i] + 8;
	}
	return (struct window){from, to - from};
}

static bool thread_fill(const struct glibc_descriptor *descriptor, const struct window *window,
			const unsigned char *bytes, struct fact_thread *thread)
{
	uint64_t start = 0, size = 0;

	if (!half_at(bytes, descriptor->tid - window->from)) /* not yet started, or just gone */
		return false;
	if (descriptor->stack_block) {
		start = word_at(bytes, descriptor->stack_block - window->from);
		size = word_at(bytes, descriptor->stack_size - window->from);
		if (!stack_is_sound(start, size, thread->tls_base))
			return false;
		stack_pages((uint64_t)sysconf(_SC_PAGESIZE), &start, &size);
		thread->stack_start = start;
		thread->stack_length = size;
	}
	/* What its birth told stays: it may have ended, and another have its descriptor. */
	if (descriptor->start_routine && !thread->start_routine) {
		thread->start_routine = word_at(bytes, descriptor->start_routine - window->from);
		thread->start_argument = word_at(bytes, descriptor->start_routine + 8 - window->from);
	}
	return true;
}

static bool thread_is_readable(const struct fact_thread *thread)
{
	return thread->tls_base && !thread->is_leader && !thread->is_io_worker;
}

/* One call for many threads. A thread that ended meanwhile breaks the call off at its place: the rest is
 * tried after it. Returns how many of `count` were read from the first on. */
static size_t batch_read(const struct memory_reader *reader, struct fact_thread *const *threads, size_t count,
			 const struct window *window, unsigned char *bytes)
{
	struct iovec local[BATCH], remote[BATCH];
	ssize_t n;

	if (reader->fd >= 0)
		return memory_read(reader, threads[0]->id.tid, threads[0]->tls_base + window->from, bytes,
				   window->size) == (ssize_t)window->size;
	for (size_t i = 0; i < count; i++) {
		local[i] = (struct iovec){bytes + i * window->size, window->size};
		remote[i] = (struct iovec){(void *)(uintptr_t)(threads[i]->tls_base + window->from), window->size};
	}
	/* Through a thread of the batch: the leader may be gone. */
	n = process_vm_readv((pid_t)threads[0]->id.tid, local, count, remote, count, 0);
	return n < 0 ? 0 : (size_t)n / window->size;
}

int glibc_read_threads(uint32_t pid, const char *procfs, const struct glibc_descriptor *descriptor,
		       struct fact_thread *threads, size_t n_threads)
{
	struct window window = descriptor_window(descriptor);
	_cleanup_(freep) unsigned char *bytes = malloc((n_threads < BATCH ? n_threads + 1 : BATCH) * window.size);
	_cleanup_(memory_reader_close) struct memory_reader reader = MEMORY_READER_NONE;
	struct fact_thread *batch[BATCH];
	size_t filled = 0, at = 0, held = 0, done;
	int r;

	if (!bytes)
		return -ENOMEM;
	if (!descriptor->tid || window.size > DESCRIPTOR_BYTES)
		return -EINVAL;
	r = memory_reader_begin(&reader, pid, procfs);
	if (r < 0)
		return r;
	while (at < n_threads || held) {
		for (; at < n_threads && held < BATCH; at++) {
			if (thread_is_readable(&threads[at]))
				batch[held++] = &threads[at];
		}
		if (!held)
			break;
		done = batch_read(&reader, batch, held, &window, bytes);
		for (size_t i = 0; i < done; i++)
			filled += thread_fill(descriptor, &window, bytes + i * window.size, batch[i]);
		/* Nothing read: the first of them is gone. */
		done = done ? done : 1;
		held -= done;
		memmove(batch, batch + done, held * sizeof(*batch));
	}
	return (int)filled;
}
