/* SPDX-License-Identifier: GPL-2.0-only */
/* A snapshot as readable text: `dump`, `top` without a terminal, and the summary on leaving `top`. */
#ifndef POOLSCOPE_VIEW_TEXT_H
#define POOLSCOPE_VIEW_TEXT_H

#include <stdio.h>

#include "../model/snapshot.h"

/* Everything about every target: figures, words, all pools, the largest threads. In UTF-8 when the locale
 * writes it, else ASCII. -errno. */
int text_render(const struct snapshot *snapshot, unsigned int columns, FILE *out);
/* What was seen, in a few lines: how each target ended, its growth, limits that were over. */
int text_render_summary(const struct snapshot *snapshot, FILE *out);

#endif
