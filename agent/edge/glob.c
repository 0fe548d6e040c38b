/* SPDX-License-Identifier: GPL-2.0-only */
/* What a glob can match, told without a text to match it with. It must not know what globs are about. */
#include "glob.h"

#include <stdbool.h>
#include <string.h>

/* The `]` of the class whose `[` is here, as fnmatch(3) reads it; NULL: there is none, and the `[` stands for itself. */
static const char *class_end(const char *glob)
{
	const char *at = glob + 1;

	at += *at == '!' || *at == '^';
	at += *at == ']'; /* the first is one of those that match */
	for (; *at && *at != ']'; at++) {
		bool is_named = at[0] == '[' && (at[1] == ':' || at[1] == '=' || at[1] == '.') && at[2];
		size_t length = is_named && at[1] == ':' ? strspn(at + 2, "abcdefghijklmnopqrstuvwxyz") : 1;

		if (is_named && at[length + 2] == at[1] && at[length + 3] == ']')
			at += length + 3;
		else if (at[0] == '\\' && at[1])
			at++;
	}
	return *at ? at : NULL;
}

size_t glob_least_length(const char *glob)
{
	size_t length = 0;

	for (; *glob; glob++) {
		const char *end = *glob == '[' ? class_end(glob) : NULL;

		length += *glob != '*';
		if (end)
			glob = end;
		else if (*glob == '\\' && glob[1])
			glob++;
	}
	return length;
}
