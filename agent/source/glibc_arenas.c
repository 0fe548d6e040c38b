/* SPDX-License-Identifier: GPL-2.0-only */
/* glibc's thread arenas from outside: which heap belongs to which arena, and which arena each thread uses. It
 * must not know who is charged with what is in them. */
#include "glibc.h"

#include <errno.h>
#include <sys/uio.h>

/* A heap starts at a multiple of its greatest size with heap_info, whose first word is ar_ptr; the first heap
 * of an arena holds the arena itself right behind (glibc 2.26 to 2.42, 64 bit: malloc/arena.c). */
#define HEAP_BYTES (64ULL << 20)
#define ARENA_BEHIND_MAX 256
/* The word `thread_arena` is in libc's static TLS, which ends at the thread control block (at fsbase-56 on
 * glibc 2.36; FACTS: within 512 bytes on all that were looked at). */
#define TLS_BYTES 512
#define BATCH 64

struct window {
	uint64_t words[TLS_BYTES / 8];
};

/* Reads many small pieces by one system call. It stops at the first that cannot be read: what comes
 * behind is then read by the next call. Marks what was read. */
static int read_pieces(uint32_t pid, struct iovec *local, struct iovec *remote, bool *read, size_t count)
{
	size_t at = 0;

	while (at < count) {
		ssize_t got = process_vm_readv((pid_t)pid, local + at, count - at, remote + at, count - at, 0);

		if (got < 0 && errno == ESRCH)
			return -ESRCH;
		if (got < 0 && errno != EFAULT)
			return -errno;
		for (; at < count && got >= (ssize_t)remote[at].iov_len; at++) {
			got -= (ssize_t)remote[at].iov_len;
			read[at] = true;
		}
		at += at < count;
	}
	return 0;
}

static bool is_candidate(uint64_t word)
{
	return word >= HEAP_BYTES && word % 16 == 0 && word % HEAP_BYTES && word % HEAP_BYTES < ARENA_BEHIND_MAX;
}

struct candidate {
	size_t thread;
	uint64_t word;
};

static int prove(uint32_t pid, const struct candidate *candidates, bool *proven, size_t count)
{
	struct iovec local[BATCH], remote[BATCH];
	uint64_t first[BATCH] = {0};
	int error;

	for (size_t i = 0; i < count; i++) {
		uint64_t heap = candidates[i].word / HEAP_BYTES * HEAP_BYTES;

		local[i] = (struct iovec){&first[i], sizeof(first[i])};
		remote[i] = (struct iovec){(void *)(uintptr_t)heap, sizeof(first[i])};
		proven[i] = false;
	}
	error = read_pieces(pid, local, remote, proven, count);
	for (size_t i = 0; i < count; i++)
		proven[i] = proven[i] && first[i] == candidates[i].word;
	return error;
}

static int emit_proven(uint32_t pid, struct fact *fact, const struct fact_thread *threads,
		       const struct candidate *candidates, size_t count, const struct fact_sink *sink)
{
	bool proven[BATCH];
	int error = prove(pid, candidates, proven, count);

	for (size_t i = 0; i < count && !error; i++) {
		if (!proven[i])
			continue;
		fact->arena = (struct fact_arena){.who = threads[candidates[i].thread].id,
						  .heap = candidates[i].word / HEAP_BYTES * HEAP_BYTES,
						  .address = candidates[i].word};
		fact->kind = FACT_ARENA;
		error = sink->emit(sink->context, fact);
		fact->kind = FACT_THREAD_ARENA;
		if (!error)
			error = sink->emit(sink->context, fact);
	}
	return error;
}

static int read_batch(uint32_t pid, struct fact *fact, const struct fact_thread *threads, size_t count,
		      const struct fact_sink *sink)
{
	struct candidate candidates[BATCH];
	struct iovec local[BATCH], remote[BATCH];
	struct window windows[BATCH];
	bool read[BATCH] = {false};
	size_t n = 0;
	int error;

	for (size_t i = 0; i < count; i++) {
		local[i] = (struct iovec){&windows[i], sizeof(windows[i])};
		remote[i] = (struct iovec){(void *)(uintptr_t)(threads[i].tls_base - TLS_BYTES), TLS_BYTES};
	}
	error = read_pieces(pid, local, remote, read, count);
	for (size_t i = 0; i < count && !error; i++) {
		/* The word nearest to the control block is libc's; one candidate a thread. */
		for (size_t w = read[i] ? ARRAY_SIZE(windows[i].words) : 0; w > 0; w--) {
			if (!is_candidate(windows[i].words[w - 1]))
				continue;
			candidates[n++] = (struct candidate){i, windows[i].words[w - 1]};
			break;
		}
	}
	return error ? error : emit_proven(pid, fact, threads, candidates, n, sink);
}

int glibc_arenas(uint32_t pid, const char *procfs, uint32_t target, uint64_t time_ns, const struct fact_thread *threads,
		 size_t n_threads, const struct fact_sink *sink)
{
	struct fact fact = {.target = target, .time_ns = time_ns};
	struct fact_thread batch[BATCH];
	size_t n = 0;
	int error = 0;

	/* The PIDs of another procfs mean other processes to process_vm_readv(). */
	if (procfs)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < n_threads && !error; i++) {
		if (threads[i].tls_base > TLS_BYTES && !threads[i].is_io_worker)
			batch[n++] = threads[i];
		if (n == BATCH || (n && i + 1 == n_threads)) {
			error = read_batch(pid, &fact, batch, n, sink);
			n = 0;
		}
	}
	return error;
}
