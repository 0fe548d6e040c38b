/* SPDX-License-Identifier: GPL-2.0-only */
/* Has libiberty say what C++'s and Rust's symbols mean, as much of it as fits: a name of a hundred letters can stand for
 * one of gigabytes. It must not know where names come from. */
#include "demangle.h"

#include <ctype.h>
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <string.h>

/* Names of templates are long; beyond this none is a pool's or a function's that a person would read. */
#define MANGLED_MAX 1024

/* Each of v0's back references may at most double what is printed. */
#define BACKS_MAX 12

struct output {
	jmp_buf full; /* nothing else ends the printing */
	bool is_patient; /* it comes to an end by itself */
	char *text;
	size_t length, size;
};

static void take(const char *part, size_t length, void *context)
{
	struct output *output = context;
	size_t room = output->size - 1 - output->length;

	if (!length)
		return; /* then there may be no part */
	memcpy(output->text + output->length, part, length < room ? length : room);
	output->length += length < room ? length : room;
	if (length > room && !output->is_patient)
		longjmp(output->full, 1);
}

enum fit { NO_NAME, CUT, WHOLE };
typedef int printer(const char *mangled, int options, demangle_callbackref take, void *context);

/* libiberty keeps what it works on upon the stack (the variants with a callback), so there is nothing to free when it is
 * left half-way. */
static enum fit print(printer *how, const char *mangled, int options, struct output *output)
{
	if (setjmp(output->full))
		return CUT;
	return how(mangled, options, take, output) && output->length ? WHOLE : NO_NAME;
}

static bool demangle(printer *how, const char *mangled, int options, bool is_patient, enum fit least, char *ret_name, size_t size)
{
	char name[MANGLED_MAX] = "";
	struct output output = {.is_patient = is_patient, .text = name, .size = size < sizeof(name) ? size : sizeof(name)};

	if (strlen(mangled) > MANGLED_MAX || print(how, mangled, options, &output) < least)
		return false;
	memcpy(ret_name, name, output.length);
	ret_name[output.length] = '\0';
	return true;
}

/* `u` before a length stands for letters beyond ASCII (punycode), for which libiberty takes memory that would be lost if it
 * was left. It may be a part of a name or of a crate's hash as well. */
static bool may_take_memory(const char *symbol)
{
	for (const char *at = symbol; (at = strchr(at, 'u')); at++)
		if (isdigit((unsigned char)at[1]))
			return true;
	return false;
}

static bool ends_by_itself(const char *symbol)
{
	unsigned int backs = 0;

	for (const char *at = symbol; (at = strchr(at, 'B')); at++)
		backs++;
	return backs <= BACKS_MAX;
}

bool demangle_symbol(const char *symbol, char *ret_name, size_t size)
{
	size_t length = strcspn(symbol, "."); /* the compiler's suffix (".constprop.0") belongs to no name */
	char mangled[MANGLED_MAX + 1];

	bool is_patient;

	if (strncmp(symbol, "_R", 2) == 0) {
		is_patient = may_take_memory(symbol);
		return (!is_patient || ends_by_itself(symbol)) &&
		       demangle(rust_demangle_callback, symbol, DMGL_NO_OPTS, is_patient, CUT, ret_name, size);
	}
	if (strncmp(symbol, "_Z", 2) != 0)
		return false;
	/* Rust's older names look like C++'s, and end with a hash, which is another in each build. */
	if (demangle(rust_demangle_callback, symbol, DMGL_NO_OPTS, false, CUT, ret_name, size))
		return true;
	if (length > MANGLED_MAX)
		return false;
	memcpy(mangled, symbol, length);
	mangled[length] = '\0';
	return demangle(cplus_demangle_v3_callback, mangled, DMGL_NO_OPTS, false, CUT, ret_name, size);
}

bool demangle_type(const char *type, char *ret_name, size_t size)
{
	return demangle(cplus_demangle_v3_callback, type, DMGL_TYPES | DMGL_PARAMS, false, WHOLE, ret_name, size);
}
