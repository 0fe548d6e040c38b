/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes text out of a target's raw bytes: always valid UTF-8, no two names alike.
 * It must not know the format (JSON, labels) that the text goes into. */
#ifndef POOLSCOPE_VIEW_UTF8_H
#define POOLSCOPE_VIEW_UTF8_H

#include "../base.h"

/* Which of the ASCII control characters (below 0x20) stay as they are. */
enum utf8_keep { UTF8_KEEP_NEWLINE, UTF8_KEEP_CONTROLS };

/* Room that n bytes may need: each can become \xNN. */
#define UTF8_TEXT_SIZE(n) (4 * (n) + 1)

/* Length of the valid UTF-8 sequence at text (shortest form, no surrogates, at most U+10FFFF), or 0;
 * size > 0 bytes may be read. */
size_t utf8_sequence(const unsigned char *text, size_t size);

/* Writes raw (NUL-terminated) to text (size bytes, NUL-terminated, cut at a whole character). What is
 * not UTF-8, DEL, C1 controls and the controls that do not stay become \xNN, a byte each. A backslash
 * that the name itself has before such a form becomes \x5c, so that distinct names stay distinct. */
void utf8_text(const char *raw, enum utf8_keep keep, char *text, size_t size);

#endif
