/* SPDX-License-Identifier: GPL-2.0-only */
/* Text for a person on a terminal, broken between words. It must not know what it says. */
#ifndef POOLSCOPE_EDGE_WRAPPED_H
#define POOLSCOPE_EDGE_WRAPPED_H

#include <stdio.h>

/* One line, and further ones below it that begin `indent` columns in, where `out` is a terminal that is too narrow for it.
 * Elsewhere a line stays one: it may be searched. A word that is longer than a line is not broken. */
void wrapped_print(FILE *out, size_t indent, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same for a width that is given. */
void wrapped_put(FILE *out, size_t columns, size_t indent, const char *text);

#endif
