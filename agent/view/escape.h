/* SPDX-License-Identifier: GPL-2.0-only */
/* Hostile bytes as printable text: names and paths of a target, before they may reach a terminal or a file.
 * It must not know what the text means or where on the screen it goes. */
#ifndef POOLSCOPE_VIEW_ESCAPE_H
#define POOLSCOPE_VIEW_ESCAPE_H

#include <uchar.h>

#include "../base.h"

/* Writes `raw` (up to its NUL, at most raw_size bytes) into `out`, always terminated, cut between characters
 * when it does not fit. Printable characters stay, when `utf8` is false only ASCII ones. Every byte of the rest
 * (control, combining and directional characters, invalid UTF-8) becomes \xNN, the form that JSON and labels
 * have too. Returns `out`. */
char *escape_text(const char *raw, size_t raw_size, bool utf8, char *out, size_t out_size);

/* The next character of valid or invalid UTF-8, at most `size` bytes long: its length, 0 at the end, or -1 when
 * the byte there begins no character. */
int utf8_decode(const char *text, size_t size, char32_t *ret_character);
/* Writes 1 to 4 bytes without NUL and returns their number. */
int utf8_put(char32_t character, char out[4]);

/* Columns that a character takes on a terminal: 1 or 2; 0 for all that must not reach one. */
int character_width(char32_t character);
/* Columns of printable text, as escape_text() writes it. */
size_t text_width(const char *text);

/* Does this process' locale write UTF-8? */
bool locale_is_utf8(void);

#endif
