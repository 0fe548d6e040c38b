/* SPDX-License-Identifier: GPL-2.0-only */
/* A series of figures as one line of small bars. */
#ifndef POOLSCOPE_VIEW_SPARKLINE_H
#define POOLSCOPE_VIEW_SPARKLINE_H

#include "../base.h"

/* `width` columns into `out` (size at least 3 * width + 1): the newest figure at the right, all of the series
 * squeezed in. Without `utf8` in ASCII. A series that moves by less than 3 % is a flat line at the bottom;
 * unknown figures are blanks. Returns `out`. */
char *sparkline_draw(const uint64_t *history, size_t n_history, bool utf8, size_t width, char *out, size_t size);

#endif
