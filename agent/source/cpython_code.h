/* SPDX-License-Identifier: GPL-2.0-only */
/* Code objects of a target: what a function is called, where it stands, and what part it plays in an
 * executor. Remembered by address and proven anew in each pass. It must not know threads. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_CODE_H
#define POOLSCOPE_SOURCE_CPYTHON_CODE_H

#include "../fact.h"
#include "cpython_object.h"

/* The functions by which executors and idle workers are known. */
enum code_role {
	CODE_PLAIN,
	CODE_BOOTSTRAP, /* threading: the outermost */
	CODE_BOOTSTRAP_INNER, /* threading: its `self` is the Thread */
	CODE_THREADING, /* another function of threading.py: locks, conditions, semaphores */
	CODE_THREAD_RUN, /* Thread.run: calls the target */
	CODE_FUTURES_WORKER, /* concurrent.futures.thread: a ThreadPoolExecutor's worker */
	CODE_POOL_WORKER, /* multiprocessing.pool: a ThreadPool's worker */
	CODE_POOL_KEEPER, /* multiprocessing.pool: replaces workers, knows how many there shall be */
	CODE_POOL_HELPER, /* multiprocessing.pool: carries tasks and results */
	CODE_PROCESSES_MANAGER, /* concurrent.futures.process: feeds a ProcessPoolExecutor's children */
	CODE_ANYIO_WORKER, /* anyio: WorkerThread.run, as far as the file tells */
	CODE_QUEUE_GET, /* queue.Queue.get */
};

/* Whose work a function is, the program's first. */
enum code_layer {
	LAYER_PROGRAM,
	LAYER_PART, /* of a function of the program: a comprehension, which from 3.12 on has no frame of its own */
	LAYER_PACKAGE, /* installed beside it */
	LAYER_SCRIPT, /* what an installed command calls its package from */
	LAYER_RUNTIME, /* the interpreter's own library, and what calls a program's functions: servers, executors */
};

struct code_info {
	uint64_t address;
	uint64_t filename, name, lines; /* objects; what proves that it is still the same */
	uint32_t first_line;
	enum code_role role;
	enum process_role process_role; /* what the process is whose main thread stands in it */
	enum code_layer layer;
	uint64_t package; /* of LAYER_PACKAGE, a hash of which; 0: not known */
	uint64_t pass; /* in which it was proven */
	char function[FACT_SYMBOL_SIZE], file[64];
	uint64_t path; /* a hash of the whole path of its file: there are many files of one name */
	unsigned char *table; /* its line table; NULL: not read yet */
	size_t table_length;
	uint32_t last_offset, last_line;
};

struct code_table;

int code_table_new(struct code_table **ret_table);
void code_table_free(struct code_table *table);
DEFINE_CLEANUP(struct code_table *, code_table_free)

/* A new pass: everything is to be proven again. Pointers handed out before are no longer good. */
void code_table_begin(struct code_table *table);
/* NULL: no code object stands there. */
struct code_info *code_table_get(struct code_table *table, const struct cpython_image *image,
				 uint64_t address);
/* 0: not known. instruction: what stands in the frame (f_lasti, or an address). */
uint32_t code_line(struct code_table *table, const struct cpython_image *image, struct code_info *code,
		   uint64_t instruction);
/* By the path of its file as the interpreter has it, and by its name. */
enum code_layer code_layer(const char *path, const char *name);
/* Of a function of "<string>": a special method that is in no class? Nobody types that; a library has it compiled, and
 * sets it into a class then, as dataclasses do. By its qualified name; before 3.11, by where it stands in the text. */
bool code_is_loose_method(const char *name, const char *qualname);
bool code_is_loose_method_at(const char *name, uint32_t first_line, bool is_nested);
/* The package that an installed file is of, a hash of its name; 0: none, or not known. */
uint64_t code_package(const char *path);
/* The place of a local variable in the frame. -ENOENT. */
int code_local(const struct cpython_image *image, const struct code_info *code, const char *name,
	       uint32_t *ret_index);

#endif
