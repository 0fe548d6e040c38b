/* SPDX-License-Identifier: GPL-2.0-only */
/* Finds CPython in a process by its exported symbols. It must not know what is read there, and takes names
 * and bytes for hints: what is found must prove itself by being walked. */
#include "cpython_find.h"

#include <errno.h>
#include <stddef.h>

/* Of the types only those that every reading needs must be there. */
static const struct {
	const char *symbol;
	size_t offset;
	bool needed;
} type_symbols[] = {
	{"PyCode_Type", offsetof(struct cpython_types, code), true},
	{"PyFrame_Type", offsetof(struct cpython_types, frame), true},
	{"PyUnicode_Type", offsetof(struct cpython_types, text), true},
	{"PyLong_Type", offsetof(struct cpython_types, integer), true},
	{"PyDict_Type", offsetof(struct cpython_types, dict), true},
	{"PyTuple_Type", offsetof(struct cpython_types, tuple), true},
	{"PyBytes_Type", offsetof(struct cpython_types, bytes), true},
	{"PyList_Type", offsetof(struct cpython_types, list), true},
	{"PyFloat_Type", offsetof(struct cpython_types, real), false},
	{"PySet_Type", offsetof(struct cpython_types, set), false},
	{"PyFunction_Type", offsetof(struct cpython_types, function), false},
	{"_PyWeakref_RefType", offsetof(struct cpython_types, weakref), false},
	{"_Py_NoneStruct", offsetof(struct cpython_types, none), true},
};

static int find_in(struct symbols *symbols, const char *module, struct cpython_found *found)
{
	int r = symbols_find(symbols, module, "_PyRuntime", &found->runtime);

	for (size_t i = 0; i < ARRAY_SIZE(type_symbols) && r == 0; i++) {
		uint64_t *address = (uint64_t *)((char *)&found->types + type_symbols[i].offset);

		if (symbols_find(symbols, module, type_symbols[i].symbol, address) < 0 &&
		    type_symbols[i].needed)
			r = -ENOENT;
	}
	if (r == 0)
		symbols_find(symbols, module, "Py_Version", &found->version);
	return r;
}

/* The base name as a glob that matches itself alone. */
static void literal_glob(const char *path, char *out, size_t size)
{
	const char *base = strrchr(path, '/');
	size_t used = 0;

	for (base = base ? base + 1 : path; *base && used + 3 < size; base++) {
		if (strchr("*?[\\", *base))
			out[used++] = '\\';
		out[used++] = *base;
	}
	out[used] = '\0';
}

int cpython_find(struct symbols *symbols, const char *exe, struct cpython_found *ret_found)
{
	struct cpython_found found = {0};
	char exe_glob[256];
	int r = find_in(symbols, "libpython3.*", &found);

	literal_glob(exe, exe_glob, sizeof(exe_glob));
	if (r == -ENOENT && *exe_glob) {
		found = (struct cpython_found){0};
		r = find_in(symbols, exe_glob, &found);
	}
	if (r == 0)
		*ret_found = found;
	return r;
}

const struct cpython_offsets *cpython_offsets_of(uint32_t minor)
{
	for (size_t i = 0; i < cpython_offsets_count; i++) {
		if (cpython_offsets[i].minor == minor)
			return &cpython_offsets[i];
	}
	return NULL;
}

/* _Py_DebugOffsets: words in groups that each begin with a size. From 3.14 on groups have more members, so
 * that only what 3.13 and 3.14 share by place is taken; the rest must prove itself by its types. */
enum described {
	DESCRIBED_COOKIE,
	DESCRIBED_VERSION,
	DESCRIBED_FREE_THREADED,
	RUNTIME_SIZE,
	RUNTIME_FINALIZING,
	RUNTIME_HEAD,
	INTERP_SIZE,
	INTERP_ID,
	INTERP_NEXT,
	INTERP_THREADS,
	INTERP_GC,
	INTERP_IMPORTS,
	INTERP_SYSDICT,
	INTERP_BUILTINS,
	INTERP_GIL,
	INTERP_GIL_STATE,
	INTERP_GIL_ENABLED,
	INTERP_GIL_LOCKED,
	INTERP_GIL_HOLDER,
	THREAD_SIZE,
	THREAD_PREV,
	THREAD_NEXT,
	THREAD_INTERP,
	THREAD_FRAME,
	THREAD_PTHREAD,
	THREAD_NATIVE,
	THREAD_CHUNK,
	THREAD_STATUS,
	FRAME_SIZE,
	FRAME_PREVIOUS,
	FRAME_CODE,
	FRAME_INSTRUCTION,
	FRAME_LOCALS,
	FRAME_OWNER,
	CODE_SIZE,
	CODE_FILENAME,
	CODE_NAME,
	CODE_QUALNAME,
	CODE_LINETABLE,
	CODE_FIRSTLINENO,
	CODE_ARGCOUNT,
	CODE_LOCALSPLUSNAMES,
	CODE_LOCALSPLUSKINDS,
	CODE_ADAPTIVE,
	DESCRIBED_COUNT,
};

#define OFFSET_SANE 65536U /* interpreters are large: 3.13's is 200 KiB, its heads stand early */

int cpython_described(const unsigned char *bytes, size_t length, struct cpython_offsets *ret_offsets)
{
	static const struct {
		enum described word;
		size_t offset;
	} words[] = {
		{RUNTIME_HEAD, offsetof(struct cpython_offsets, runtime_interpreters)},
		{INTERP_NEXT, offsetof(struct cpython_offsets, interp_next)},
		{INTERP_THREADS, offsetof(struct cpython_offsets, interp_threads)},
		{THREAD_NEXT, offsetof(struct cpython_offsets, thread_next)},
		{THREAD_INTERP, offsetof(struct cpython_offsets, thread_interp)},
		{THREAD_FRAME, offsetof(struct cpython_offsets, thread_frame)},
		{THREAD_PTHREAD, offsetof(struct cpython_offsets, thread_pthread)},
		{THREAD_NATIVE, offsetof(struct cpython_offsets, thread_native)},
		{FRAME_PREVIOUS, offsetof(struct cpython_offsets, frame_previous)},
		{FRAME_CODE, offsetof(struct cpython_offsets, frame_code)},
		{FRAME_INSTRUCTION, offsetof(struct cpython_offsets, frame_instruction)},
		{FRAME_LOCALS, offsetof(struct cpython_offsets, frame_locals)},
		{FRAME_OWNER, offsetof(struct cpython_offsets, frame_owner)},
		{CODE_FILENAME, offsetof(struct cpython_offsets, code_filename)},
		{CODE_NAME, offsetof(struct cpython_offsets, code_name)},
		{CODE_QUALNAME, offsetof(struct cpython_offsets, code_qualname)},
		{CODE_LINETABLE, offsetof(struct cpython_offsets, code_lines)},
		{CODE_FIRSTLINENO, offsetof(struct cpython_offsets, code_first_line)},
		{CODE_LOCALSPLUSNAMES, offsetof(struct cpython_offsets, code_local_names)},
		{CODE_ADAPTIVE, offsetof(struct cpython_offsets, code_instructions)},
	};
	struct cpython_offsets offsets;
	uint64_t word[DESCRIBED_COUNT];

	if (length < sizeof(word) || memcmp(bytes, "xdebugpy", 8) != 0)
		return -ENOENT;
	memcpy(word, bytes, sizeof(word));
	/* Objects have other heads there, and nothing guards what is read. */
	if (word[DESCRIBED_FREE_THREADED])
		return -EOPNOTSUPP;
	offsets = *cpython_offsets_of(13);
	/* The version as PY_VERSION_HEX has it. */
	offsets.minor = word[DESCRIBED_VERSION] >> 16 & 0xff;
	if (word[DESCRIBED_VERSION] >> 24 != 3 || offsets.minor < 13)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (word[words[i].word] >= OFFSET_SANE)
			return -EOPNOTSUPP;
		*(uint32_t *)((char *)&offsets + words[i].offset) = (uint32_t)word[words[i].word];
	}
	*ret_offsets = offsets;
	return 0;
}
