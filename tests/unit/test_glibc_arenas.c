/* SPDX-License-Identifier: GPL-2.0-only */
/* Arenas read from outside, from a process (this one) in whose memory they are made up: well-formed, in circles, broken
 * at random. The reading must end, and say only what proves itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "source/glibc.h"
#include "source/glibc_arenas.h"

#define HEAPS 4
#define THREADS 3
#define BINS 112
#define WORD_BELOW 56
#define FAR_BELOW 9000 /* behind the TLS of other modules */

static unsigned char *heaps, *tls, *data;
static struct glibc_arenas arenas;
static struct fact facts[256];
static size_t n_facts;

static int keep(void *context, const struct fact *fact)
{
	if (n_facts < 256)
		facts[n_facts++] = *fact;
	return 0;
}

static unsigned char *heap(size_t i)
{
	return heaps + i * MALLOC_HEAP_BYTES;
}

static void put(unsigned char *at, uint64_t word)
{
	memcpy(at, &word, sizeof(word));
}

static uint64_t address(const void *at)
{
	return (uint64_t)(uintptr_t)at;
}

static void make_state(unsigned char *state, uint64_t top, uint64_t next)
{
	memset(state, 0, 2200);
	put(state + BINS - 16, top);
	for (size_t i = 0; i < 127; i++) {
		put(state + BINS + i * 16, address(state) + BINS + i * 16 - 16);
		put(state + BINS + i * 16 + 8, address(state) + BINS + i * 16 - 16);
	}
	put(state + BINS + 2048, next);
}

static void make_heap(size_t i, const unsigned char *arena, const unsigned char *previous)
{
	put(heap(i), address(arena));
	put(heap(i) + 8, address(previous));
	put(heap(i) + 16, 135168);
}

/* Arena A: heaps 0 and 1; arena B, which no thread uses: heap 2; the main one in `data`. They are linked in a ring. */
static void make_all(void)
{
	unsigned char *a = heap(0) + 48, *b = heap(2) + 48;

	memset(tls, 0, 65536);
	make_heap(0, a, NULL);
	make_heap(1, a, heap(0));
	make_heap(2, b, NULL);
	make_state(a, address(heap(1)) + 4096, address(b));
	make_state(b, address(heap(2)) + 8192, address(data));
	make_state(data, 0x10000000, address(a));
}

static uint64_t cpu_ns = UNKNOWN_U64;

static struct fact_thread thread_at(size_t i)
{
	return (struct fact_thread){.id = {.tid = 100 + (uint32_t)i}, .is_leader = i == 0,
				    .cpu_ns = cpu_ns, .cpu_is_exact = cpu_ns != UNKNOWN_U64,
				    .tls_base = address(tls) + 16384 + i * 16384};
}

static int read_all(uint32_t below, const uint64_t *words)
{
	struct fact_sink sink = {keep, NULL};
	struct fact_thread threads[THREADS];

	n_facts = 0;
	for (size_t i = 0; i < THREADS; i++) {
		threads[i] = thread_at(i);
		put(tls + 16384 + i * 16384 - below, words[i]);
	}
	return glibc_arenas((uint32_t)getpid(), NULL, 1, 2, threads, THREADS, &arenas, &sink);
}

static size_t count_of(enum fact_kind kind, uint64_t arena)
{
	size_t count = 0;

	for (size_t i = 0; i < n_facts; i++)
		count += facts[i].kind == kind && facts[i].arena.address == arena;
	return count;
}

static void all_of_them(void **state)
{
	uint64_t a = address(heap(0)) + 48, b = address(heap(2)) + 48, words[THREADS] = {address(data), a, a};

	make_all();
	assert_int_equal(read_all(WORD_BELOW, words), 0);
	assert_int_equal(count_of(FACT_ARENA, a), 2);
	assert_int_equal(count_of(FACT_ARENA, b), 1);
	assert_int_equal(count_of(FACT_ARENA, address(data)), 1);
	assert_int_equal(count_of(FACT_THREAD_ARENA, a), 2);
	assert_int_equal(count_of(FACT_THREAD_ARENA, address(data)), 1);
	assert_int_equal(glibc_arenas_find(&arenas, b)->threads, 0);
	assert_true(glibc_arenas_main(&arenas)->is_main);
}

/* Who has not run has the word that it had; who has is read again. A clock that counts in ticks says neither. */
static void who_has_run_is_read_again(void **state)
{
	uint64_t a = address(heap(0)) + 48, b = address(heap(2)) + 48;
	const uint64_t before[THREADS] = {address(data), a, a}, after[THREADS] = {address(data), b, a};

	make_all();
	glibc_arenas_clear(&arenas);
	assert_int_equal(read_all(WORD_BELOW, before), 0);
	assert_int_equal(read_all(WORD_BELOW, after), 0);
	assert_int_equal(count_of(FACT_THREAD_ARENA, b), 1);
	cpu_ns = 1000;
	assert_int_equal(read_all(WORD_BELOW, before), 0);
	assert_int_equal(count_of(FACT_THREAD_ARENA, a), 2);
	assert_int_equal(read_all(WORD_BELOW, after), 0);
	assert_int_equal(count_of(FACT_THREAD_ARENA, b), 0);
	cpu_ns = 1001;
	assert_int_equal(read_all(WORD_BELOW, after), 0);
	assert_int_equal(count_of(FACT_THREAD_ARENA, b), 1);
	assert_int_equal(count_of(FACT_THREAD_ARENA, a), 1);
	assert_int_equal(count_of(FACT_THREAD_ARENA, address(data)), 1);
	cpu_ns = UNKNOWN_U64;
}

/* The executable's own TLS is large: libc's lies far below, and is found by the vector of modules. */
static void behind_other_modules(void **state)
{
	uint64_t a = address(heap(0)) + 48, words[THREADS] = {address(data), a, a};
	unsigned char *vector = tls + 60000;

	make_all();
	for (size_t i = 0; i < THREADS; i++)
		put(tls + 16384 + i * 16384 + 8, address(vector));
	put(vector - 16, 15);                                     /* so many modules at most */
	put(vector + 16, address(tls) + 16384 - 8192);            /* the executable's */
	put(vector + 32, address(tls) + 16384 - FAR_BELOW - 40);  /* libc's */
	glibc_arenas_clear(&arenas);
	assert_int_equal(read_all(FAR_BELOW, words), 0);
	assert_int_equal(count_of(FACT_THREAD_ARENA, a), 2);
	assert_int_equal(count_of(FACT_THREAD_ARENA, address(data)), 1);
}

/* What lies behind the vector's end is no module: here, as it happens, the address of the right place. */
static void behind_the_end_of_the_vector(void **state)
{
	uint64_t a = address(heap(0)) + 48, words[THREADS] = {address(data), a, a};
	unsigned char *vector = tls + 60000;

	make_all();
	for (size_t i = 0; i < THREADS; i++)
		put(tls + 16384 + i * 16384 + 8, address(vector));
	put(vector - 16, 1);
	put(vector + 16, address(tls) + 16384 - 8192);
	put(vector + 32, address(tls) + 16384 - FAR_BELOW - 40);
	glibc_arenas_clear(&arenas);
	assert_int_equal(read_all(FAR_BELOW, words), 0);
	assert_int_equal(n_facts, 0);
}

static bool is_there(const void *page)
{
	unsigned char there = 0;

	assert_int_equal(mincore((void *)((uintptr_t)page & ~4095UL), 4096, &there), 0);
	return there & 1;
}

/* Words that are no arenas' may name anything: no page comes into being by looking there. */
static void guesses_touch_nothing(void **state)
{
	unsigned char *empty = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t words[THREADS] = {address(empty), address(heap(3)) + 48, address(empty) + 4096 - 64};
	unsigned char *vector = tls + 60000;

	assert_true(empty != MAP_FAILED);
	make_all();
	madvise(heap(3), MALLOC_HEAP_BYTES, MADV_DONTNEED);
	empty[0] = 1; /* the next page is not there */
	for (size_t i = 0; i < THREADS; i++)
		put(tls + 16384 + i * 16384 + 8, i ? address(empty) + 4096 - 16 : address(vector));
	put(vector - 16, 15);
	put(vector + 16, address(tls) + 16384 - 8192);
	put(vector + 32, address(empty) + 8192);
	glibc_arenas_clear(&arenas);
	for (int round = 0; round < 4; round++)
		assert_int_equal(read_all(WORD_BELOW, words), 0);
	assert_int_equal(n_facts, 0);
	for (size_t i = 1; i < 4; i++)
		assert_false(is_there(empty + i * 4096));
	munmap(empty, 16384);
}

static void circles_and_dead_ends(void **state)
{
	uint64_t a = address(heap(0)) + 48, words[THREADS] = {0, a, a};

	make_all();
	put(heap(1) + 8, address(heap(3))); /* a chain that comes back to itself, without the first heap */
	make_heap(3, heap(0) + 48, heap(1));
	put(heap(2) + 48 + BINS + 2048, 4096); /* next: nothing there */
	assert_int_equal(read_all(WORD_BELOW, words), 0);
	assert_int_equal(count_of(FACT_ARENA, a), 1);
	assert_int_equal(count_of(FACT_THREAD_ARENA, a), 2);
	assert_int_equal(count_of(FACT_ARENA, address(data)), 0);
	/* A word that no heap points back to. */
	put(heap(0), 1);
	assert_int_equal(read_all(WORD_BELOW, words), 0);
	assert_int_equal(n_facts, 0);
}

static void memory_without_sense(void **state)
{
	uint64_t seed = 1;
	struct timespec began, now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &began);
	for (int round = 0; round < 1500; round++) {
		uint64_t words[THREADS] = {address(data), address(heap(0)) + 48, address(heap(2)) + 48};

		make_all();
		make_heap(3, heap(round % 3) + 48, heap(round % 4));
		for (int i = 0; i < 12; i++) {
			unsigned char *places[] = {heap(0), heap(1), heap(2), heap(3), data, tls + 16384 - 512};
			uint64_t values[] = {address(heap(seed % 4)), address(heap(seed % 3)) + 48, address(data), 0, seed,
					     address(heap(seed % 4)) + 4096};

			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			put(places[(seed >> 33) % 6] + (seed >> 40) % (i % 2 ? 4 : 288) * 8, values[(seed >> 20) % 6]);
		}
		assert_int_equal(read_all(WORD_BELOW, words), 0);
		for (size_t i = 0; i < n_facts; i++)
			assert_true(facts[i].arena.address != 0);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	print_message("%ld s of CPU time\n", (long)(now.tv_sec - began.tv_sec));
	glibc_arenas_clear(&arenas);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_them),
		cmocka_unit_test(who_has_run_is_read_again),
		cmocka_unit_test(behind_other_modules),
		cmocka_unit_test(behind_the_end_of_the_vector),
		cmocka_unit_test(guesses_touch_nothing),
		cmocka_unit_test(circles_and_dead_ends),
		cmocka_unit_test(memory_without_sense),
	};
	size_t room = (HEAPS + 1) * MALLOC_HEAP_BYTES;
	unsigned char *mapped = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mapped == MAP_FAILED)
		return 1;
	heaps = mapped + (-(uintptr_t)mapped & (MALLOC_HEAP_BYTES - 1));
	tls = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
