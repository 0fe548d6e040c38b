/* SPDX-License-Identifier: GPL-2.0-only */
/* The sentences of a frame that has room for all of them. */
#ifndef POOLSCOPE_TESTS_FIXTURE_WORDS_H
#define POOLSCOPE_TESTS_FIXTURE_WORDS_H

#include "fixture_frame.h"

static inline char *words_of(struct fixture *fixture)
{
	struct dashboard_state ui;

	dashboard_init(&ui, true, 1000);
	dashboard_resize(&ui, 60, 200);
	return frame(&fixture->snapshot, &ui);
}

static inline void assert_says(struct fixture *fixture, const char *words)
{
	char *text = words_of(fixture);

	if (!strstr(text, words))
		fprintf(stderr, "not found: %s\n%s", words, text);
	assert_non_null(strstr(text, words));
	free(text);
}

#endif
