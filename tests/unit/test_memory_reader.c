/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading memory in pieces, one by one or in batches: what cannot be read stops nothing. And whose pages are whose. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "source/memory_reader.h"

#define PAGES 200
#define PAGE 4096UL

static unsigned char *pages_new(size_t count)
{
	unsigned char *pages = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(pages != MAP_FAILED);
	for (size_t i = 0; i < count; i++)
		pages[i * PAGE] = (unsigned char)i;
	return pages;
}

static void pieces_with_holes(void **state)
{
	struct memory_piece pieces[PAGES];
	unsigned char bytes[PAGES][24], *memory = pages_new(PAGES);
	struct memory_reader reader;

	for (size_t i = 7; i < PAGES; i += 31) /* a hole after a whole batch, one at a batch's begin, two in one */
		munmap(memory + i * PAGE, PAGE);
	munmap(memory + 64 * PAGE, PAGE);
	assert_int_equal(memory_reader_open(&reader, (uint32_t)getpid(), NULL), 0);
	for (int batched = 0; batched < 3; batched++) {
		memset(bytes, 0xee, sizeof(bytes));
		for (size_t i = 0; i < PAGES; i++)
			pieces[i] = (struct memory_piece){.address = (uintptr_t)(memory + i * PAGE) - (i % 5 == 4 ? 8 : 0),
							  .buffer = bytes[i], .size = sizeof(bytes[i]),
							  .is_own = batched == 1 || (batched == 2 && i % 3)};
		assert_int_equal(memory_read_pieces(&reader, pieces, PAGES), 0);
		for (size_t i = 0; i < PAGES; i++) {
			bool before = i % 5 == 4, hole = i % 31 == 7 || i == 64, hole_before = (i - 1) % 31 == 7 || i == 65;

			assert_int_equal(pieces[i].read, !hole && !(before && hole_before));
			if (pieces[i].read)
				assert_int_equal(bytes[i][before ? 8 : 0], (unsigned char)i);
		}
	}
	memory_reader_close(&reader);
	munmap(memory, PAGES * PAGE);
}

static void who_is_gone(void **state)
{
	struct memory_reader reader;
	unsigned char byte;
	struct memory_piece piece = {.address = (uintptr_t)&byte, .buffer = &byte, .size = 1, .is_own = true};
	pid_t child = fork();

	if (!child) {
		pause();
		_exit(0);
	}
	assert_int_equal(memory_reader_open(&reader, (uint32_t)child, NULL), 0);
	assert_int_equal(memory_read_pieces(&reader, &piece, 1), 0);
	assert_true(piece.read);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(memory_read_pieces(&reader, &piece, 1), -ESRCH);
	memory_reader_close(&reader);
}

static void what_a_child_shares(void **state)
{
	unsigned char *memory = pages_new(1000);
	uintptr_t start = (uintptr_t)memory, end = start + 1000 * PAGE;
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	pid_t child;

	assert_true(pagemap >= 0);
	assert_true(pages_are_own(pagemap, start, end));
	child = fork();
	if (!child) {
		pause();
		_exit(0);
	}
	assert_false(pages_are_own(pagemap, start, end));
	assert_false(pages_are_own(pagemap, end - PAGE, end));
	for (size_t i = 0; i < 999; i++)
		memory[i * PAGE]++;
	assert_true(pages_are_own(pagemap, start, end - PAGE));
	assert_false(pages_are_own(pagemap, start, end)); /* one is enough */
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_true(pages_are_own(pagemap, start, end));
	assert_false(pages_are_own(-1, start, end));
	close(pagemap);
	munmap(memory, 1000 * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_with_holes),
		cmocka_unit_test(who_is_gone),
		cmocka_unit_test(what_a_child_shares),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
