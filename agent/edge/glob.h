/* SPDX-License-Identifier: GPL-2.0-only */
/* What a glob can match, told without a text to match it with. It must not know what globs are about. */
#ifndef POOLSCOPE_EDGE_GLOB_H
#define POOLSCOPE_EDGE_GLOB_H

#include <stddef.h>

/* The least bytes that a text must have for fnmatch(3) to match it: a `*` may be nothing, a [class] is one character. */
size_t glob_least_length(const char *glob);

#endif
