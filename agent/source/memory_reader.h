/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads the memory of a process, never stopping it nor changing what it has. It must not know what the bytes mean. */
#ifndef POOLSCOPE_SOURCE_MEMORY_READER_H
#define POOLSCOPE_SOURCE_MEMORY_READER_H

#include "procfs_internal.h"

struct memory_reader {
	struct procfs *procfs;
	uint32_t pid;
	uint32_t via; /* the thread through which pieces are read: one that lives */
	int fd;       /* /proc/PID/mem; -1: process_vm_readv */
	bool can_batch; /* process_vm_readv knows the process by the same PID */
};

#define MEMORY_READER_NONE {.fd = -1}

/* By the mem file. 0 or -errno. */
int memory_reader_open(struct memory_reader *reader, uint32_t pid, const char *procfs);
/* For a few bytes, by memory_read() alone: by process_vm_readv, which opens nothing, unless PIDs are those of another
 * procfs. */
int memory_reader_begin(struct memory_reader *reader, uint32_t pid, const char *procfs);
void memory_reader_close(struct memory_reader *reader);

/* Through the thread `tid`. Bytes read, or -errno. */
ssize_t memory_read(const struct memory_reader *reader, uint32_t tid, uint64_t address, void *buffer, size_t size);

/* The same, up to the first page that is not there (0: none is): where the address is only a guess, reading must bring
 * no page of the target into being, nor back from swap. */
ssize_t memory_read_present(const struct memory_reader *reader, uint32_t tid, uint64_t address, void *buffer,
			    size_t size);

struct memory_piece {
	uint64_t address;
	void *buffer;
	size_t size;
	bool read; /* whole */
	bool is_own; /* no other process has its pages (pages_are_own): it is read with its neighbours, in one call */
};

/* What cannot be read does not stop the rest. -ESRCH: the process is gone; -EPERM; -errno. */
int memory_read_pieces(const struct memory_reader *reader, struct memory_piece *pieces, size_t count);

/* By the file /proc/PID/pagemap: has no other process a page of these? */
bool pages_are_own(int pagemap, uint64_t start, uint64_t end);

#endif
