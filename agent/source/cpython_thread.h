/* SPDX-License-Identifier: GPL-2.0-only */
/* The Python threads of an interpreter and their frames, as one pass reads them. It must not know executors.
 */
#ifndef POOLSCOPE_SOURCE_CPYTHON_THREAD_H
#define POOLSCOPE_SOURCE_CPYTHON_THREAD_H

#include "cpython_active.h"
#include "cpython_code.h"

/* What the outermost frames say about a thread, once and for all. */
enum root_kind {
	ROOT_UNKNOWN, /* not told yet, or it could not be read */
	ROOT_NONE, /* not made by threading: the main thread, or one of C code */
	ROOT_PLAIN, /* threading.Thread with a function of its own */
	ROOT_FUTURES, /* a ThreadPoolExecutor's */
	ROOT_POOL, /* a multiprocessing.pool.ThreadPool's */
	ROOT_POOL_KEEPER,
	ROOT_POOL_HELPER,
	ROOT_PROCESSES, /* a ProcessPoolExecutor's manager */
	ROOT_ANYIO,
};

struct root {
	enum root_kind kind;
	bool is_provisional; /* what its frames say later may be more */
	uint32_t native; /* gettid() by the Thread object; 0: it does not say */
	uint64_t object; /* the Thread */
	uint64_t worker_frame; /* of the function that takes tasks, which lives as long as the worker; 0: none, or out of
				 * reach */
	uint64_t queue, reference; /* that function's: what identifies the executor, what leads to it */
	uint64_t own_queue; /* where it waits for its next task */
	uint64_t task_local; /* where worker_frame has the task at hand; 0: none but functions of Python execute one */
	uint64_t begun_local; /* where worker_frame has what is set once its initializer is over; 0: its line tells */
	bool has_initializer; /* which may not be over yet, and may be a function of C */
	char name[64]; /* as Python has it */
	char function[FACT_SYMBOL_SIZE], file[64]; /* ROOT_PLAIN: of its own function */
	uint64_t path; /* likewise, as code_info.path */
};

#define EXECUTOR_NONE UINT32_MAX

#define FRAMES_MAX 32768U /* so deep is a stack followed */

struct frame {
	uint64_t address, previous, instruction;
	struct code_info *code; /* NULL: a frame between C and Python, without a function */
};

struct py_thread {
	uint64_t address, unique,
		pthread; /* of its state; the number that no other thread gets; pthread_self() */
	uint64_t interp;
	bool is_unborn; /* its numbers are its creator's, until it runs (before 3.12) */
	uint32_t native; /* gettid(), as it sees itself; 0: not told */
	uint32_t tid; /* of the thread that was listed at its place in the last pass; 0: none */
	uint64_t start_ns, told_start_ns; /* of that; as it was told to who asked for news */
	bool is_leader; /* of the process */
	uint64_t pass; /* in which it was in the interpreter's list */
	uint64_t cframe; /* where its innermost frame stands, of the last reading */
	struct frame frame; /* the innermost; address 0: none, or not read */
	bool is_read; /* in this pass: frame is good, or it is idle */
	bool is_in_loop; /* its innermost frame is worker_frame: it waits for a task, or executes a function of C */

	struct root root;
	uint64_t root_pass; /* in which that was told */
	bool is_out_of_reach; /* its outermost frames cannot be reached: it is told to be none's; tried again from retry_ns on */
	bool may_be_any; /* they were not reached so far, for whatever reason: it may be any executor's worker */
	uint8_t torn; /* how often in a row a deep stack changed while it was read */
	uint64_t retry_ns;
	uint64_t began_ns; /* 0: not known */
	uint64_t tried_frame, tried_ns; /* what stood for its function at the last try, and since when */
	uint32_t executor; /* as of this pass, an index; EXECUTOR_NONE */
	enum worker_activity activity;
};

/* All threads of all interpreters, by address; one that has left the lists is dropped. */
struct py_threads {
	struct py_thread **thread;
	size_t count, capacity;
	uint64_t pass, now_ns;
	struct active_threads active;
};

void py_threads_clear(struct py_threads *threads);
/* Reads the lists anew. -EFAULT, -EINVAL: what stands there is no list of threads. -ENOMEM. */
int py_threads_list(struct py_threads *threads, const struct cpython_image *image, uint64_t runtime);
#define PY_THREAD_BYTES 320U /* of a thread's state, as far as it is read */

/* Where the thread's innermost frame stands; 0: it runs no Python. */
int py_thread_innermost(struct py_thread *thread, const struct cpython_image *image, uint64_t *ret_frame);
/* Is it still the thread that it was? Reads its state anew. */
bool py_thread_is_same(const struct py_thread *thread, const struct cpython_image *image);
/* Reads where each thread is now, many by one call; what is torn is read again. Returns how many stay unread.
 */
size_t py_threads_locate(struct py_threads *threads, const struct cpython_image *image,
			 struct code_table *codes);

/* -EFAULT, -EINVAL. */
int frame_read(const struct cpython_image *image, struct code_table *codes, uint64_t address,
	       struct frame *ret_frame);
void frame_want(const struct cpython_image *image, uint64_t address);
/* Likewise, with what is likely to hold its callers. */
void frame_want_callers(const struct cpython_image *image, uint64_t address);
/* The n-th local variable; may be 0. */
int frame_local(const struct cpython_image *image, uint64_t frame, uint32_t index, uint64_t *ret_value);

#endif
