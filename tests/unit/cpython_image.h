/* SPDX-License-Identifier: GPL-2.0-only */
/* A real interpreter for tests of the walk: starts one, reads it through a source that keeps each block, and plays the
 * blocks back when it has gone. Include after cmocka.h. */
#ifndef POOLSCOPE_TESTS_CPYTHON_IMAGE_H
#define POOLSCOPE_TESTS_CPYTHON_IMAGE_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "source/cpython_find.h"
#include "source/cpython_walk.h"
#include "source/procfs.h"

#define IMAGE_BLOCKS 8192
#define IMAGE_FACTS 256
#define PYTHON "/usr/bin/python3"
#define WORKLOAD "tests/workloads/executors.py"

struct image_block {
	unsigned char bytes[MEMORY_BLOCK];
};

struct image {
	pid_t pid; /* 0: it has gone */
	FILE *in, *out;
	struct listed_thread threads[64];
	size_t n_threads;
	struct cpython_site site;
	struct cpython_offsets offsets;
	struct image_block *block;
	uint64_t address[IMAGE_BLOCKS]; /* of each block */
	size_t n_blocks;
	struct fact facts[IMAGE_FACTS]; /* of the last pass */
	size_t n_facts;
	uint64_t now_ns; /* time passes from pass to pass */
	unsigned int torn; /* one read in so many is changed on its way; 0: none */
};

static inline void image_say(struct image *image, const char *command)
{
	char line[256];

	fprintf(image->in, "%s\n", command);
	fflush(image->in);
	assert_non_null(fgets(line, sizeof(line), image->out));
	assert_null(strstr(line, "error"));
}

static inline unsigned int image_ask(struct image *image, const char *command)
{
	unsigned int count;
	char line[256];

	fprintf(image->in, "%s\n", command);
	fflush(image->in);
	assert_non_null(fgets(line, sizeof(line), image->out));
	assert_int_equal(sscanf(line, "{\"count\": %u}", &count), 1);
	return count;
}

static inline void image_wait_started(struct image *image, const char *name, unsigned int count)
{
	char command[64];

	snprintf(command, sizeof(command), "started %s", name);
	for (unsigned int i = 0; i < 6000 && image_ask(image, command) < count; i++)
		usleep(10000);
	assert_int_equal(image_ask(image, command), count);
}

static inline int image_thread(void *context, const struct fact *fact)
{
	struct image *image = context;

	assert_true(image->n_threads < ARRAY_SIZE(image->threads));
	image->threads[image->n_threads++] =
		(struct listed_thread){fact->thread.id, fact->thread.tls_base, fact->thread.is_leader};
	return 0;
}

static inline void image_start(struct image *image)
{
	int in[2], out[2];
	char line[256];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	image->pid = fork();
	assert_true(image->pid >= 0);
	if (!image->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl(PYTHON, PYTHON, WORKLOAD, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	image->in = fdopen(in[1], "w");
	image->out = fdopen(out[0], "r");
	image->block = calloc(IMAGE_BLOCKS, sizeof(*image->block));
	assert_non_null(image->block);
	assert_non_null(fgets(line, sizeof(line), image->out));
}

/* Its threads, its runtime, its version. */
static inline void image_find(struct image *image)
{
	const struct fact_sink sink = {.emit = image_thread, .context = image};
	struct cpython_found found;
	struct symbols *symbols;
	struct procfs *procfs;
	struct fact_target info;
	struct explain explain;
	uint64_t hex = 0;

	assert_int_equal(procfs_open(NULL, &procfs, &explain), 0);
	assert_int_equal(procfs_describe(procfs, (uint32_t)image->pid, &info), 0);
	image->n_threads = 0;
	assert_int_equal(procfs_threads(procfs, 1, (uint32_t)image->pid, &sink), 0);
	assert_int_equal(symbols_new((uint32_t)image->pid, NULL, &symbols), 0);
	assert_int_equal(cpython_find(symbols, info.exe, &found), 0);
	image->site = (struct cpython_site){.runtime = found.runtime, .types = found.types, .same_pids = true};
	struct iovec local = {&hex, sizeof(hex)}, remote = {(void *)(uintptr_t)found.version, sizeof(hex)};

	assert_int_equal(process_vm_readv(image->pid, &local, 1, &remote, 1, 0), sizeof(hex));
	assert_non_null(cpython_offsets_of(hex >> 16 & 0xff));
	image->offsets = *cpython_offsets_of(hex >> 16 & 0xff);
	symbols_free(symbols);
	procfs_free(procfs);
}

static inline void image_kill(struct image *image)
{
	if (image->pid) {
		kill(image->pid, SIGKILL);
		waitpid(image->pid, NULL, 0);
		fclose(image->in);
		fclose(image->out);
	}
	image->pid = 0;
}

static inline void image_free(struct image *image)
{
	image_kill(image);
	free(image->block);
	memset(image, 0, sizeof(*image));
}

static inline struct image_block *image_block(struct image *image, uint64_t address)
{
	for (size_t i = 0; i < image->n_blocks; i++) {
		if (image->address[i] == address)
			return &image->block[i];
	}
	return NULL;
}

static inline bool image_record(struct image *image, uint64_t address, unsigned char *bytes)
{
	struct iovec local = {bytes, MEMORY_BLOCK}, remote = {(void *)(uintptr_t)address, MEMORY_BLOCK};
	struct image_block *block = image_block(image, address);

	if (process_vm_readv(image->pid, &local, 1, &remote, 1, 0) != MEMORY_BLOCK)
		return false;
	assert_true(block || image->n_blocks < IMAGE_BLOCKS);
	if (!block) {
		image->address[image->n_blocks] = address;
		block = &image->block[image->n_blocks++];
	}
	memcpy(block->bytes, bytes, MEMORY_BLOCK);
	return true;
}

static inline bool image_replay(struct image *image, uint64_t address, unsigned char *bytes)
{
	const struct image_block *block = image_block(image, address);

	if (!block)
		return false;
	memcpy(bytes, block->bytes, MEMORY_BLOCK);
	if (image->torn && rand() % (int)image->torn == 0)
		bytes[rand() % (int)MEMORY_BLOCK] = (unsigned char)rand();
	return !image->torn || rand() % (int)(image->torn * 4);
}

static inline void image_read(void *context, const uint64_t *addresses, size_t count, unsigned char *bytes, bool *ret_read)
{
	struct image *image = context;

	for (size_t i = 0; i < count; i++)
		ret_read[i] = image->pid ? image_record(image, addresses[i], bytes + i * MEMORY_BLOCK)
					 : image_replay(image, addresses[i], bytes + i * MEMORY_BLOCK);
}

static inline int image_take(void *context, const struct fact *fact)
{
	struct image *image = context;

	if (image->n_facts < IMAGE_FACTS)
		image->facts[image->n_facts++] = *fact;
	return 0;
}

static inline struct cpython_walk *image_walk(struct image *image)
{
	const struct memory_source source = {.read = image_read, .context = image};
	struct cpython_walk *walk;

	assert_int_equal(cpython_walk_new(&source, &image->offsets, &image->site, &walk), 0);
	return walk;
}

static inline int image_pass(struct image *image, struct cpython_walk *walk)
{
	const struct fact_sink sink = {.emit = image_take, .context = image};

	image->n_facts = 0;
	return cpython_walk_pass(walk, 1, image->now_ns += 2 * NSEC_PER_SEC, image->threads, image->n_threads, &sink);
}

/* The recording itself: the process stopped, nothing remembered, two passes of a new walk. */
static inline struct cpython_walk *image_freeze(struct image *image)
{
	struct cpython_walk *walk;

	kill(image->pid, SIGSTOP);
	image->n_blocks = 0;
	walk = image_walk(image);
	assert_true(cpython_walk_proves(walk));
	assert_int_equal(image_pass(image, walk), 0);
	assert_int_equal(image_pass(image, walk), 0);
	return walk;
}

/* The executor of that kind and name, as of the last pass; NULL: none. */
static inline const struct fact_executor *image_executor(const struct image *image, enum executor_kind kind,
							 const char *name, uint32_t instance)
{
	for (size_t i = 0; i < image->n_facts; i++) {
		const struct fact_executor *executor = &image->facts[i].executor;

		if (image->facts[i].kind == FACT_EXECUTOR && executor->kind == kind && !executor->gone &&
		    executor->instance == instance && !strcmp(*executor->name ? executor->name : executor->function, name))
			return executor;
	}
	return NULL;
}

static inline size_t image_workers(const struct image *image, uint64_t executor, enum worker_activity activity)
{
	size_t count = 0;

	for (size_t i = 0; i < image->n_facts; i++)
		count += image->facts[i].kind == FACT_WORKER && image->facts[i].worker.executor == executor &&
			 image->facts[i].worker.activity == activity;
	return count;
}

/* The recorded memory itself. */
static inline uint64_t image_word(struct image *image, uint64_t address)
{
	struct image_block *block = image_block(image, address - address % MEMORY_BLOCK);
	uint64_t word;

	assert_non_null(block);
	memcpy(&word, block->bytes + address % MEMORY_BLOCK, sizeof(word));
	return word;
}

static inline void image_put(struct image *image, uint64_t address, uint64_t word)
{
	struct image_block *block = image_block(image, address - address % MEMORY_BLOCK);

	assert_non_null(block);
	memcpy(block->bytes + address % MEMORY_BLOCK, &word, sizeof(word));
}

/* Of its threads: the list begins with the newest. */
static inline uint64_t image_first_state(struct image *image)
{
	uint64_t interp = image_word(image, image->site.runtime + image->offsets.runtime_interpreters);

	return image_word(image, interp + image->offsets.interp_threads);
}

#endif
