/* SPDX-License-Identifier: GPL-2.0-only */
/* CPython in a living process: finds it, settles its version by proof, reads memory by few calls, and keeps
 * to a share of CPU time. It must not know what the bytes mean. */
#include "../boottime.h"
#include "cpython.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/uio.h>

#include "cpython_find.h"
#include "cpython_walk.h"
#include "procfs_internal.h"

#define VECTORS 1024 /* IOV_MAX */
#define RETRY_FIRST_NS (NSEC_PER_SEC / 2)
#define RETRY_LAST_NS (64 * NSEC_PER_SEC)
#define LISTED_MAX 65536U

struct cpython {
	struct fact_target info;
	uint32_t target;
	char *procfs;
	int fd; /* mem of another procfs; -1: process_vm_readv */
	uint32_t tid; /* through which memory is read */
	struct cpython_walk *walk; /* NULL: not found yet */
	uint64_t retry_ns, retry_after_ns; /* when to look for it, and how long to wait then */
	char unread[64]; /* what it is that is found but not read; "": nothing is */
	uint64_t cost_ns; /* CPU time of the last reading */
	uint64_t read_ns; /* when the last began that is counted against the share; 0: none */
	uint64_t now_ns; /* of the present reading */
	double share;
	struct listed_thread *listed;
	size_t n_listed, room;
};

int cpython_new(const struct fact_target *info, uint32_t target, const char *procfs,
		struct cpython **ret_cpython)
{
	_cleanup_(cpython_freep) struct cpython *cpython = calloc(1, sizeof(*cpython));

	if (!cpython)
		return -ENOMEM;
	cpython->fd = -1;
	if (procfs) {
		cpython->procfs = strdup(procfs);
		if (!cpython->procfs)
			return -ENOMEM;
	}
	cpython->info = *info;
	cpython->target = target;
	cpython->retry_after_ns = RETRY_FIRST_NS;
	*ret_cpython = TAKE_PTR(cpython);
	return 0;
}

void cpython_free(struct cpython *cpython)
{
	if (!cpython)
		return;
	close_fd(&cpython->fd);
	cpython_walk_free(cpython->walk);
	free(cpython->listed);
	free(cpython->procfs);
	free(cpython);
}

uint64_t cpython_cost_ns(const struct cpython *cpython)
{
	return cpython->cost_ns;
}

const struct memory_counts *cpython_memory(const struct cpython *cpython)
{
	static const struct memory_counts nothing;

	return cpython->walk ? cpython_walk_memory(cpython->walk) : &nothing;
}

/* ---- memory ------------------------------------------------------------------------------------- */

/* One call; blocks that follow each other become one piece. Returns how many blocks were read from the first
 * on. */
static size_t read_some(const struct cpython *cpython, const uint64_t *addresses, size_t count,
			unsigned char *bytes)
{
	struct iovec remote[VECTORS], local = {bytes, count * MEMORY_BLOCK};
	size_t n = 0;
	ssize_t done;

	if (cpython->fd >= 0)
		return pread(cpython->fd, bytes, MEMORY_BLOCK, (off_t)addresses[0]) == MEMORY_BLOCK;
	for (size_t i = 0; i < count; i++) {
		if (n && (uint64_t)(uintptr_t)remote[n - 1].iov_base + remote[n - 1].iov_len == addresses[i])
			remote[n - 1].iov_len += MEMORY_BLOCK;
		else
			remote[n++] = (struct iovec){(void *)(uintptr_t)addresses[i], MEMORY_BLOCK};
	}
	done = process_vm_readv((pid_t)cpython->tid, &local, 1, remote, n, 0);
	return done < 0 ? 0 : (size_t)done / MEMORY_BLOCK;
}

/* A block that is not there breaks a call off: the rest is read by another. */
static void read_blocks(void *context, const uint64_t *addresses, size_t count, unsigned char *bytes,
			bool *ret_read)
{
	const struct cpython *cpython = context;
	size_t at = 0;

	while (at < count) {
		size_t part = count - at < VECTORS ? count - at : VECTORS;
		size_t done = read_some(cpython, addresses + at, part, bytes + at * MEMORY_BLOCK);

		memset(ret_read + at, true, done);
		at += done;
		if (done < part && (cpython->fd < 0 || !done))
			ret_read[at++] = false;
	}
}

/* Through which thread memory is read: the leader, or else the oldest, which is the likeliest to last. */
static uint32_t lasting_thread(const struct listed_thread *threads, size_t n_threads)
{
	size_t oldest = 0;

	for (size_t i = 0; i < n_threads; i++) {
		if (threads[i].is_leader)
			return threads[i].id.tid;
		if (threads[i].id.start_ns < threads[oldest].id.start_ns)
			oldest = i;
	}
	return threads[oldest].id.tid;
}

static int memory_open(struct cpython *cpython, uint32_t tid)
{
	_cleanup_(procfs_freep) struct procfs *procfs = NULL;
	struct proc_dir dir;
	int r;

	cpython->tid = tid;
	if (!cpython->procfs || cpython->fd >= 0)
		return 0;
	/* Numbers of another procfs mean nothing to process_vm_readv. */
	r = procfs_open_files(cpython->procfs, &procfs);
	if (r == 0)
		r = procfs_living(procfs, cpython->info.pid, &dir);
	if (r < 0)
		return r;
	cpython->fd = procfs_openf(procfs, O_RDONLY | O_CLOEXEC, "%s/mem", dir.path);
	return cpython->fd < 0 ? cpython->fd : 0;
}

static int read_bytes(struct cpython *cpython, uint64_t address, void *bytes, size_t length)
{
	struct iovec local = {bytes, length}, remote = {(void *)(uintptr_t)address, length};
	ssize_t n = cpython->fd >= 0 ? pread(cpython->fd, bytes, length, (off_t)address)
				     : process_vm_readv((pid_t)cpython->tid, &local, 1, &remote, 1, 0);

	return n == (ssize_t)length ? 0 : -EFAULT;
}

/* ---- which version it is ------------------------------------------------------------------------- */

static int walk_with(struct cpython *cpython, const struct cpython_found *found,
		     const struct cpython_offsets *offsets, struct cpython_walk **ret_walk)
{
	const struct memory_source source = {.read = read_blocks, .context = cpython};
	const struct cpython_site site = {
		.runtime = found->runtime,
		.types = found->types,
		.same_pids = cpython->info.ns_pid == cpython->info.pid,
	};
	_cleanup_(cpython_walk_freep) struct cpython_walk *walk = NULL;
	int r = offsets ? cpython_walk_new(&source, offsets, &site, &walk) : -ENOENT;

	if (r == 0 && !cpython_walk_proves(walk))
		r = -ENOENT;
	if (r == 0)
		*ret_walk = TAKE_PTR(walk);
	return r;
}

static void name_walk(struct cpython_walk *walk, uint32_t minor, uint64_t hex)
{
	char name[64], version[48];

	if (hex)
		snprintf(version, sizeof(version), "3.%u.%u", minor, (unsigned int)(hex >> 8 & 0xff));
	else if (cpython_walk_version(walk, version, sizeof(version)) < 0)
		snprintf(version, sizeof(version), "3.%u", minor);
	snprintf(name, sizeof(name), "cpython %s", version);
	cpython_walk_set_name(walk, name);
}

/* Before 3.11 no symbol tells the version: the layout by which sys.version names that very version is it. */
static int try_layouts(struct cpython *cpython, const struct cpython_found *found,
		       struct cpython_walk **ret_walk, uint32_t *ret_minor)
{
	for (uint32_t minor = 10; minor >= 7; minor--) {
		_cleanup_(cpython_walk_freep) struct cpython_walk *walk = NULL;
		char version[48], wanted[16];

		snprintf(wanted, sizeof(wanted), "3.%u.", minor);
		if (walk_with(cpython, found, cpython_offsets_of(minor), &walk) < 0 ||
		    cpython_walk_version(walk, version, sizeof(version)) < 0 ||
		    strncmp(version, wanted, strlen(wanted)) != 0)
			continue;
		*ret_minor = minor;
		*ret_walk = TAKE_PTR(walk);
		return 0;
	}
	return -ENOENT;
}

static int settle_version(struct cpython *cpython, const struct cpython_found *found,
			  struct cpython_walk **ret_walk)
{
	unsigned char description[CPYTHON_DESCRIPTION_BYTES];
	struct cpython_offsets described;
	uint64_t hex = 0;
	uint32_t minor;
	int r = read_bytes(cpython, found->runtime, description, sizeof(description));

	if (r < 0)
		return r;
	if (found->version)
		read_bytes(cpython, found->version, &hex, sizeof(hex));
	r = cpython_described(description, sizeof(description), &described);
	if (r == -EOPNOTSUPP)
		cpython_unread_name(description, cpython->unread, sizeof(cpython->unread));
	if (r == 0) {
		minor = described.minor;
		r = walk_with(cpython, found, &described, ret_walk);
	} else if (r == -ENOENT && hex) {
		minor = hex >> 16 & 0xff;
		r = walk_with(cpython, found, cpython_offsets_of(minor), ret_walk);
	} else if (r == -ENOENT) {
		r = try_layouts(cpython, found, ret_walk, &minor);
	}
	if (r == 0)
		name_walk(*ret_walk, minor, hex);
	return r;
}

static int look_for(struct cpython *cpython, struct symbols *symbols, uint64_t now_ns)
{
	struct cpython_found found;
	int r;

	cpython->retry_ns = now_ns + cpython->retry_after_ns;
	if (cpython->retry_after_ns < RETRY_LAST_NS)
		cpython->retry_after_ns *= 2;
	r = cpython_find(symbols, cpython->info.exe, &found);
	if (r == -ENOENT && cpython_is_older(symbols, cpython->info.exe))
		strcpy(cpython->unread, "cpython before 3.7 (executors not read)");
	return r ? r : settle_version(cpython, &found, &cpython->walk);
}

/* ---- reading ------------------------------------------------------------------------------------ */

struct refusal { /* what the sink said, apart from what the reading said */
	const struct fact_sink *sink;
	int error;
};

static int emit_through(void *context, const struct fact *fact)
{
	struct refusal *refusal = context;

	refusal->error = refusal->sink->emit(refusal->sink->context, fact);
	return refusal->error;
}

bool cpython_begin(struct cpython *cpython, uint64_t now_ns, double share)
{
	cpython->now_ns = now_ns;
	cpython->share = share;
	cpython->n_listed = 0;
	if (!cpython->walk)
		return now_ns >= cpython->retry_ns;
	return share <= 0 || (double)(now_ns - cpython->read_ns) * share >= (double)cpython->cost_ns;
}

int cpython_add(struct cpython *cpython, const struct fact_thread *thread)
{
	/* io_uring's workers carry their creator's thread control block. */
	if (thread->is_io_worker || cpython->n_listed == LISTED_MAX)
		return 0;
	if (TABLE_GROW(cpython->listed, cpython->n_listed, cpython->room, 32))
		return -ENOMEM;
	cpython->listed[cpython->n_listed++] = (struct listed_thread){thread->id, thread->tls_base,
								      thread->is_leader};
	return 0;
}

/* A process without CPython pays for no list. */
static void drop_list(struct cpython *cpython)
{
	free(cpython->listed);
	cpython->listed = NULL;
	cpython->n_listed = cpython->room = 0;
}

int cpython_note_birth(struct cpython *cpython, const struct fact_thread *thread)
{
	return cpython->walk ? cpython_add(cpython, thread) : 0;
}

bool cpython_is_found(const struct cpython *cpython)
{
	return cpython->walk;
}

int cpython_function(struct cpython *cpython, struct thread_id id, struct fact_blame *ret_blame, uint64_t *ret_cost_ns)
{
	uint64_t begin = thread_cputime();
	int r = -ENOENT;

	if (cpython->walk)
		r = cpython_walk_function(cpython->walk, cpython->listed, cpython->n_listed, id, ret_blame);
	*ret_cost_ns = thread_cputime() - begin;
	return r;
}

int cpython_codes(struct cpython *cpython, const uint64_t *codes, size_t count, struct fact_blame *ret_blame)
{
	return cpython->walk ? cpython_walk_codes(cpython->walk, codes, count, ret_blame) : -ENOENT;
}

void cpython_meet(struct cpython *cpython, uint64_t *ret_cost_ns)
{
	uint64_t begin = thread_cputime();

	if (cpython->walk)
		cpython_walk_meet(cpython->walk, cpython->listed, cpython->n_listed);
	*ret_cost_ns = thread_cputime() - begin;
}

bool cpython_layout(const struct cpython *cpython, struct python_layout *ret_layout)
{
	if (cpython->walk)
		cpython_walk_layout(cpython->walk, ret_layout);
	return cpython->walk;
}

bool cpython_next_thread(struct cpython *cpython, size_t *at, struct thread_id *ret_id, uint64_t *ret_address)
{
	return cpython->walk && cpython_walk_next_thread(cpython->walk, at, ret_id, ret_address);
}

void cpython_tell_anew(struct cpython *cpython)
{
	if (cpython->walk)
		cpython_walk_tell_anew(cpython->walk);
}

bool cpython_is_told(struct cpython *cpython, struct thread_id id)
{
	return cpython->walk && cpython_walk_is_told(cpython->walk, id);
}

bool cpython_next_worker(const struct cpython *cpython, size_t *at, struct thread_id *ret_id, uint64_t *ret_executor)
{
	return cpython->walk && cpython_walk_next_worker(cpython->walk, at, ret_id, ret_executor);
}

/* Without executors a reader of the frame shall not think that there are none. */
static int tell_unread(const struct cpython *cpython, const struct fact_sink *sink)
{
	struct fact fact = {.kind = FACT_RUNTIME, .target = cpython->target, .time_ns = cpython->now_ns};

	if (!cpython->unread[0])
		return 0;
	snprintf(fact.runtime.name, sizeof(fact.runtime.name), "%s", cpython->unread);
	return sink->emit(sink->context, &fact);
}

int cpython_read(struct cpython *cpython, struct symbols *symbols, const struct fact_sink *sink)
{
	struct refusal refusal = {.sink = sink};
	const struct fact_sink through = {.emit = emit_through, .context = &refusal};
	uint64_t begin;
	int r;

	if (!cpython->n_listed || !symbols ||
	    memory_open(cpython, lasting_thread(cpython->listed, cpython->n_listed)) < 0)
		return 0;
	if (!cpython->walk) {
		r = look_for(cpython, symbols, cpython->now_ns);
		if (r < 0) {
			drop_list(cpython);
			return r == -ENOMEM ? r : tell_unread(cpython, sink);
		}
	}
	if (cpython->share <= 0)
		cpython_walk_ask_all(cpython->walk);
	begin = thread_cputime();
	r = cpython_walk_pass(cpython->walk, cpython->target, cpython->now_ns, cpython->listed,
			      cpython->n_listed, &through);
	cpython->cost_ns = thread_cputime() - begin;
	if (cpython->share > 0)
		cpython->read_ns = cpython->now_ns;
	return refusal.error ? refusal.error : r == -ENOMEM ? r : 0;
}
