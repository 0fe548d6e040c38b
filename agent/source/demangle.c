/* SPDX-License-Identifier: GPL-2.0-only */
/* Has libiberty say what C++'s symbols mean, as much of it as fits: a name of a hundred letters can stand for one of
 * gigabytes. It must not know where names come from. */
#include "demangle.h"

#include <ctype.h>
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <string.h>

/* Names of templates are long; beyond this none is a pool's or a function's that a person would read. */
#define MANGLED_MAX 1024
/* Rust's older symbols look like C++'s and end with a hash: `17h`, 16 hexadecimal digits, `E`. */
#define RUST_HASH "17h"
#define RUST_HASH_DIGITS 16

struct output {
	jmp_buf full; /* nothing else ends the printing */
	char *text;
	size_t length, size;
};

static void take(const char *part, size_t length, void *context)
{
	struct output *output = context;
	size_t room = output->size - 1 - output->length;

	memcpy(output->text + output->length, part, length < room ? length : room);
	output->length += length < room ? length : room;
	if (length > room)
		longjmp(output->full, 1);
}

enum fit { NO_NAME, CUT, WHOLE };

/* libiberty keeps what it works on upon the stack (the variant with a callback), so there is nothing to free when it is
 * left half-way. */
static enum fit print(const char *mangled, int options, struct output *output)
{
	if (setjmp(output->full))
		return CUT;
	return cplus_demangle_v3_callback(mangled, options, take, output) && output->length ? WHOLE : NO_NAME;
}

static bool demangle(const char *mangled, int options, enum fit least, char *ret_name, size_t size)
{
	char name[MANGLED_MAX] = "";
	struct output output = {.text = name, .size = size < sizeof(name) ? size : sizeof(name)};

	if (strlen(mangled) > MANGLED_MAX || print(mangled, options, &output) < least)
		return false;
	memcpy(ret_name, name, output.length);
	ret_name[output.length] = '\0';
	return true;
}

static bool is_rust(const char *symbol, size_t length)
{
	const char *hash = symbol + length - RUST_HASH_DIGITS - 1;

	if (length < sizeof(RUST_HASH) + RUST_HASH_DIGITS || symbol[length - 1] != 'E' ||
	    strncmp(hash - strlen(RUST_HASH), RUST_HASH, strlen(RUST_HASH)) != 0)
		return false;
	for (int i = 0; i < RUST_HASH_DIGITS; i++)
		if (!isxdigit((unsigned char)hash[i]))
			return false;
	return true;
}

bool demangle_symbol(const char *symbol, char *ret_name, size_t size)
{
	/* The compiler's suffix (".constprop.0") belongs to no name. In Rust's a pair of points is a part of it. */
	size_t length = strstr(symbol, "..") ? 0 : strcspn(symbol, ".");
	char mangled[MANGLED_MAX + 1];

	if (strncmp(symbol, "_Z", 2) != 0 || length < 3 || length > MANGLED_MAX)
		return false;
	memcpy(mangled, symbol, length);
	mangled[length] = '\0';
	if (is_rust(symbol, length)) {
		if (strchr(mangled, '$')) /* what Rust has no letters for */
			return false;
		/* Each build has another hash. */
		strcpy(mangled + length - 1 - RUST_HASH_DIGITS - strlen(RUST_HASH), "E");
	}
	return demangle(mangled, DMGL_NO_OPTS, CUT, ret_name, size);
}

bool demangle_type(const char *type, char *ret_name, size_t size)
{
	return demangle(type, DMGL_TYPES | DMGL_PARAMS, WHOLE, ret_name, size);
}
