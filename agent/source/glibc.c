/* SPDX-License-Identifier: GPL-2.0-only */
/* struct pthread from outside: its offsets by evidence, its stack and start routine by batched reads. It must
 * not know what a thread is charged with. */
#include "glibc.h"
#include "procfs_internal.h"
#include "symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define DESCRIPTOR_BYTES 2560 /* sizeof(struct pthread) is 2,304 on glibc 2.31 and 2,368 on 2.36 */
#define LEARN_THREADS 64
#define CODE_RANGES_MAX 4096
#define STACK_MIN 8192           /* below PTHREAD_STACK_MIN: less would not hold the descriptor */
#define STACK_MAX (1ULL << 40)
#define STACK_TOP_MAX 65536      /* the descriptor is the first thing at the top of a stack */

/* x86-64. Candidates only: each must prove itself. */
static const struct glibc_descriptor known_layouts[] = {
	{720, 1592, 1680, 1688, 1696}, /* glibc 2.34 and later (2.36 measured) */
	{720, 1600, 1680, 1688, 1696}, /* glibc 2.31 */
};

struct sample {
	uint32_t tid, ns_tid;
	uint64_t tls_base;
	bool is_leader;
	size_t length;
	unsigned char bytes[DESCRIPTOR_BYTES];
};

struct code_ranges {
	uint64_t start[CODE_RANGES_MAX], end[CODE_RANGES_MAX];
	size_t count;
};

/* ---- reading the target ------------------------------------------------------------------------- */

struct memory_reader {
	struct procfs *procfs;
	uint32_t pid;
	int fd;   /* /proc/PID/mem; -1: process_vm_readv */
};

/* PIDs of another procfs mean nothing to process_vm_readv: then its mem file is read. */
static int reader_open(struct memory_reader *reader, uint32_t pid, const char *procfs)
{
	struct proc_dir dir;
	int r;

	*reader = (struct memory_reader){.pid = pid, .fd = -1};
	r = procfs_open_files(procfs, &reader->procfs);
	if (r == 0 && procfs && strcmp(procfs, "/proc") != 0)
		r = procfs_living(reader->procfs, pid, &dir);
	else
		return r;
	if (r == 0)
		reader->fd = procfs_openf(reader->procfs, O_RDONLY, "%s/mem", dir.path);
	return r < 0 ? r : reader->fd < 0 ? reader->fd : 0;
}

static void reader_close(struct memory_reader *reader)
{
	close_fd(&reader->fd);
	procfs_free(reader->procfs);
}

static ssize_t reader_read(const struct memory_reader *reader, uint32_t tid, uint64_t address, void *buffer, size_t size)
{
	struct iovec local = {buffer, size}, remote = {(void *)(uintptr_t)address, size};
	ssize_t n = reader->fd >= 0 ? pread(reader->fd, buffer, size, (off_t)address)
				    : process_vm_readv((pid_t)tid, &local, 1, &remote, 1, 0);

	return n < 0 ? -errno : n;
}

static uint64_t word_at(const unsigned char *bytes, size_t offset)
{
	uint64_t word;

	memcpy(&word, bytes + offset, sizeof(word));
	return word;
}

static uint32_t half_at(const unsigned char *bytes, size_t offset)
{
	uint32_t half;

	memcpy(&half, bytes + offset, sizeof(half));
	return half;
}

/* ---- evidence ----------------------------------------------------------------------------------- */

static bool tid_fits(const struct sample *samples, size_t count, size_t offset)
{
	for (size_t i = 0; i < count; i++) {
		if (offset + 4 > samples[i].length || half_at(samples[i].bytes, offset) != samples[i].ns_tid)
			return false;
	}
	return count > 0;
}

static bool stack_is_sound(uint64_t start, uint64_t size, uint64_t tls_base)
{
	return size >= STACK_MIN && size <= STACK_MAX && start && tls_base >= start && tls_base - start < size &&
	       start + size - tls_base <= STACK_TOP_MAX;
}

/* All threads but the leader: that one lives on the kernel's stack. */
static bool stack_fits(const struct sample *samples, size_t count, size_t offset)
{
	size_t seen = 0;

	for (size_t i = 0; i < count; i++) {
		if (samples[i].is_leader)
			continue;
		if (offset + 16 > samples[i].length ||
		    !stack_is_sound(word_at(samples[i].bytes, offset), word_at(samples[i].bytes, offset + 8),
				    samples[i].tls_base))
			return false;
		seen++;
	}
	return seen > 0;
}

static bool is_code(const struct code_ranges *code, uint64_t address)
{
	size_t low = 0, high = code->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (code->end[middle] <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < code->count && code->start[low] <= address;
}

static bool routine_fits(const struct sample *samples, size_t count, size_t offset, const struct code_ranges *code)
{
	size_t seen = 0;

	for (size_t i = 0; i < count; i++) {
		if (samples[i].is_leader)
			continue;
		if (offset + 8 > samples[i].length || !is_code(code, word_at(samples[i].bytes, offset)))
			return false;
		seen++;
	}
	return seen > 0;
}

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
	n = reader_read(reader, thread->id.tid, thread->tls_base, sample->bytes, DESCRIPTOR_BYTES);
	if (n < 0)
		return (int)n;
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
static uint32_t described_offset(struct symbols *symbols, const struct memory_reader *reader, const char *symbol,
				 uint32_t bits)
{
	static const char *const modules[] = {"libc.so*", "libpthread*"};
	uint32_t field[3];
	uint64_t address;

	for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
		if (symbols_find(symbols, modules[i], symbol, &address) == 0 &&
		    reader_read(reader, reader->pid, address, field, sizeof(field)) == sizeof(field) &&
		    field[0] == bits && field[2] < DESCRIPTOR_BYTES)
			return field[2];
	}
	return 0;
}

static uint32_t find_tid(const struct sample *samples, size_t count, uint32_t described)
{
	if (described && tid_fits(samples, count, described))
		return described;
	for (size_t i = 0; i < ARRAY_SIZE(known_layouts); i++) {
		if (tid_fits(samples, count, known_layouts[i].tid))
			return known_layouts[i].tid;
	}
	/* One number that equals a tid can be chance; in two threads it is none. */
	for (uint32_t offset = 64; count > 1 && offset + 4 <= DESCRIPTOR_BYTES; offset += 4) {
		if (tid_fits(samples, count, offset))
			return offset;
	}
	return 0;
}

static uint32_t find_stack(const struct sample *samples, size_t count, uint32_t after)
{
	for (uint32_t offset = (after + 7) & ~7U; offset + 16 <= DESCRIPTOR_BYTES; offset += 8) {
		if (stack_fits(samples, count, offset))
			return offset;
	}
	return 0;
}

static uint32_t find_routine(const struct sample *samples, size_t count, uint32_t after,
			     const struct code_ranges *code)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_layouts); i++) {
		if (routine_fits(samples, count, known_layouts[i].start_routine, code))
			return known_layouts[i].start_routine;
	}
	for (uint32_t offset = (after + 7) & ~7U; offset + 8 <= DESCRIPTOR_BYTES; offset += 8) {
		if (routine_fits(samples, count, offset, code))
			return offset;
	}
	return 0;
}

static bool has_others(const struct sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!samples[i].is_leader)
			return true;
	}
	return false;
}

static const struct glibc_descriptor *known_layout(uint32_t tid, uint32_t routine)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_layouts); i++) {
		if (known_layouts[i].tid == tid && known_layouts[i].start_routine == routine)
			return &known_layouts[i];
	}
	return NULL;
}

static int learn_from(const struct sample *samples, size_t count, struct symbols *symbols,
		      const struct memory_reader *reader, const struct code_ranges *code,
		      struct glibc_descriptor *ret_descriptor)
{
	uint32_t described = described_offset(symbols, reader, "_thread_db_pthread_start_routine", 64);
	struct glibc_descriptor found = {
		.tid = find_tid(samples, count, described_offset(symbols, reader, "_thread_db_pthread_tid", 32)),
	};
	const struct glibc_descriptor *layout;

	if (!found.tid)
		return -ENOENT;
	found.start_routine = described;
	if (has_others(samples, count)) {
		if (!described)
			found.start_routine = find_routine(samples, count, found.tid, code);
		found.stack_block = find_stack(samples, count, found.tid);
	} else if (described) {
		layout = known_layout(found.tid, described);
		found.stack_block = layout ? layout->stack_block : 0;
	}
	if (found.stack_block) {
		found.stack_size = found.stack_block + 8;
		found.guard_size = found.stack_block + 16;
	}
	if (!found.start_routine && !found.stack_block)
		return -ENOENT;
	*ret_descriptor = found;
	return 0;
}

static void reader_closep(struct memory_reader *reader)
{
	reader_close(reader);
}

int glibc_learn(uint32_t pid, const char *procfs, const struct fact_thread *threads, size_t n_threads,
		struct glibc_descriptor *ret_descriptor)
{
	_cleanup_(freep) struct sample *samples = calloc(LEARN_THREADS, sizeof(*samples));
	_cleanup_(freep) struct code_ranges *code = calloc(1, sizeof(*code));
	_cleanup_(symbols_freep) struct symbols *symbols = NULL;
	_cleanup_(reader_closep) struct memory_reader reader = {.fd = -1};
	size_t count;
	int r;

	if (!samples || !code)
		return -ENOMEM;
	r = reader_open(&reader, pid, procfs);
	if (r == 0)
		r = symbols_new(pid, procfs, &symbols);
	if (r == 0)
		r = procfs_each_mapping(reader.procfs, pid, code_visit, code);
	if (r < 0)
		return r;
	count = read_samples(&reader, threads, n_threads, samples);
	return count ? learn_from(samples, count, symbols, &reader, code, ret_descriptor) : -ENOENT;
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
	uint32_t ends[] = {descriptor->start_routine, descriptor->stack_block, descriptor->stack_size};

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
		thread->stack_start = start;
		thread->stack_length = size;
	}
	if (descriptor->start_routine)
		thread->start_routine = word_at(bytes, descriptor->start_routine - window->from);
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
		return reader_read(reader, threads[0]->id.tid, threads[0]->tls_base + window->from, bytes,
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
	_cleanup_(freep) unsigned char *bytes = malloc(BATCH * window.size);
	_cleanup_(reader_closep) struct memory_reader reader = {.fd = -1};
	struct fact_thread *batch[BATCH];
	size_t filled = 0, at = 0, held = 0, done;
	int r;

	if (!bytes)
		return -ENOMEM;
	if (!descriptor->tid || window.size > DESCRIPTOR_BYTES)
		return -EINVAL;
	r = reader_open(&reader, pid, procfs);
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
