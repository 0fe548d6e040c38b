/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes the kernel start workers of io_uring: splices out of an empty pipe, by force in workers. No library. */
#ifndef POOLSCOPE_WORKLOADS_URING_H
#define POOLSCOPE_WORKLOADS_URING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The ring and the calls stay until the process ends. */
static bool uring_start_workers(unsigned count)
{
	struct io_uring_params params = { 0 };
	int ring = (int)syscall(__NR_io_uring_setup, count, &params), from[2], to[2];
	struct io_uring_sqe *entries;
	char *queue;
	unsigned *tail, *array;

	if (ring < 0 || pipe(from) || pipe(to))
		return false;
	queue = mmap(NULL, params.sq_off.array + params.sq_entries * sizeof(*array), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
	entries = mmap(NULL, params.sq_entries * sizeof(*entries), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		       ring, IORING_OFF_SQES);
	if (queue == MAP_FAILED || entries == MAP_FAILED)
		return false;
	tail = (unsigned *)(queue + params.sq_off.tail);
	array = (unsigned *)(queue + params.sq_off.array);
	for (unsigned i = 0; i < count; i++) {
		entries[i] = (struct io_uring_sqe){ .opcode = IORING_OP_SPLICE, .flags = IOSQE_ASYNC, .fd = to[1],
						    .off = -1, .splice_off_in = -1, .splice_fd_in = from[0], .len = 1 };
		array[i] = i;
	}
	__atomic_store_n(tail, *tail + count, __ATOMIC_RELEASE);
	return syscall(__NR_io_uring_enter, ring, count, 0, 0, NULL, 0) >= 0;
}

#endif
