/* SPDX-License-Identifier: GPL-2.0-only */
/* The three forms of line tables: co_lnotab (to 3.9), co_linetable of 3.10, the location table from 3.11 on.
 * It must not know where the bytes come from. */
#include "cpython_lines.h"

/* No source file is longer; what comes out larger is a lie. */
#define LINE_MAX_SANE 100000000

static uint32_t line_checked(int64_t line)
{
	return line > 0 && line < LINE_MAX_SANE ? (uint32_t)line : 0;
}

/* Pairs: bytes of code, then lines (signed). */
static uint32_t lnotab_line(const unsigned char *table, size_t length, int64_t line, uint32_t offset)
{
	uint64_t at = 0;

	for (size_t i = 0; i + 1 < length; i += 2) {
		at += table[i];
		if (at > offset)
			break;
		line += (int8_t)table[i + 1];
	}
	return line_checked(line);
}

/* Pairs: bytes of code to which a line, changed by the second, belongs; -128: to none. */
static uint32_t linetable_line(const unsigned char *table, size_t length, int64_t line, uint32_t offset)
{
	uint64_t end = 0;

	for (size_t i = 0; i + 1 < length; i += 2) {
		int8_t change = (int8_t)table[i + 1];

		end += table[i];
		if (change != -128)
			line += change;
		if (end > offset)
			return change == -128 ? 0 : line_checked(line);
	}
	return 0;
}

struct cursor {
	const unsigned char *table;
	size_t at, length;
};

/* Six bits a byte, the lowest first; bit 6: more follow. */
static uint32_t read_number(struct cursor *cursor)
{
	uint32_t number = 0;

	for (unsigned int shift = 0; cursor->at < cursor->length; shift += 6) {
		unsigned char byte = cursor->table[cursor->at++];

		if (shift < 32)
			number |= (uint32_t)(byte & 0x3f) << shift;
		if (!(byte & 0x40))
			break;
	}
	return number;
}

static int64_t read_signed(struct cursor *cursor)
{
	uint32_t number = read_number(cursor);

	return number & 1 ? -(int64_t)(number >> 1) : (int64_t)(number >> 1);
}

enum location { LOCATION_ONE_LINE = 10, LOCATION_NO_COLUMNS = 13, LOCATION_LONG = 14, LOCATION_NONE = 15 };

/* Entries: a head (bit 7, four bits of form, three of length in code units less one), then what the form
 * says. Columns are passed over: the next head is told by its bit 7. */
static uint32_t location_line(const unsigned char *table, size_t length, int64_t line, uint32_t offset)
{
	struct cursor cursor = {table, 0, length};
	uint64_t end = 0;

	while (cursor.at < length) {
		unsigned char head = table[cursor.at++];
		unsigned int form = head >> 3 & 15;

		if (!(head & 0x80))
			return 0;
		if (form == LOCATION_LONG || form == LOCATION_NO_COLUMNS)
			line += read_signed(&cursor);
		else if (form >= LOCATION_ONE_LINE && form < LOCATION_NO_COLUMNS)
			line += form - LOCATION_ONE_LINE;
		end += ((head & 7U) + 1) * 2;
		if (end > offset)
			return form == LOCATION_NONE ? 0 : line_checked(line);
		while (cursor.at < length && !(table[cursor.at] & 0x80))
			cursor.at++;
	}
	return 0;
}

uint32_t cpython_line(uint32_t minor, const unsigned char *table, size_t length, uint32_t first_line,
		      uint32_t offset)
{
	if (minor >= 11)
		return location_line(table, length, first_line, offset);
	return minor == 10 ? linetable_line(table, length, first_line, offset)
			   : lnotab_line(table, length, first_line, offset);
}
