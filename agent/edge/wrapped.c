/* SPDX-License-Identifier: GPL-2.0-only */
/* Text for a person on a terminal, broken between words. It must not know what it says. */
#include "wrapped.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "terminal.h"

#define TEXT_SIZE 1024
#define ROOM_MIN 20 /* on a narrower one the terminal itself breaks lines */

/* Columns, as far as bytes tell: of UTF-8 the first of each character. */
static size_t columns_of(const char *text, size_t length)
{
	size_t columns = 0;

	for (size_t i = 0; i < length; i++)
		columns += ((unsigned char)text[i] & 0xc0) != 0x80;
	return columns;
}

void wrapped_put(FILE *out, size_t columns, size_t indent, const char *text)
{
	size_t used = 0;

	while (*text) {
		size_t gap = strspn(text, " "), word = strcspn(text + gap, " ");
		size_t wide = gap + columns_of(text + gap, word);

		if (used > indent && used + wide > columns && columns >= indent + ROOM_MIN) {
			fprintf(out, "\n%*s", (int)indent, "");
			used = indent;
			text += gap;
			continue;
		}
		fprintf(out, "%.*s", (int)(gap + word), text);
		used += wide;
		text += gap + word;
	}
	fputc('\n', out);
}

void wrapped_print(FILE *out, size_t indent, const char *format, ...)
{
	char text[TEXT_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	wrapped_put(out, isatty(fileno(out)) ? terminal_columns(out) : SIZE_MAX, indent, text);
}
