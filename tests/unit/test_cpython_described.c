/* SPDX-License-Identifier: GPL-2.0-only */
/* What a CPython of 3.13 and later says of its own offsets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/cpython_find.h"
#include "source/cpython_walk.h"

/* Each version has its own order; one that is not known is taken to have the newest one's. */
static void descriptions_by_version(void **state)
{
	const struct cpython_offsets *newest = &cpython_offsets[cpython_offsets_count - 1];

	for (uint32_t minor = 13; minor <= newest->minor + 1; minor++) {
		const struct cpython_offsets *known = cpython_offsets_of(minor) ? cpython_offsets_of(minor) : newest;
		uint64_t words[CPYTHON_DESCRIPTION_BYTES / 8];
		char name[64], wanted[64];
		struct cpython_offsets offsets;

		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			words[i] = 8 * i;
		memcpy(words, "xdebugpy", 8);
		words[1] = 0x030000f0 | minor << 16;
		words[2] = 0;
		assert_int_equal(cpython_described((const unsigned char *)words, sizeof(words), &offsets), 0);
		assert_int_equal(offsets.minor, minor);
		assert_int_equal(offsets.frame_code, 8 * known->described[DESCRIBED_FRAME_CODE]);
		assert_int_equal(offsets.code_instructions, 8 * known->described[DESCRIBED_CODE_INSTRUCTIONS]);
		assert_int_equal(offsets.tuple_items, known->tuple_items);
		words[2] = 1;
		assert_int_equal(cpython_described((const unsigned char *)words, sizeof(words), &offsets), -EOPNOTSUPP);
		cpython_unread_name((const unsigned char *)words, name, sizeof(name));
		snprintf(wanted, sizeof(wanted), "cpython 3.%u.0t (executors not read)", minor);
		assert_string_equal(name, wanted);
		words[2] = 0;
		words[known->described[DESCRIBED_THREAD_NATIVE]] = 1 << 20;
		assert_int_equal(cpython_described((const unsigned char *)words, sizeof(words), &offsets), -EOPNOTSUPP);
	}
	/* 3.14 put new words before those of the frame. */
	assert_true(cpython_offsets_of(14)->described[DESCRIBED_FRAME_CODE] >
		    cpython_offsets_of(13)->described[DESCRIBED_FRAME_CODE]);
}

static void hostile_descriptions(void **state)
{
	unsigned char bytes[512] = "xdebugpy";
	struct cpython_offsets offsets;

	srand(99);
	assert_int_equal(cpython_described(bytes, 8, &offsets), -ENOENT);
	assert_int_equal(cpython_described((const unsigned char *)"something else", 14, &offsets), -ENOENT);
	for (unsigned int round = 0; round < 20000; round++) {
		for (size_t i = 8; i < sizeof(bytes); i++)
			bytes[i] = (unsigned char)(rand() % 3 ? 0 : rand());
		bytes[11] = 3 + round % 2; /* PY_VERSION_HEX: 3.x */
		if (cpython_described(bytes, sizeof(bytes), &offsets) == 0)
			assert_true(offsets.interp_threads < 65536 && offsets.code_lines < 65536);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptions_by_version),
		cmocka_unit_test(hostile_descriptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
