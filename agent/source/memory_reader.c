/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads the memory of a process, never stopping it nor changing what it has. It must not know what the bytes mean. */
#include "memory_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static bool is_own_procfs(const char *procfs)
{
	return !procfs || strcmp(procfs, "/proc") == 0;
}

/* process_vm_readv pins the pages that it reads, and since Linux 5.19 a page that a process shares with the one it was
 * forked from is copied for that (FOLL_PIN, FAULT_FLAG_UNSHARE): for a little it will do, and for pages that are not
 * shared. */
int memory_reader_begin(struct memory_reader *reader, uint32_t pid, const char *procfs)
{
	if (!is_own_procfs(procfs))
		return memory_reader_open(reader, pid, procfs);
	*reader = (struct memory_reader){.pid = pid, .via = pid, .fd = -1};
	return 0;
}

int memory_reader_open(struct memory_reader *reader, uint32_t pid, const char *procfs)
{
	struct proc_dir dir;
	int r;

	*reader = (struct memory_reader){.pid = pid, .via = pid, .fd = -1};
	r = procfs_open_files(procfs, &reader->procfs);
	if (r < 0)
		return r;
	r = procfs_living(reader->procfs, pid, &dir);
	if (r == 0)
		reader->fd = procfs_openf(reader->procfs, O_RDONLY, "%s/mem", dir.path);
	reader->can_batch = is_own_procfs(procfs);
	return r < 0 ? r : reader->fd < 0 ? reader->fd : 0;
}

void memory_reader_close(struct memory_reader *reader)
{
	close_fd(&reader->fd);
	procfs_free(reader->procfs);
	reader->procfs = NULL;
}

ssize_t memory_read(const struct memory_reader *reader, uint32_t tid, uint64_t address, void *buffer, size_t size)
{
	struct iovec local = {buffer, size}, remote = {(void *)(uintptr_t)address, size};
	ssize_t n = reader->fd >= 0 ? pread(reader->fd, buffer, size, (off_t)address)
				    : process_vm_readv((pid_t)tid, &local, 1, &remote, 1, 0);

	return n < 0 ? -errno : n;
}

#define PAGE_PRESENT (1ULL << 63)

ssize_t memory_read_present(const struct memory_reader *reader, uint32_t tid, uint64_t address, void *buffer,
			    size_t size)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), border = address & ~(page - 1), entry;
	_cleanup_(close_fd) int fd =
		procfs_openf(reader->procfs, O_RDONLY, "%u/task/%u/pagemap", reader->pid, tid);

	if (fd < 0)
		return fd;
	if (address > UINT64_MAX - size - page)
		return -EFAULT;
	while (border < address + size &&
	       pread(fd, &entry, sizeof(entry), (off_t)(border / page * sizeof(entry))) == sizeof(entry) &&
	       entry & PAGE_PRESENT)
		border += page;
	if (border <= address)
		return 0;
	return memory_read(reader, tid, address, buffer, border - address < size ? border - address : size);
}

/* Each returns how many pieces are done with, or -errno. */
static ssize_t read_piece(const struct memory_reader *reader, struct memory_piece *piece)
{
	ssize_t n = memory_read(reader, reader->via, piece->address, piece->buffer, piece->size);

	if (n < 0 && n != -EFAULT && n != -EIO)
		return n;
	piece->read = n == (ssize_t)piece->size;
	return 1;
}

#define BATCH_MAX 64

/* One call ends where a page cannot be read: the rest takes another. */
static ssize_t read_batch(const struct memory_reader *reader, struct memory_piece *pieces, size_t count)
{
	struct iovec local[BATCH_MAX] = {0}, remote[BATCH_MAX] = {0};
	size_t done = 0;
	ssize_t n;

	for (size_t i = 0; i < count; i++) {
		local[i] = (struct iovec){pieces[i].buffer, pieces[i].size};
		remote[i] = (struct iovec){(void *)(uintptr_t)pieces[i].address, pieces[i].size};
	}
	n = process_vm_readv((pid_t)reader->via, local, count, remote, count, 0);
	if (n < 0 && errno != EFAULT)
		return -errno;
	for (; done < count && n >= (ssize_t)pieces[done].size; done++) {
		pieces[done].read = true;
		n -= (ssize_t)pieces[done].size;
	}
	if (done < count)
		pieces[done++].read = false;
	return (ssize_t)done;
}

int memory_read_pieces(const struct memory_reader *reader, struct memory_piece *pieces, size_t count)
{
	for (size_t i = 0; i < count;) {
		size_t batch = 0;
		ssize_t r;

		while (reader->can_batch && batch < BATCH_MAX && i + batch < count && pieces[i + batch].is_own)
			batch++;
		r = batch ? read_batch(reader, &pieces[i], batch) : read_piece(reader, &pieces[i]);
		if (r < 0)
			return (int)r;
		i += (size_t)r;
	}
	return 0;
}

/* Documentation/admin-guide/mm/pagemap.rst, Linux 4.2 */
#define PAGE_IS_EXCLUSIVE (1ULL << 56)
#define ENTRIES_MAX 512

bool pages_are_own(int pagemap, uint64_t start, uint64_t end)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), at = start / page, last = (end + page - 1) / page;
	uint64_t entries[ENTRIES_MAX];

	while (at < last) {
		size_t want = last - at < ENTRIES_MAX ? (size_t)(last - at) : ENTRIES_MAX;
		ssize_t n = pread(pagemap, entries, want * sizeof(*entries), (off_t)(at * sizeof(*entries)));

		if (n < (ssize_t)sizeof(*entries))
			return false;
		for (size_t i = 0; i < (size_t)n / sizeof(*entries); i++)
			if (entries[i] & PAGE_PRESENT && !(entries[i] & PAGE_IS_EXCLUSIVE))
				return false;
		at += (size_t)n / sizeof(*entries);
	}
	return true;
}
