/* SPDX-License-Identifier: GPL-2.0-only */
/* How much a page fault brings, in folders that look like the kernel's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "source/fault_bytes.h"

#define MIB (1ULL << 20)
#define USUAL (2 * MIB)

static char root[] = "/tmp/poolscope-faults-XXXXXX";

/* Of a size in KiB, or of all; NULL: the kernel has no such size. */
static void put(unsigned int size, const char *text)
{
	char path[160];
	int length = snprintf(path, sizeof(path), "%s", root);
	FILE *file;

	for (const char *rest = "sys\0kernel\0mm\0transparent_hugepage\0"; *rest; rest += strlen(rest) + 1) {
		length += snprintf(path + length, sizeof(path) - (size_t)length, "/%s", rest);
		mkdir(path, 0700);
	}
	if (size) {
		length += snprintf(path + length, sizeof(path) - (size_t)length, "/hugepages-%ukB", size);
		mkdir(path, 0700);
	}
	snprintf(path + length, sizeof(path) - (size_t)length, "/enabled");
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	return remove(path);
}

static int remove_root(void **state)
{
	return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int make_root(void **state)
{
	strcpy(root + strlen(root) - 6, "XXXXXX");
	assert_non_null(mkdtemp(root));
	return 0;
}

static void a_page_where_there_are_no_sizes(void **state)
{
	put(0, "[always] madvise never\n"); /* before 6.8 */
	assert_int_equal(fault_bytes(root, USUAL), 4096);
	put(16, "always inherit madvise [never]\n");
	put(2048, "[always] inherit madvise never\n"); /* whose pages are known by what they are */
	assert_int_equal(fault_bytes(root, USUAL), 4096);
}

static void the_largest_size_that_is_on(void **state)
{
	put(0, "always madvise [never]\n");
	put(16, "[always] inherit madvise never\n");
	put(32, "always inherit madvise [never]\n");
	put(64, "always inherit [madvise] never\n");
	put(128, "always [inherit] madvise never\n");
	put(2048, "[always] inherit madvise never\n");
	assert_int_equal(fault_bytes(root, USUAL), 64 << 10);
	put(0, "always [madvise] never\n");
	assert_int_equal(fault_bytes(root, USUAL), 128 << 10);
}

static void as_much_as_there_may_be_where_it_is_not_known(void **state)
{
	char path[160];

	assert_int_equal(fault_bytes(root, USUAL), USUAL); /* no /sys */
	snprintf(path, sizeof(path), "%s/sys", root);
	mkdir(path, 0700);
	strcat(path, "/kernel");
	mkdir(path, 0700);
	strcat(path, "/mm");
	mkdir(path, 0700);
	assert_int_equal(fault_bytes(root, USUAL), 4096); /* a kernel without huge pages */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_page_where_there_are_no_sizes, make_root, remove_root),
		cmocka_unit_test_setup_teardown(the_largest_size_that_is_on, make_root, remove_root),
		cmocka_unit_test_setup_teardown(as_much_as_there_may_be_where_it_is_not_known, make_root, remove_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
