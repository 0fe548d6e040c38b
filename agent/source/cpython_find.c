/* SPDX-License-Identifier: GPL-2.0-only */
/* Finds CPython in a process by its exported symbols. It must not know what is read there, and takes names
 * and bytes for hints: what is found must prove itself by being walked. */
#include "cpython_find.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

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

bool cpython_is_older(struct symbols *symbols, const char *exe)
{
	char exe_glob[256];
	uint64_t address;

	literal_glob(exe, exe_glob, sizeof(exe_glob));
	return symbols_find(symbols, "libpython*", "_PyThreadState_Current", &address) == 0 ||
	       (*exe_glob && symbols_find(symbols, exe_glob, "_PyThreadState_Current", &address) == 0);
}

const struct cpython_offsets *cpython_offsets_of(uint32_t minor)
{
	for (size_t i = 0; i < cpython_offsets_count; i++) {
		if (cpython_offsets[i].minor == minor)
			return &cpython_offsets[i];
	}
	return NULL;
}

/* _Py_DebugOffsets begins with these words. Of what follows each version has its own order: that of a version which is not
 * known is taken to be the newest one's, and must prove itself by being walked. */
enum { WORD_COOKIE, WORD_VERSION, WORD_FREE_THREADED };

#define OFFSET_SANE 65536U /* interpreters are large: 3.13's is 200 KiB, its heads stand early */

int cpython_described(const unsigned char *bytes, size_t length, struct cpython_offsets *ret_offsets)
{
	static const size_t fields[] = {
		[DESCRIBED_RUNTIME_INTERPRETERS] = offsetof(struct cpython_offsets, runtime_interpreters),
		[DESCRIBED_INTERP_NEXT] = offsetof(struct cpython_offsets, interp_next),
		[DESCRIBED_INTERP_THREADS] = offsetof(struct cpython_offsets, interp_threads),
		[DESCRIBED_INTERP_MODULES] = offsetof(struct cpython_offsets, interp_modules),
		[DESCRIBED_THREAD_NEXT] = offsetof(struct cpython_offsets, thread_next),
		[DESCRIBED_THREAD_INTERP] = offsetof(struct cpython_offsets, thread_interp),
		[DESCRIBED_THREAD_FRAME] = offsetof(struct cpython_offsets, thread_frame),
		[DESCRIBED_THREAD_PTHREAD] = offsetof(struct cpython_offsets, thread_pthread),
		[DESCRIBED_THREAD_NATIVE] = offsetof(struct cpython_offsets, thread_native),
		[DESCRIBED_FRAME_PREVIOUS] = offsetof(struct cpython_offsets, frame_previous),
		[DESCRIBED_FRAME_CODE] = offsetof(struct cpython_offsets, frame_code),
		[DESCRIBED_FRAME_INSTRUCTION] = offsetof(struct cpython_offsets, frame_instruction),
		[DESCRIBED_FRAME_LOCALS] = offsetof(struct cpython_offsets, frame_locals),
		[DESCRIBED_FRAME_OWNER] = offsetof(struct cpython_offsets, frame_owner),
		[DESCRIBED_CODE_FILENAME] = offsetof(struct cpython_offsets, code_filename),
		[DESCRIBED_CODE_NAME] = offsetof(struct cpython_offsets, code_name),
		[DESCRIBED_CODE_QUALNAME] = offsetof(struct cpython_offsets, code_qualname),
		[DESCRIBED_CODE_LINES] = offsetof(struct cpython_offsets, code_lines),
		[DESCRIBED_CODE_FIRST_LINE] = offsetof(struct cpython_offsets, code_first_line),
		[DESCRIBED_CODE_LOCAL_NAMES] = offsetof(struct cpython_offsets, code_local_names),
		[DESCRIBED_CODE_INSTRUCTIONS] = offsetof(struct cpython_offsets, code_instructions),
	};
	_Static_assert(ARRAY_SIZE(fields) == DESCRIBED_COUNT, "a field for each offset that is described");
	const struct cpython_offsets *known;
	struct cpython_offsets offsets;
	uint64_t word[CPYTHON_DESCRIPTION_BYTES / sizeof(uint64_t)];
	uint32_t minor;

	if (length < sizeof(word) || memcmp(bytes, "xdebugpy", 8) != 0)
		return -ENOENT;
	memcpy(word, bytes, sizeof(word));
	/* Objects have other heads there, and nothing guards what is read. */
	if (word[WORD_FREE_THREADED])
		return -EOPNOTSUPP;
	/* The version as PY_VERSION_HEX has it. */
	minor = word[WORD_VERSION] >> 16 & 0xff;
	if (word[WORD_VERSION] >> 24 != 3 || minor < 13)
		return -EOPNOTSUPP;
	known = cpython_offsets_of(minor);
	offsets = known ? *known : cpython_offsets[cpython_offsets_count - 1];
	offsets.minor = minor;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		uint64_t offset = offsets.described[i] < ARRAY_SIZE(word) ? word[offsets.described[i]] : OFFSET_SANE;

		if (offset >= OFFSET_SANE)
			return -EOPNOTSUPP;
		*(uint32_t *)((char *)&offsets + fields[i]) = (uint32_t)offset;
	}
	*ret_offsets = offsets;
	return 0;
}

void cpython_unread_name(const unsigned char description[CPYTHON_DESCRIPTION_BYTES], char *name, size_t size)
{
	uint64_t version, free_threaded;

	memcpy(&version, description + WORD_VERSION * sizeof(version), sizeof(version));
	memcpy(&free_threaded, description + WORD_FREE_THREADED * sizeof(free_threaded), sizeof(free_threaded));
	snprintf(name, size, "cpython %u.%u.%u%s (executors not read)", (unsigned int)(version >> 24 & 0xff),
		 (unsigned int)(version >> 16 & 0xff), (unsigned int)(version >> 8 & 0xff), free_threaded ? "t" : "");
}
