/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes pool names out of thread names and start routines.
 * It must not know which pools exist. */
#include "pool_names.h"
#include "../fact.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* A run of decimal digits this long inside a module's name is a number drawn at run time (netty's
 * "libnetty_transport_native_epoll_x86_64384...so"), not a version. */
#define MODULE_RANDOM_DIGITS 6
/* Rust's symbols end with a hash of 16 hexadecimal digits that each build changes. */
#define SYMBOL_HASH_DIGITS 16

/* Of a name that is too long. */
#define NAME_END 20

struct text {
	char bytes[256];
	size_t length;
	bool cut;
};

static void text_add(struct text *text, char byte)
{
	if (text->length + 1 < sizeof(text->bytes))
		text->bytes[text->length++] = byte;
	else
		text->cut = true;
}

/* The length of the well-formed UTF-8 sequence at `s`, or 0. */
static size_t utf8_length(const unsigned char *s)
{
	size_t length = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : 4;

	if (s[0] >= 0x80 && (s[0] < 0xc2 || s[0] > 0xf4))
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	/* overlong forms, surrogates, beyond U+10FFFF */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return length;
}

/* What a glob would not take literally becomes `?`, which matches itself and what stood there. Broken
 * UTF-8 too: with a UTF-8 locale fnmatch() may refuse a pattern that is not well formed. */
static size_t text_add_safe(struct text *text, const char *s)
{
	size_t length = utf8_length((const unsigned char *)s);

	if (length == 0 || strchr("[]?*\\", *s)) {
		text_add(text, '?');
		return 1;
	}
	for (size_t i = 0; i < length; i++)
		text_add(text, s[i]);
	return length;
}

static void text_finish(struct text *text, char ret_name[POOL_NAME_SIZE])
{
	size_t length = text->length;

	text->bytes[length] = '\0';
	/* The reserved names belong to nobody else; with the star they still match what they were. */
	if (!strcmp(text->bytes, POOL_NAME_MAIN) || !strcmp(text->bytes, POOL_NAME_OTHER))
		text->bytes[length++] = '*';
	if (text->cut || length >= POOL_NAME_SIZE) {
		/* What tells two long names apart stands at their ends, more often than not. */
		size_t kept = text->cut ? 0 : NAME_END, end = length - kept;

		length = POOL_NAME_SIZE - 2 - kept;
		while (length > 0 && ((unsigned char)text->bytes[length] & 0xc0) == 0x80)
			length--;
		text->bytes[length++] = '*';
		while (kept && ((unsigned char)text->bytes[end] & 0xc0) == 0x80)
			end++, kept--;
		memmove(text->bytes + length, text->bytes + end, kept);
		length += kept;
	}
	memcpy(ret_name, text->bytes, length);
	ret_name[length] = '\0';
}

static size_t run_length(const char *s, int (*is_member)(int))
{
	size_t length = 0;

	while (is_member((unsigned char)s[length]))
		length++;
	return length;
}

/* Copies up to `end`, runs of at least `shortest` members as one star. */
static void text_add_folded(struct text *text, const char *s, const char *end, int (*is_member)(int),
			    size_t shortest)
{
	while (s < end) {
		size_t run = run_length(s, is_member);

		if (run >= shortest) {
			text_add(text, '*');
			s += run;
		} else if (run > 0) {
			while (run-- > 0)
				text_add(text, *s++);
		} else {
			s += text_add_safe(text, s);
		}
	}
}

void pool_name_family(const char *thread_name, bool fold_all, char ret_name[POOL_NAME_SIZE])
{
	struct text text = {.length = 0};
	size_t last = strlen(thread_name);

	if (!fold_all) {
		while (last > 0 && !isdigit((unsigned char)thread_name[last - 1]))
			last--;
		while (last > 0 && isdigit((unsigned char)thread_name[last - 1]))
			last--;
	}
	text_add_folded(&text, thread_name, thread_name + (fold_all ? last : 0), isdigit, 1);
	if (!fold_all) {
		text_add_folded(&text, thread_name, thread_name + last, isdigit, SIZE_MAX);
		text_add_folded(&text, thread_name + last, thread_name + strlen(thread_name), isdigit, 1);
	}
	text_finish(&text, ret_name);
}

void pool_name_routine(const char *module, const char *symbol, char ret_name[POOL_NAME_SIZE])
{
	struct text text = {.length = 0};
	const char *so = strstr(module, ".so");
	const char *suffix = strchr(symbol, '.');

	/* The version behind ".so" and the compiler's suffix (".constprop.0") change with each update. */
	text_add_folded(&text, module, so && (!so[3] || so[3] == '.') ? so + 3 : module + strlen(module),
			isdigit, MODULE_RANDOM_DIGITS);
	if (*module && *symbol && !symbol_is_place(symbol))
		text_add(&text, ':');
	text_add_folded(&text, symbol, suffix && suffix > symbol ? suffix : symbol + strlen(symbol), isxdigit,
			SYMBOL_HASH_DIGITS);
	text_finish(&text, ret_name);
}

void pool_name_function(const char *file, const char *function, char ret_name[POOL_NAME_SIZE])
{
	struct text text = {.length = 0};

	text_add_folded(&text, file, file + strlen(file), isdigit, SIZE_MAX);
	if (*file)
		text_add(&text, ':');
	text_add_folded(&text, function, function + strlen(function), isdigit, SIZE_MAX);
	text_finish(&text, ret_name);
}

void pool_name_number(uint32_t number, uint32_t last, char name[POOL_NAME_SIZE])
{
	char suffix[16];
	size_t length = strlen(name), room;

	if (number < 2)
		return;
	if (number > last)
		strcpy(suffix, "#*");
	else
		snprintf(suffix, sizeof(suffix), "#%u", number);
	room = POOL_NAME_SIZE - 1 - strlen(suffix);
	if (length > room) { /* the star stands for what is cut, never for a part of a character */
		length = room - 1;
		while (length > 0 && (name[length] & 0xc0) == 0x80)
			length--;
		name[length++] = '*';
	}
	strcpy(name + length, suffix);
}

void pool_name_below(const char *parent, const char *name, char ret_name[POOL_NAME_SIZE])
{
	struct text text = {.length = 0};

	for (; *parent; parent++)
		text_add(&text, *parent);
	text_add(&text, '/');
	for (; *name; name++)
		text_add(&text, *name);
	text_finish(&text, ret_name);
}

void pool_name_cut(const char *name, bool is_cut, char ret_name[POOL_NAME_SIZE])
{
	struct text text = {.length = 0};

	text_add_folded(&text, name, name + strlen(name), isdigit, SIZE_MAX);
	if (is_cut)
		text_add(&text, '*');
	text_finish(&text, ret_name);
}

void pool_name_literal(const char *name, char ret_name[POOL_NAME_SIZE])
{
	pool_name_cut(name, false, ret_name);
}
