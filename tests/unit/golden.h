/* SPDX-License-Identifier: GPL-2.0-only */
/* Compares what was made with a file of tests/golden, or writes that anew. */
#ifndef POOLSCOPE_TESTS_GOLDEN_H
#define POOLSCOPE_TESTS_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_all(FILE *file)
{
	size_t size = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	for (int c; (c = fgetc(file)) != EOF;)
		fputc(c, out);
	fclose(out);
	fclose(file);
	return text;
}

static void compare_golden(const char *name, const char *actual)
{
	char path[128];
	FILE *file;
	char *expected;

	snprintf(path, sizeof(path), "tests/golden/%s.txt", name);
	if (getenv("UPDATE_GOLDEN")) {
		file = fopen(path, "w");
		assert_non_null(file);
		fputs(actual, file);
		fclose(file);
	}
	file = fopen(path, "r");
	assert_non_null(file);
	expected = read_all(file);
	assert_string_equal(actual, expected);
	free(expected);
}

#endif
