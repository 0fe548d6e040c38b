/* SPDX-License-Identifier: GPL-2.0-only */
/* Takes libstdc++'s std::thread apart: its state object, whose class is named after what it calls. The layout is that of
 * GCC 7 and later: <bits/std_thread.h>, <tuple>, and the Itanium C++ ABI. It must not know threads. */
#include "cplusplus.h"
#include "demangle.h"
#include "memory_reader.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* std::thread::_State_impl<std::thread::_Invoker<std::tuple<CALLABLE, ARGUMENTS...>>>. A type that is local to its file
 * has a star before its name. */
#define STATE_TYPE "NSt6thread11_State_implINS_8_InvokerISt5tupleIJ"
#define STATE_NAME "std::thread::_State_impl<std::thread::_Invoker<std::tuple<"
/* What std::async() starts its threads with: a method of its own. */
#define ASYNC_NAME "void (std::__future_base::_Async_state_impl<"
#define TYPE_NAME_MAX 1024
/* The pointer to the class's functions, then what is called with: the arguments from the last to the first, then the
 * callable. What lies further back is not told. */
#define STATE_WORDS 32

/* Before and at the address that an object points to. */
struct class_table {
	uint64_t to_top, type, functions[3]; /* the two destructors, _M_run() */
};
struct class_type {
	uint64_t functions, name;
};

/* Of one program they are few; what comes after is read each time anew. */
#define CLASSES_MAX 256

struct cplusplus_class {
	uint64_t functions;
	size_t pointer;             /* the word of the object that says what is called; 0: none */
	struct fact_routine object; /* what is called instead */
};

void cplusplus_clear(struct cplusplus *known)
{
	free(known->classes);
	*known = (struct cplusplus){.count = 0};
}

bool cplusplus_is_thread(const struct fact_routine *routine)
{
	return fnmatch("libstdc++.so*", routine->module, 0) == 0 ||
	       strcmp(routine->symbol, "execute_native_thread_routine") == 0;
}

static int read_all(const struct memory_reader *reader, uint32_t tid, uint64_t address, void *buffer, size_t size)
{
	ssize_t n = memory_read(reader, tid, address, buffer, size);

	return n == (ssize_t)size ? 0 : n == -ESRCH ? -ESRCH : -ENOENT;
}

/* At least one byte; what comes behind the end of a mapping is missing. */
static int read_some(const struct memory_reader *reader, uint32_t tid, uint64_t address, void *buffer, size_t size,
		     size_t *ret_length)
{
	ssize_t n = memory_read(reader, tid, address, buffer, size);

	if (n <= 0)
		return n == -ESRCH ? -ESRCH : -ENOENT;
	*ret_length = (size_t)n;
	return 0;
}

/* The name of the object's type; in which file its functions are, says the symbol of one. */
static int read_type(const struct memory_reader *reader, struct symbols *symbols, uint32_t tid, uint64_t functions,
		     char ret_type[TYPE_NAME_MAX], struct fact_routine *ret_run)
{
	struct class_table table = {0};
	struct class_type type = {0};
	size_t length = 0;
	int r;

	if (functions < offsetof(struct class_table, functions))
		return -ENOENT;
	r = read_all(reader, tid, functions - offsetof(struct class_table, functions), &table, sizeof(table));
	if (r < 0)
		return r;
	if (table.to_top || !table.type) /* compiled without types */
		return -ENOENT;
	r = read_all(reader, tid, table.type, &type, sizeof(type));
	if (r == 0)
		r = read_some(reader, tid, type.name, ret_type, TYPE_NAME_MAX, &length);
	if (r < 0)
		return r;
	if (!memchr(ret_type, '\0', length))
		return -ENOENT;
	return symbols_resolve(symbols, table.functions[2], ret_run) < 0 ? -ENOENT : 0;
}

/* Where a template's argument ends. */
static size_t argument_length(const char *text)
{
	size_t at = 0;

	for (int depth = 0; text[at]; at++) {
		bool closes = strchr(">)}]", text[at]);

		if (!depth && (closes || text[at] == ',' || (text[at] == ' ' && text[at + 1] == '>')))
			break;
		depth += (strchr("<({[", text[at]) ? 1 : 0) - closes;
	}
	return at;
}

/* What an argument takes, in bytes; it is aligned to that, or to a word. 0: not known. */
static size_t argument_size(const char *text, size_t length)
{
	static const struct {
		const char *glob;
		size_t size;
	} sizes[] = {
		{"bool", 1}, {"char", 1}, {"signed char", 1}, {"unsigned char", 1}, {"short", 2}, {"unsigned short", 2},
		{"int", 4}, {"unsigned int", 4}, {"float", 4}, {"long", 8}, {"unsigned long", 8}, {"long long", 8},
		{"unsigned long long", 8}, {"double", 8}, {"*[*]", 8}, {"* ([*])(*)", 8}, {"std::reference_wrapper<*>", 8},
		{"std::stop_token", 8}, {"std::shared_ptr<*>", 16}, {"std::weak_ptr<*>", 16},
		{"std::unique_ptr<*, std::default_delete<*> >", 8}, {"std::vector<*, std::allocator<*> >", 24},
		{"std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >", 32},
	};
	char argument[TYPE_NAME_MAX];

	snprintf(argument, sizeof(argument), "%.*s", (int)length, text);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		if (fnmatch(sizes[i].glob, argument, 0) == 0)
			return sizes[i].size;
	return 0;
}

/* `text`: the arguments that come after the callable. 0: it is not certain where that lies. */
static size_t callable_word(const char *text)
{
	size_t sizes[STATE_WORDS], count = 0, at = sizeof(uint64_t);

	while (*text == ',') {
		size_t length;

		text += strspn(text, ", ");
		length = argument_length(text);
		if (count == ARRAY_SIZE(sizes) || !length)
			return 0;
		sizes[count] = argument_size(text, length);
		if (!sizes[count++])
			return 0;
		text += length;
	}
	while (count) {
		size_t size = sizes[--count], alignment = size < sizeof(uint64_t) ? size : sizeof(uint64_t);

		at = (at + alignment - 1) / alignment * alignment + size;
	}
	at = (at + sizeof(uint64_t) - 1) / sizeof(uint64_t);
	return at < STATE_WORDS ? at : 0;
}

static int read_class(const struct memory_reader *reader, struct symbols *symbols, uint32_t tid, uint64_t functions,
		      struct cplusplus_class *ret_class)
{
	char type[TYPE_NAME_MAX], name[TYPE_NAME_MAX];
	struct cplusplus_class found = {.functions = functions};
	const char *mangled = type, *callable = name + strlen(STATE_NAME);
	int r = read_type(reader, symbols, tid, functions, type, &found.object);
	size_t end;

	if (r < 0)
		return r;
	mangled += *mangled == '*';
	if (strncmp(mangled, STATE_TYPE, strlen(STATE_TYPE)) != 0 || !demangle_type(mangled, name, sizeof(name)) ||
	    strncmp(name, STATE_NAME, strlen(STATE_NAME)) != 0)
		return -ENOENT;
	mangled += strlen(STATE_TYPE);
	end = argument_length(callable);
	if (strncmp(callable, ASYNC_NAME, strlen(ASYNC_NAME)) == 0) {
		snprintf(found.object.symbol, sizeof(found.object.symbol), "std::async");
	} else if (*mangled == 'P' || *mangled == 'M') { /* a function, or a method; an object says by its class what it does */
		found.pointer = callable_word(callable + end);
		if (!found.pointer)
			return -ENOENT;
	} else {
		snprintf(found.object.symbol, sizeof(found.object.symbol), "%.*s", (int)end, callable);
		if (!found.object.symbol[0])
			return -ENOENT;
	}
	*ret_class = found;
	return 0;
}

static int find_class(struct cplusplus *known, const struct memory_reader *reader, struct symbols *symbols, uint32_t tid,
		      uint64_t functions, struct cplusplus_class *ret_class)
{
	int r;

	for (size_t i = 0; i < known->count; i++) {
		if (known->classes[i].functions == functions) {
			*ret_class = known->classes[i];
			return 0;
		}
	}
	r = read_class(reader, symbols, tid, functions, ret_class);
	if (r < 0)
		return r;
	if (!known->classes)
		known->classes = calloc(CLASSES_MAX, sizeof(*known->classes));
	if (known->classes && known->count < CLASSES_MAX)
		known->classes[known->count++] = *ret_class;
	return 0;
}

int cplusplus_callable(struct cplusplus *known, uint32_t pid, const char *procfs, struct symbols *symbols, uint32_t tid,
		       uint64_t argument, uint64_t *ret_address, struct fact_routine *ret_routine)
{
	_cleanup_(memory_reader_close) struct memory_reader reader = MEMORY_READER_NONE;
	struct cplusplus_class class;
	uint64_t words[STATE_WORDS] = {0};
	size_t length = 0;
	int r = memory_reader_begin(&reader, pid, procfs);

	if (r == 0)
		r = read_some(&reader, tid, argument, words, sizeof(words), &length);
	if (r == 0)
		r = length < sizeof(*words) ? -ENOENT : find_class(known, &reader, symbols, tid, words[0], &class);
	if (r < 0)
		return r;
	if (class.pointer && (length < (class.pointer + 1) * sizeof(*words) || !symbols_is_code(symbols, words[class.pointer])))
		return -ENOENT; /* of a virtual method no address stands there */
	*ret_address = class.pointer ? words[class.pointer] : 0;
	if (!class.pointer)
		*ret_routine = class.object;
	return 0;
}
