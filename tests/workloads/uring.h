/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes the kernel start a worker of io_uring: one read of an empty pipe, by force in a worker. No library. */
#ifndef POOLSCOPE_WORKLOADS_URING_H
#define POOLSCOPE_WORKLOADS_URING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The ring and the read stay until the process ends. */
static bool uring_start_worker(void)
{
	static char byte;
	struct io_uring_params params = { 0 };
	struct io_uring_sqe *entries;
	unsigned *indices;
	char *ring;
	int fd, ends[2];

	if (pipe(ends))
		return false;
	fd = (int)syscall(__NR_io_uring_setup, 4, &params);
	if (fd < 0)
		return false;
	ring = mmap(NULL, params.sq_off.array + params.sq_entries * sizeof(unsigned), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    IORING_OFF_SQ_RING);
	entries = mmap(NULL, params.sq_entries * sizeof(*entries), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       IORING_OFF_SQES);
	if (ring == MAP_FAILED || entries == MAP_FAILED)
		return false;
	memset(entries, 0, sizeof(*entries));
	entries->opcode = IORING_OP_READ;
	entries->flags = IOSQE_ASYNC;
	entries->fd = ends[0];
	entries->addr = (unsigned long)&byte;
	entries->len = 1;
	indices = (unsigned *)(ring + params.sq_off.array);
	indices[0] = 0;
	__atomic_store_n((unsigned *)(ring + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	return syscall(__NR_io_uring_enter, fd, 1, 0, 0, NULL, 0) == 1;
}

#endif
