/* SPDX-License-Identifier: GPL-2.0-only */
/* Figures as short text of a fixed greatest width, as htop has them: bytes, counts, shares, times.
 * It must not know where they stand or what they measure. */
#ifndef POOLSCOPE_VIEW_FORMAT_H
#define POOLSCOPE_VIEW_FORMAT_H

#include "../base.h"

#define FORMAT_SIZE 32

/* Each fills the buffer and returns it; a figure that is not known is "n/a". A buffer on the spot:
 * format_bytes(FORMAT_BUFFER, value). */
#define FORMAT_BUFFER ((char[FORMAT_SIZE]){ 0 })

/* At most 5 columns: 0, 512B, 812K, 63.0M, 1.50G. */
char *format_bytes(char buffer[FORMAT_SIZE], uint64_t bytes);
/* At most 6: +63.0M, -812K, 0. */
char *format_growth(char buffer[FORMAT_SIZE], int64_t bytes);
/* At most 5: 43, 99999, 123k, 1.50M. */
char *format_count(char buffer[FORMAT_SIZE], uint64_t count);
/* With what is counted: 1 thread, 43 threads. A noun of at most 20 characters. */
char *format_counted(char buffer[FORMAT_SIZE], uint64_t count, const char *noun);
/* At most 5: 0.0, 99.9, 1600. */
char *format_percent(char buffer[FORMAT_SIZE], double percent);
/* At most 4: 41s, 12m, 30h, 400d. */
char *format_age(char buffer[FORMAT_SIZE], uint64_t nanoseconds);
/* In words: 0.4 s, 41 s, 41 min, 3 h 12 min, 2 d 4 h. NAN and below 0: n/a. */
char *format_duration(char buffer[FORMAT_SIZE], double seconds);
/* Local time of day, 12:03:11; with its date (11-21 12:03:11) when it is over 20 hours before `now`. */
char *format_clock(char buffer[FORMAT_SIZE], uint64_t realtime_ns, uint64_t now_realtime_ns);

#endif
