/* SPDX-License-Identifier: GPL-2.0-only */
/* struct pthread from outside, on threads of this process whose stacks and start routines are known. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "source/glibc.h"

#define THREADS 300 /* more than one batch */

static struct thread {
	pthread_t pthread;
	struct fact_thread fact;
	uint64_t stack_start, stack_length;
} threads[THREADS];

static pthread_barrier_t started, ended;

static void *first_routine(void *argument)
{
	struct thread *thread = argument;

	thread->fact.id.tid = (uint32_t)syscall(SYS_gettid);
	thread->fact.tls_base = (uint64_t)pthread_self();
	thread->fact.stack_pointer = (uint64_t)(uintptr_t)&thread;
	pthread_barrier_wait(&started);
	pthread_barrier_wait(&ended);
	return argument;
}

static void *second_routine(void *argument)
{
	return first_routine(argument);
}

typedef int create_function(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/* glibc's own: ASan's wrapper would put a routine of its own in front. */
static create_function *real_create(void)
{
	create_function *create;
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);

	assert_non_null(libc);
	*(void **)&create = dlsym(libc, "pthread_create");
	assert_non_null(create);
	return create;
}

/* As glibc says it to debuggers. */
static uint32_t size_of_descriptor(void)
{
	const uint32_t *size = dlsym(dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), "_thread_db_sizeof_pthread");

	assert_non_null(size);
	return *size;
}

static void start_threads(size_t count)
{
	create_function *create = real_create();

	pthread_barrier_init(&started, NULL, (unsigned int)count + 1);
	pthread_barrier_init(&ended, NULL, (unsigned int)count + 1);
	memset(threads, 0, sizeof(threads));
	for (size_t i = 0; i < count; i++) {
		pthread_attr_t attributes;

		pthread_attr_init(&attributes);
		/* Sizes differ, so that one thread's stack cannot pass for another's; many are no multiple of the page. */
		pthread_attr_setstacksize(&attributes, (64 + 4 * (i % 8)) * 1024 + (i % 5) * 16384 + (i % 3) * 1088);
		assert_int_equal(create(&threads[i].pthread, &attributes,
					i % 2 ? second_routine : first_routine, &threads[i]), 0);
		pthread_attr_destroy(&attributes);
	}
	pthread_barrier_wait(&started);
	for (size_t i = 0; i < count; i++) {
		pthread_attr_t attributes;
		void *stack;
		size_t size, guard;

		pthread_getattr_np(threads[i].pthread, &attributes);
		pthread_attr_getstack(&attributes, &stack, &size);
		pthread_attr_getguardsize(&attributes, &guard);
		/* POSIX's stack begins above the guard; the block that glibc maps includes it. */
		threads[i].stack_start = (uint64_t)(uintptr_t)stack - guard;
		threads[i].stack_length = size + guard;
		pthread_attr_destroy(&attributes);
	}
}

static void end_threads(size_t count)
{
	pthread_barrier_wait(&ended);
	for (size_t i = 0; i < count; i++)
		pthread_join(threads[i].pthread, NULL);
	pthread_barrier_destroy(&started);
	pthread_barrier_destroy(&ended);
}

static struct fact_thread leader(void)
{
	return (struct fact_thread){
		.id = {.tid = (uint32_t)getpid()}, .is_leader = true, .tls_base = (uint64_t)pthread_self(),
	};
}

/* glibc hands out its stack with and without the guard by version: what matters is the pages used. The end is that of the
 * mapping. */
static void assert_stack(const struct thread *thread, const struct fact_thread *fact)
{
	uint64_t end = (thread->stack_start + thread->stack_length + 4095) & ~4095ULL;

	assert_int_equal(fact->stack_start + fact->stack_length, end);
	assert_in_range(fact->stack_start, thread->stack_start, thread->stack_start + 65536);
	assert_true(fact->stack_pointer >= fact->stack_start && fact->stack_pointer < end);
}

static void learns_and_reads_many(void **state)
{
	struct glibc_descriptor descriptor = {0};
	struct fact_thread *facts = calloc(THREADS + 1, sizeof(*facts));

	start_threads(THREADS);
	facts[0] = leader();
	for (size_t i = 0; i < THREADS; i++)
		facts[i + 1] = threads[i].fact;
	assert_int_equal(glibc_learn((uint32_t)getpid(), NULL, facts, THREADS + 1, &descriptor), 0);
	print_message("tid +%u, start_routine +%u, stack block +%u\n", descriptor.tid, descriptor.start_routine,
		      descriptor.stack_block);
	assert_int_equal(descriptor.bytes, size_of_descriptor());
	assert_int_equal(glibc_read_threads((uint32_t)getpid(), NULL, &descriptor, facts, THREADS + 1), THREADS);
	assert_int_equal(facts[0].stack_length, 0);
	assert_int_equal(facts[0].start_routine, 0);
	for (size_t i = 0; i < THREADS; i++) {
		assert_stack(&threads[i], &facts[i + 1]);
		assert_int_equal(facts[i + 1].start_routine, (uintptr_t)(i % 2 ? second_routine : first_routine));
	}
	end_threads(THREADS);
	free(facts);
}

/* The same evidence again by /proc/PID/mem, as for a procfs that is not ours. */
static void reads_through_another_procfs(void **state)
{
	struct glibc_descriptor by_call = {0}, by_file = {0};
	struct fact_thread facts[3];

	start_threads(3);
	for (size_t i = 0; i < 3; i++)
		facts[i] = threads[i].fact;
	assert_int_equal(glibc_learn((uint32_t)getpid(), NULL, facts, 3, &by_call), 0);
	assert_int_equal(glibc_learn((uint32_t)getpid(), "/proc/.", facts, 3, &by_file), 0);
	assert_memory_equal(&by_call, &by_file, sizeof(by_call));
	assert_int_equal(glibc_read_threads((uint32_t)getpid(), "/proc/.", &by_file, facts, 3), 3);
	for (size_t i = 0; i < 3; i++)
		assert_stack(&threads[i], &facts[i]);
	end_threads(3);
}

static void learns_from_the_leader_alone(void **state)
{
	struct glibc_descriptor alone = {0}, with_threads = {0};
	struct fact_thread facts[4] = {leader()};

	assert_int_equal(glibc_learn((uint32_t)getpid(), NULL, facts, 1, &alone), 0);
	start_threads(3);
	for (size_t i = 0; i < 3; i++)
		facts[i + 1] = threads[i].fact;
	assert_int_equal(glibc_learn((uint32_t)getpid(), NULL, facts, 4, &with_threads), 0);
	assert_int_equal(alone.tid, with_threads.tid);
	assert_int_equal(alone.start_routine, with_threads.start_routine);
	end_threads(3);
}

/* One that has ended may have left its stack, with its descriptor in it, to another: what its birth told of it stays. */
static void a_routine_that_was_told_stays(void **state)
{
	struct glibc_descriptor descriptor = {0};
	struct fact_thread facts[2];

	start_threads(2);
	facts[0] = threads[0].fact;
	facts[1] = threads[1].fact;
	assert_int_equal(glibc_learn((uint32_t)getpid(), NULL, facts, 2, &descriptor), 0);
	facts[0].start_routine = 0x1139;
	facts[0].start_argument = 7;
	assert_int_equal(glibc_read_threads((uint32_t)getpid(), "/proc/.", &descriptor, facts, 2), 2);
	assert_int_equal(facts[0].start_routine, 0x1139);
	assert_int_equal(facts[0].start_argument, 7);
	assert_int_equal(facts[1].start_routine, (uintptr_t)second_routine);
	end_threads(2);
}

static void a_thread_that_ended_does_not_stop_the_others(void **state)
{
	struct glibc_descriptor descriptor = {0};
	struct fact_thread facts[4] = {0};

	start_threads(4);
	for (size_t i = 0; i < 4; i++)
		facts[i] = threads[i].fact;
	assert_int_equal(glibc_learn((uint32_t)getpid(), NULL, facts, 4, &descriptor), 0);
	facts[0].tls_base = 4096;  /* nothing is mapped there */
	facts[2].tls_base += 4096 * 16; /* the stack that its descriptor names, if any, is another's */
	glibc_read_threads((uint32_t)getpid(), NULL, &descriptor, facts, 4);
	assert_int_equal(facts[0].stack_length, 0);
	assert_int_equal(facts[2].stack_length, 0);
	assert_stack(&threads[1], &facts[1]);
	assert_stack(&threads[3], &facts[3]);
	end_threads(4);
}

static void evidence_that_does_not_suffice(void **state)
{
	struct glibc_descriptor descriptor = {.tid = 7};
	struct fact_thread facts[2] = {0};
	/* What a foreign libc might have there: numbers, but not the tids. */
	char *memory = calloc(2, 4096);

	assert_int_equal(glibc_learn((uint32_t)getpid(), NULL, facts, 0, &descriptor), -ENOENT);
	start_threads(2);
	for (size_t i = 0; i < 2; i++) {
		facts[i] = threads[i].fact;
		facts[i].tls_base = (uint64_t)(uintptr_t)memory + i * 4096;
	}
	assert_int_equal(glibc_learn((uint32_t)getpid(), NULL, facts, 2, &descriptor), -ENOENT);
	assert_int_equal(descriptor.tid, 7);
	assert_int_equal(glibc_learn(0x7ffffff0, NULL, facts, 2, &descriptor), -ESRCH);
	end_threads(2);
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(learns_and_reads_many),
		cmocka_unit_test(reads_through_another_procfs),
		cmocka_unit_test(learns_from_the_leader_alone),
		cmocka_unit_test(a_routine_that_was_told_stays),
		cmocka_unit_test(a_thread_that_ended_does_not_stop_the_others),
		cmocka_unit_test(evidence_that_does_not_suffice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
