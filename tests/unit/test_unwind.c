/* SPDX-License-Identifier: GPL-2.0-only */
/* From a copy of registers and stack to the function that asked a library: with stacks of this process, with broken
 * ones, and with object files of broken bytes; and the table in which copies wait. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <link.h>
#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "source/probe_stacks.h"
#include "source/unwind.h"
#include "source/unwind_elf.h"

#if defined(__x86_64__)

uint64_t seen_registers[EVENT_REGISTERS]; /* in the order of enum event_register */
static struct stack_copy copy;
static struct symbols *symbols;

/* Called by lfind() of the C library: keeps the registers as that function has them. */
int seen_compare(const void *a, const void *b);
__asm__(".globl seen_compare\n"
	".type seen_compare, @function\n"
	"seen_compare:\n"
	"	mov %rbx, seen_registers(%rip)\n"
	"	mov %rbp, seen_registers+8(%rip)\n"
	"	lea 8(%rsp), %rax\n"
	"	mov %rax, seen_registers+16(%rip)\n"
	"	mov %r12, seen_registers+24(%rip)\n"
	"	mov %r13, seen_registers+32(%rip)\n"
	"	mov %r14, seen_registers+40(%rip)\n"
	"	mov %r15, seen_registers+48(%rip)\n"
	"	mov (%rsp), %rax\n"
	"	mov %rax, seen_registers+56(%rip)\n"
	"	jmp compare_and_copy\n"
	".size seen_compare, .-seen_compare\n");
_Static_assert(EVENT_BX == 0 && EVENT_BP == 1 && EVENT_SP == 2 && EVENT_R12 == 3 && EVENT_R15 == 6 && EVENT_IP == 7,
	       "as above");

int compare_and_copy(const void *a, const void *b);
/* Other frames' stacks have zones that ASan forbids to read. */
__attribute__((no_sanitize("address"), used)) int compare_and_copy(const void *a, const void *b)
{
	const volatile unsigned char *from = (const volatile unsigned char *)seen_registers[EVENT_SP];

	copy.size = sizeof(copy.bytes);
	for (size_t i = 0; i < sizeof(copy.bytes); i++)
		copy.bytes[i] = from[i];
	for (size_t i = 0; i < EVENT_REGISTERS; i++)
		copy.registers[i] = seen_registers[i];
	return *(const int *)a != *(const int *)b;
}

__attribute__((noinline)) static void who_searches(void)
{
	int numbers[] = {1, 2, 3}, wanted = 2;
	size_t count = 3;

	assert_ptr_equal(lfind(&wanted, numbers, &count, sizeof(*numbers), seen_compare), &numbers[1]);
}

static int begin(void **state)
{
	char room[8192]; /* so that the copy does not reach beyond the stack */

	__asm__ volatile("" : : "r"(room) : "memory");
	who_searches();
	return symbols_new((uint32_t)getpid(), NULL, &symbols);
}

static int end(void **state)
{
	symbols_free(symbols);
	return 0;
}

static void the_caller_of_a_library(void **state)
{
	struct fact_blame blame = {.line = 7};
	uint64_t opened;

	assert_int_equal(unwind_caller(symbols, &copy, &blame), 0);
	assert_string_equal(blame.function, "who_searches");
	assert_string_equal(blame.file, "test_unwind");
	assert_int_equal(blame.line, 0);
	opened = symbols_opened(symbols);
	assert_true(opened > 0);
	symbols_changed(symbols);
	assert_int_equal(unwind_caller(symbols, &copy, &blame), 0);
	assert_int_equal(symbols_opened(symbols), opened); /* files are read once */
}

static void a_stack_that_ends_too_soon(void **state)
{
	struct stack_copy cut = copy;
	struct fact_blame blame = {0};
	int told = 0;

	for (cut.size = 0; cut.size < copy.size; cut.size += 8) {
		int r = unwind_caller(symbols, &cut, &blame);

		assert_true(r == 0 || r == -ENOENT || r == -ENODATA);
		if (r == 0)
			assert_string_equal(blame.function, "who_searches");
		told += r == 0;
	}
	assert_true(told > 0 && told < (int)copy.size / 8);
}

/* Whose allocator is its own is not told apart from it; nor is code without a file anybody's. */
static void where_nobody_can_say(void **state)
{
	void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct stack_copy other = copy;
	struct fact_blame blame = {0};

	other.registers[EVENT_IP] = (uint64_t)(uintptr_t)who_searches + 5;
	assert_int_equal(unwind_caller(symbols, &other, &blame), -ENOENT);
	other.registers[EVENT_IP] = (uint64_t)(uintptr_t)code + 64;
	symbols_changed(symbols);
	assert_int_equal(unwind_caller(symbols, &other, &blame), -ENOENT);
	other.registers[EVENT_IP] = 0;
	assert_int_equal(unwind_caller(symbols, &other, &blame), -ENOENT);
	assert_string_equal(blame.function, "");
	munmap(code, 4096);
}

struct seen_frames {
	struct fact_routine frame[32];
	int count, most;
};

static bool see_frame(void *context, const struct fact_routine *frame)
{
	struct seen_frames *seen = context;

	assert_true(seen->count < (int)ARRAY_SIZE(seen->frame));
	assert_true(strlen(frame->symbol) < sizeof(frame->symbol) && strlen(frame->module) < sizeof(frame->module));
	seen->frame[seen->count++] = *frame;
	return seen->count != seen->most;
}

static void begin_and_copy(pthread_t *thread, void *(*routine)(void *))
{
	assert_int_equal(pthread_create(thread, NULL, routine, NULL), 0);
	assert_int_equal(pthread_join(*thread, NULL), 0);
}

static void *thread_routine(void *unused)
{
	who_searches();
	__asm__ volatile("" : : : "memory");
	return unused;
}

/* All that a thread stands in, to where it began; and no further than is asked for. */
static void every_frame_of_a_thread(void **state)
{
	const struct unwind_stack stack = {copy.registers, copy.bytes, sizeof(copy.bytes)};
	struct stack_copy main_thread = copy;
	struct seen_frames seen = {.most = 32};
	pthread_t thread;
	int r, whole;

	begin_and_copy(&thread, thread_routine);
	r = unwind_each(symbols, &stack, see_frame, &seen);
	assert_true(seen.count >= 4);
	assert_string_equal(seen.frame[0].symbol, "lfind");
	assert_string_equal(seen.frame[1].symbol, "who_searches");
	assert_string_equal(seen.frame[2].symbol, "thread_routine");
	assert_string_equal(seen.frame[2].module, "test_unwind");
	/* Below may lie a function of the sanitizer; the last is the C library's. */
	assert_int_equal(r, 0);
	whole = seen.count;
	assert_int_equal(fnmatch("libc*", seen.frame[seen.count - 1].module, 0), 0);
	seen = (struct seen_frames){.most = 2};
	assert_int_equal(unwind_each(symbols, &stack, see_frame, &seen), 0);
	assert_int_equal(seen.count, 2);
	/* Cut anywhere, it does not end as if what is there were all. */
	for (size_t size = 0; size < sizeof(copy.bytes); size += 8) {
		const struct unwind_stack cut = {copy.registers, copy.bytes, size};
		struct seen_frames part = {.most = 32};

		assert_true(unwind_each(symbols, &cut, see_frame, &part) || part.count == whole);
	}
	copy = main_thread;
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void broken_stacks(void **state)
{
	uint32_t seed = 1, told = 0, rounds = 2000;
	struct seen_frames seen;

	for (uint32_t round = 0; round < rounds; round++) {
		struct stack_copy broken = copy;
		struct fact_blame blame = {0};

		for (uint32_t i = 0; i < 1 + round % 3; i++)
			broken.bytes[next_random(&seed) % 256] = (unsigned char)next_random(&seed);
		if (round % 4 == 0)
			broken.registers[next_random(&seed) % (EVENT_REGISTERS - 1)] += next_random(&seed) % 64 - 32;
		if (round % 16 == 0)
			broken.registers[EVENT_SP] = UINT64_MAX - next_random(&seed) % 64;
		told += unwind_caller(symbols, &broken, &blame) == 0;
		seen = (struct seen_frames){.most = 32};
		(void)unwind_each(symbols, &(struct unwind_stack){broken.registers, broken.bytes, broken.size}, see_frame, &seen);
	}
	assert_true(told > 0 && told < rounds);
}

/* ---- object files -------------------------------------------------------------------------------- */

static unsigned char *file_of(void *function, size_t *ret_size, size_t *ret_frames, uint64_t *ret_address)
{
	struct link_map *map;
	Dl_info info;
	FILE *file;
	unsigned char *bytes;
	long size;

	assert_true(dladdr1(function, &info, (void **)&map, RTLD_DL_LINKMAP));
	file = fopen(info.dli_fname, "r");
	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	size = ftell(file);
	rewind(file);
	bytes = malloc((size_t)size);
	assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
	fclose(file);
	*ret_size = (size_t)size;
	*ret_address = (uint64_t)(uintptr_t)function - map->l_addr;
	*ret_frames = 0;
	for (const ElfW(Phdr) *segment = (const void *)(bytes + sizeof(ElfW(Ehdr)));; segment++)
		if (segment->p_type == PT_GNU_EH_FRAME) {
			*ret_frames = segment->p_offset;
			break;
		}
	return bytes;
}

/* libelf (0.188) forgets a buffer of a file that ends before its own tables say: some hundred bytes, once a file. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libelf.so\n";
}

/* How many of some addresses lead on to a caller. */
static int steps(const void *bytes, size_t size, uint64_t address)
{
	int fd = memfd_create("object", MFD_CLOEXEC), count = 0;
	struct unwind_file *file = NULL;

	assert_int_equal(write(fd, bytes, size), size);
	if (unwind_file_new(fd, &file) < 0) /* which has closed it */
		return -1;
	for (uint64_t at = address - 2048; at < address + 2048; at += 61) {
		struct unwind_state walk = {.ip = at, .stack = 0x1000, .bytes = copy.bytes, .size = copy.size};

		for (size_t i = 0; i < UNWIND_REGISTERS; i++) {
			walk.known[i] = true;
			walk.value[i] = 0x1000;
		}
		count += unwind_file_step(file, at, &walk) == 0;
	}
	unwind_file_free(file);
	return count;
}

static void broken_files(void **state)
{
	size_t size, frames;
	uint64_t address;
	unsigned char *bytes = file_of((void *)zlibVersion, &size, &frames, &address), *broken = malloc(size);
	int whole = steps(bytes, size, address), same = 0, rounds = 3000;
	uint32_t seed = 1;

	assert_true(whole > 0);
	assert_true(frames > 0);
	for (int round = 0; round < rounds; round++) {
		/* In turn: headers, the index and the frames behind it, anywhere. */
		size_t from = round % 3 == 1 ? frames : 0;
		size_t span = round % 3 == 0 ? 1024 : round % 3 == 1 ? (size - frames < 16384 ? size - frames : 16384) : size;

		memcpy(broken, bytes, size);
		for (int i = 0; i < 1 + round % 64; i++)
			broken[from + next_random(&seed) % span] = (unsigned char)next_random(&seed);
		same += steps(broken, size, address) == whole;
	}
	assert_true(same > 0 && same < rounds);
	for (size_t length = 0; length < size; length += length < 128 ? 1 : 4093)
		steps(bytes, length, address);
	assert_int_equal(steps("#!/bin/sh\n", 10, address), -1);
	assert_int_equal(steps(bytes, 0, address), -1);
	free(broken);
	free(bytes);
}

#endif

/* ---- the table ----------------------------------------------------------------------------------- */

static void keep(struct probe_stacks *stacks, uint32_t target, uint32_t tid, uint64_t time_ns)
{
	static struct event_stack event;

	event.header.tid = tid;
	event.header.time_ns = time_ns;
	event.header.flags = 16;
	memset(event.stack, (int)tid, sizeof(event.stack));
	probe_stacks_keep(stacks, target, &event);
}

static void stacks_wait_for_their_target(void **state)
{
	struct probe_stacks stacks = {0};
	struct thread_id any = {0}, seven = {.tid = 7};
	struct stack_copy taken = {0};

	assert_false(probe_stacks_take(&stacks, 1, any, &taken));
	keep(&stacks, 1, 7, 100);
	keep(&stacks, 2, 7, 200);
	keep(&stacks, 1, 8, 300);
	keep(&stacks, 1, 7, 400);
	assert_true(probe_stacks_take(&stacks, 1, seven, &taken)); /* its newest */
	assert_int_equal(taken.time_ns, 400);
	assert_int_equal(taken.size, 16);
	assert_int_equal(taken.bytes[15], 7);
	assert_true(probe_stacks_take(&stacks, 1, any, &taken)); /* the oldest */
	assert_int_equal(taken.time_ns, 100);
	assert_false(probe_stacks_take(&stacks, 1, seven, &taken));
	assert_true(probe_stacks_take(&stacks, 1, any, &taken));
	assert_int_equal(taken.who.tid, 8);
	assert_false(probe_stacks_take(&stacks, 1, any, &taken));
	for (uint32_t i = 1; i <= 3 * PROBE_STACKS_MAX; i++)
		keep(&stacks, 3, i, i);
	assert_int_equal(stacks.count, PROBE_STACKS_MAX);
	assert_true(probe_stacks_take(&stacks, 3, any, &taken));
	assert_int_equal(taken.who.tid, 2 * PROBE_STACKS_MAX + 1);
	probe_stacks_clear(&stacks);
}

/* Of a thread's two calls in a row each has its own; no other call's record is taken for one that was lost. */
static void a_stack_goes_with_the_record_of_its_call(void **state)
{
	static struct event_stack event = {.header = {.tid = 7, .time_ns = 1000}, .grown_start = 0x5000, .grown_length = 0x3000};
	struct fact fact = {.kind = FACT_RANGE_PROTECTED, .target = 1, .time_ns = 1001,
			    .range = {.who = {.tid = 7}, .start = 0x4000, .length = 0x4000}};
	struct probe_stacks stacks = {0};
	struct stack_copy taken;
	struct fact other;

	assert_false(probe_stacks_take_of(&stacks, &fact, false, &taken));
	probe_stacks_keep(&stacks, 1, &event);
	event.grown_start = 0x9000;
	event.is_python = 1;
	event.header.time_ns = 1002;
	probe_stacks_keep(&stacks, 1, &event);
	for (int i = 0; i < 6; i++) {
		other = fact;
		other.target += i == 0;
		other.range.who.tid += i == 1;
		other.range.start += i == 2 ? 0x2000 : 0; /* begins behind it */
		other.range.length = i == 3 ? 0x1000 : fact.range.length; /* ends before it */
		other.time_ns = i == 4 ? 999 : i == 5 ? 1002 + PROBE_STACKS_CALL_NS : fact.time_ns;
		assert_false(probe_stacks_take_of(&stacks, &other, false, &taken));
	}
	other = fact;
	other.kind = FACT_RANGE_FREED;
	assert_false(probe_stacks_take_of(&stacks, &other, false, &taken));
	assert_true(probe_stacks_take_of(&stacks, &fact, false, &taken));
	assert_int_equal(taken.grown_start, 0x5000);
	assert_false(taken.is_python);
	assert_false(probe_stacks_take_of(&stacks, &fact, false, &taken));
	fact.range.start = 0x9000;
	fact.time_ns = 1003;
	assert_true(probe_stacks_take_of(&stacks, &fact, false, &taken));
	assert_int_equal(taken.grown_start, 0x9000);
	assert_true(taken.is_python);
	assert_int_equal(stacks.count, 0);
	probe_stacks_clear(&stacks);
}

static void stacks_that_contradict_themselves(void **state)
{
	static struct event_stack event = {.header.tid = 7};
	struct probe_stacks stacks = {0};

	event.header.flags = EVENT_STACK_BYTES + 1;
	probe_stacks_keep(&stacks, 1, &event);
	event.header.flags = 8;
	event.header.tid = 0;
	probe_stacks_keep(&stacks, 1, &event);
	assert_int_equal(stacks.count, 0);
	probe_stacks_clear(&stacks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
		cmocka_unit_test_setup_teardown(the_caller_of_a_library, begin, end),
		cmocka_unit_test_setup_teardown(a_stack_that_ends_too_soon, begin, end),
		cmocka_unit_test_setup_teardown(where_nobody_can_say, begin, end),
		cmocka_unit_test_setup_teardown(every_frame_of_a_thread, begin, end),
		cmocka_unit_test_setup_teardown(broken_stacks, begin, end),
		cmocka_unit_test(broken_files),
#endif
		cmocka_unit_test(stacks_wait_for_their_target),
		cmocka_unit_test(a_stack_goes_with_the_record_of_its_call),
		cmocka_unit_test(stacks_that_contradict_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
