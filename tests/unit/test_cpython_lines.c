/* SPDX-License-Identifier: GPL-2.0-only */
/* Line tables of CPython: one function as four versions compiled it, with the lines that each of them tells
 * (dis.findlinestarts, co_lines), and tables that lie. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "source/cpython_lines.h"

struct run { /* from this instruction on, this line; 0: none */
	uint32_t offset, line;
};

/* clang-format off: printed by the interpreters */
static const unsigned char table_3_7[] = {
	0, 1, 4, 1, 2, 1, 10, 1, 14, 1, 4, 1, 2, 1, 2, 1, 8, 2, 2, 1, 18, 1, 14, 1, 10, 127, 0, 74, 4, 1,
	6, 2, 6, 1, 28, 2, 2, 1,
};
static const struct run runs_3_7[] = {
	{0, 3}, {4, 4}, {6, 5}, {16, 6}, {30, 7}, {34, 8}, {36, 9}, {38, 10}, {46, 12}, {48, 13},
	{66, 14}, {80, 15}, {90, 216}, {94, 217}, {100, 219}, {106, 220}, {134, 222}, {136, 223},
};

static const unsigned char table_3_10[] = {
	4, 1, 2, 1, 6, 1, 4, 254, 12, 3, 4, 1, 2, 1, 2, 1, 2, 1, 2, 255, 4, 255, 2, 4, 18, 1, 12, 1, 4, 1,
	2, 255, 0, 127, 4, 75, 6, 1, 6, 2, 12, 1, 8, 254, 28, 255, 2, 5, 18, 1, 4, 255,
};
static const struct run runs_3_10[] = {
	{0, 3}, {4, 4}, {6, 5}, {12, 3}, {16, 6}, {28, 7}, {32, 8}, {34, 9}, {36, 10}, {38, 9}, {40, 8},
	{44, 12}, {46, 13}, {64, 14}, {76, 15}, {80, 14}, {82, 216}, {86, 217}, {92, 219}, {98, 220},
	{110, 218}, {118, 217}, {146, 222}, {148, 223}, {166, 222},
};

static const unsigned char table_3_11[] = {
	128, 0, 221, 8, 12, 136, 81, 216, 13, 14, 216, 13, 14, 144, 17, 137, 85, 241, 5, 2, 9, 20, 244, 0,
	2, 9, 20, 128, 65, 245, 6, 0, 14, 19, 144, 50, 137, 89, 140, 89, 240, 0, 9, 5, 17, 240, 0, 9, 5,
	17, 136, 1, 216, 11, 12, 240, 0, 4, 9, 14, 216, 12, 13, 216, 16, 17, 216, 18, 19, 241, 3, 1, 17,
	20, 241, 3, 3, 13, 14, 136, 65, 240, 8, 3, 9, 17, 216, 16, 30, 144, 14, 152, 65, 144, 14, 145, 14,
	148, 14, 136, 65, 136, 65, 248, 221, 15, 25, 240, 0, 1, 9, 17, 240, 0, 1, 9, 17, 240, 0, 1, 9, 17,
	216, 12, 16, 136, 68, 240, 3, 1, 9, 17, 248, 248, 248, 240, 84, 6, 0, 9, 10, 128, 65, 216, 9, 10,
	240, 0, 4, 5, 10, 136, 97, 229, 15, 16, 144, 17, 137, 116, 140, 116, 216, 15, 16, 136, 113, 144,
	17, 144, 65, 152, 17, 136, 124, 137, 124, 140, 124, 240, 5, 3, 13, 10, 240, 0, 3, 13, 10, 136, 1,
	240, 3, 4, 5, 10, 240, 0, 4, 5, 10, 240, 0, 4, 5, 10, 241, 0, 4, 5, 10, 244, 0, 4, 5, 10, 240, 0,
	4, 5, 10, 240, 0, 4, 5, 10, 240, 0, 4, 5, 10, 240, 0, 4, 5, 10, 240, 0, 4, 5, 10, 240, 0, 4, 5,
	10, 248, 248, 248, 240, 0, 4, 5, 10, 240, 0, 4, 5, 10, 240, 0, 4, 5, 10, 240, 0, 4, 5, 10, 240,
	10, 0, 13, 14, 216, 12, 13, 143, 67, 138, 67, 144, 1, 144, 49, 144, 97, 240, 0, 0, 26, 98, 2, 240,
	0, 0, 101, 2, 102, 2, 241, 0, 0, 26, 102, 2, 241, 0, 0, 13, 103, 2, 244, 0, 0, 13, 103, 2, 241, 3,
	1, 13, 103, 2, 240, 0, 1, 5, 104, 2,
};
static const struct run runs_3_11[] = {
	{0, 2}, {2, 3}, {16, 4}, {18, 5}, {26, 3}, {42, 6}, {76, 7}, {80, 8}, {82, 9}, {84, 10}, {86, 9},
	{90, 8}, {96, 12}, {98, 13}, {124, 0}, {126, 14}, {144, 15}, {148, 14}, {150, 0}, {156, 216},
	{160, 217}, {166, 219}, {194, 220}, {220, 218}, {226, 217}, {258, 0}, {264, 217}, {272, 222},
	{274, 223}, {326, 222},
};

static const unsigned char table_3_13[] = {
	128, 0, 220, 8, 12, 136, 81, 216, 13, 14, 216, 13, 14, 137, 85, 243, 5, 2, 9, 20, 128, 65, 244, 6,
	0, 14, 19, 144, 50, 142, 89, 136, 1, 222, 11, 12, 216, 12, 13, 216, 16, 17, 216, 18, 19, 241, 3,
	1, 17, 20, 241, 3, 3, 13, 14, 136, 65, 240, 8, 3, 9, 17, 217, 28, 29, 147, 14, 153, 65, 144, 113,
	146, 17, 153, 65, 136, 65, 144, 14, 137, 65, 241, 15, 0, 14, 23, 240, 100, 6, 0, 9, 10, 128, 65,
	217, 9, 10, 136, 97, 228, 15, 16, 144, 17, 139, 116, 217, 15, 16, 144, 17, 152, 17, 137, 124, 241,
	5, 3, 13, 10, 136, 1, 247, 3, 0, 10, 11, 240, 10, 0, 13, 14, 216, 12, 13, 143, 67, 137, 67, 144,
	1, 144, 49, 144, 97, 240, 0, 0, 26, 98, 2, 240, 0, 0, 101, 2, 102, 2, 241, 0, 0, 26, 102, 2, 243,
	0, 0, 13, 103, 2, 241, 3, 1, 13, 103, 2, 240, 0, 1, 5, 104, 2, 249, 242, 99, 6, 0, 17, 31, 248,
	220, 15, 25, 243, 0, 1, 9, 17, 218, 12, 16, 240, 3, 1, 9, 17, 250, 247, 86, 6, 0, 10, 11, 141, 17,
	250,
};
static const struct run runs_3_13[] = {
	{0, 2}, {2, 3}, {14, 4}, {16, 5}, {22, 3}, {32, 6}, {60, 7}, {74, 8}, {76, 9}, {78, 10}, {80, 9},
	{84, 8}, {90, 12}, {92, 13}, {128, 6}, {132, 216}, {136, 217}, {142, 219}, {162, 220}, {174, 218},
	{180, 217}, {196, 222}, {198, 223}, {242, 222}, {248, 0}, {252, 13}, {258, 0}, {260, 14},
	{278, 15}, {284, 14}, {286, 0}, {292, 217}, {320, 0},
};

static const struct {
	uint32_t minor, first_line, end;
	const unsigned char *table;
	size_t length;
	const struct run *runs;
	size_t n_runs;
} cases[] = {
	{7, 2, 158, table_3_7, sizeof(table_3_7), runs_3_7, ARRAY_SIZE(runs_3_7)},
	{10, 2, 170, table_3_10, sizeof(table_3_10), runs_3_10, ARRAY_SIZE(runs_3_10)},
	{11, 2, 332, table_3_11, sizeof(table_3_11), runs_3_11, ARRAY_SIZE(runs_3_11)},
	{13, 2, 326, table_3_13, sizeof(table_3_13), runs_3_13, ARRAY_SIZE(runs_3_13)},
};
/* clang-format on */

static void every_instruction_has_its_line(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t run = 0;

		for (uint32_t offset = 0; offset < cases[i].end; offset += 2) {
			if (run + 1 < cases[i].n_runs && cases[i].runs[run + 1].offset <= offset)
				run++;
			assert_int_equal(cpython_line(cases[i].minor, cases[i].table, cases[i].length,
						      cases[i].first_line, offset), cases[i].runs[run].line);
		}
	}
}

static void beyond_the_table_nothing_is_said(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].minor >= 10)
			assert_int_equal(cpython_line(cases[i].minor, cases[i].table, cases[i].length,
						      cases[i].first_line, 1U << 20), 0);
	}
	for (uint32_t minor = 7; minor < 15; minor++)
		assert_int_equal(cpython_line(minor, (const unsigned char *)"", 0, 5, 0), minor < 10 ? 5 : 0);
}

/* Bytes that no compiler made: an answer, whatever it is, and no step beyond the table (the sanitizers watch). */
static void hostile_tables(void **state)
{
	srand(4711);
	for (unsigned int round = 0; round < 200000; round++) {
		size_t length = (size_t)rand() % 64;
		unsigned char *table = malloc(length + 1);

		assert_non_null(table);
		for (size_t i = 0; i < length; i++)
			table[i] = (unsigned char)(rand() % 4 ? rand() : 0xff);
		unsigned char *exact = realloc(table, length ? length : 1);
		uint32_t line = cpython_line(7 + round % 8, exact, length, (uint32_t)rand() * 2U, (uint32_t)rand() % 300);

		assert_true(line < 100000000);
		free(exact);
	}
}

static void code_of_the_first_line_alone(void **state)
{
	static const unsigned char empty[1];

	assert_int_equal(cpython_line(7, empty, 0, 42, 0), 42);
	assert_int_equal(cpython_line(9, empty, 0, 42, 12), 42);
	/* Later ones always tell of each instruction. */
	assert_int_equal(cpython_line(10, empty, 0, 42, 0), 0);
	assert_int_equal(cpython_line(11, empty, 0, 42, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(code_of_the_first_line_alone),
		cmocka_unit_test(every_instruction_has_its_line),
		cmocka_unit_test(beyond_the_table_nothing_is_said),
		cmocka_unit_test(hostile_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
