/* SPDX-License-Identifier: GPL-2.0-only */
/* Hostile bytes as printable text: names and paths of a target, before they may reach a terminal or a file.
 * It must not know what the text means or where on the screen it goes. */
#include <ctype.h>
#include <langinfo.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "escape.h"
#include "utf8.h"

int utf8_decode(const char *text, size_t size, char32_t *ret_character)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t length;
	char32_t character;

	if (!size || !bytes[0])
		return 0;
	length = utf8_sequence(bytes, size);
	if (!length)
		return -1;
	character = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++)
		character = character << 6 | (bytes[i] & 0x3f);
	*ret_character = character;
	return (int)length;
}

int utf8_put(char32_t character, char out[4])
{
	static const unsigned char leads[] = { 0x00, 0xc0, 0xe0, 0xf0 };
	int more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;

	for (int i = more; i > 0; i--, character >>= 6)
		out[i] = (char)(0x80 | (character & 0x3f));
	out[0] = (char)(leads[more] | character);
	return more + 1;
}

int character_width(char32_t character)
{
	int width;

	if (character < 0x80)
		return character >= 0x20 && character != 0x7f;
	/* Variation selectors and the like have width 0, unassigned and control characters -1. */
	width = wcwidth((wchar_t)character);
	return width == 1 || width == 2 ? width : 0;
}

size_t text_width(const char *text)
{
	size_t width = 0;
	char32_t character;

	for (int length; (length = utf8_decode(text, SIZE_MAX, &character)); text += length > 0 ? length : 1)
		width += length > 0 ? (size_t)character_width(character) : 1;
	return width;
}

/* A backslash that would look like one of the forms below is written as such itself, so that names which
 * differ still do. */
static bool looks_escaped(const char *at, size_t size)
{
	return size > 3 && at[0] == '\\' && at[1] == 'x' && isxdigit((unsigned char)at[2]) &&
	       isxdigit((unsigned char)at[3]);
}

char *escape_text(const char *raw, size_t raw_size, bool utf8, char *out, size_t out_size)
{
	size_t used = 0;

	raw_size = strnlen(raw, raw_size);
	for (size_t at = 0; at < raw_size;) {
		char32_t character = 0;
		int length = utf8_decode(raw + at, raw_size - at, &character);
		/* Blank at an end nobody sees: of a name of blanks alone there would be nothing. */
		bool seen = raw[at] != ' ' || (at && at + 1 < raw_size);
		bool plain = length > 0 && (utf8 || character < 0x80) && character_width(character) && seen &&
			     !looks_escaped(raw + at, raw_size - at);
		/* All bytes of a character in one go: half of one would not be told from an invalid byte. */
		size_t taken = length > 0 ? (size_t)length : 1, written = plain ? taken : 4 * taken;

		if (used + written >= out_size)
			break;
		if (plain)
			memcpy(out + used, raw + at, taken);
		else
			for (size_t i = 0; i < taken; i++)
				snprintf(out + used + 4 * i, 5, "\\x%02x", (unsigned char)raw[at + i]);
		used += written;
		at += taken;
	}
	if (out_size)
		out[used] = '\0';
	return out;
}

bool locale_is_utf8(void)
{
	return !strcmp(nl_langinfo(CODESET), "UTF-8");
}
