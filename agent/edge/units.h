/* SPDX-License-Identifier: GPL-2.0-only */
/* Figures as people write them: counts, bytes, percent, durations, addresses; and back into words.
 * It must not know which option or config key they stand in. */
#ifndef POOLSCOPE_EDGE_UNITS_H
#define POOLSCOPE_EDGE_UNITS_H

#include "../base.h"

/* All parsers take the whole string or nothing. 0; -EINVAL: not such a figure; -ERANGE: too large. */
int count_parse(const char *text, uint64_t *ret_count);    /* 40 */
int bytes_parse(const char *text, uint64_t *ret_bytes);    /* 512, 1.5GiB, 80MiB, 100kB: a whole number of bytes */
int percent_parse(const char *text, uint64_t *ret_percent); /* "90%", "12.5%" -> 9000, 1250; up to 100 % */
int duration_parse(const char *text, uint64_t *ret_ns);    /* 500ms, 30s, 5m, 2h, 1d */

/* Looks like HOST:PORT, [IPV6]:PORT or :PORT (every address)? Names are not looked up. 0 or -EINVAL. */
int address_check(const char *text);

/* What a string that a parser refused lacks, for an error message: "6G" -> "6GiB"; NULL: no idea. */
const char *bytes_hint(const char *text, char *buffer, size_t size);

/* The shortest exact spelling that the parsers take: "80MiB", "2m", "500ms", "12.5%". Returns buffer. */
const char *bytes_format(uint64_t bytes, char *buffer, size_t size);
const char *duration_format(uint64_t ns, char *buffer, size_t size);
const char *percent_format(uint64_t percent, char *buffer, size_t size);

/* The word nearest to a misspelt one, or NULL if none is near. Words: NULL-terminated. */
const char *word_nearest(const char *word, const char *const *words);

#endif
