/* SPDX-License-Identifier: GPL-2.0-only */
/* Offsets into CPython's own structures, by minor version. It must not know how they are used; the table is
 * printed by tools/cpython-offsets. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_OFFSETS_H
#define POOLSCOPE_SOURCE_CPYTHON_OFFSETS_H

#include "../base.h"

/* Where 3.13 and later tell in words of _Py_DebugOffsets, which stands first in _PyRuntime; each version moves them. */
enum described_offset {
	DESCRIBED_RUNTIME_INTERPRETERS,
	DESCRIBED_INTERP_NEXT,
	DESCRIBED_INTERP_THREADS,
	DESCRIBED_INTERP_MODULES,
	DESCRIBED_THREAD_NEXT,
	DESCRIBED_THREAD_INTERP,
	DESCRIBED_THREAD_FRAME,
	DESCRIBED_THREAD_PTHREAD,
	DESCRIBED_THREAD_NATIVE,
	DESCRIBED_FRAME_PREVIOUS,
	DESCRIBED_FRAME_CODE,
	DESCRIBED_FRAME_INSTRUCTION,
	DESCRIBED_FRAME_LOCALS,
	DESCRIBED_FRAME_OWNER,
	DESCRIBED_CODE_FILENAME,
	DESCRIBED_CODE_NAME,
	DESCRIBED_CODE_QUALNAME,
	DESCRIBED_CODE_LINES,
	DESCRIBED_CODE_FIRST_LINE,
	DESCRIBED_CODE_LOCAL_NAMES,
	DESCRIBED_CODE_INSTRUCTIONS,
	DESCRIBED_COUNT
};

struct cpython_offsets { /* bytes; what a version does not have is 0 */
	uint32_t minor; /* of 3.minor */
	uint32_t runtime_interpreters;
	uint32_t interp_next, interp_threads, interp_modules, interp_sysdict;
	/* thread_frame leads to a _PyCFrame where has_cframe, else to the innermost frame. thread_unique: a
	 * number that the interpreter gives to no other thread. The loop that it runs: thread_loop, before 3.13 in the
	 * dict at thread_dict. */
	uint32_t thread_next, thread_interp, thread_unique, thread_pthread, thread_native, thread_frame, thread_loop,
		thread_dict;
	uint32_t cframe_frame;
	uint32_t frame_previous, frame_code, frame_instruction, frame_locals, frame_globals, frame_owner;
	uint32_t code_filename, code_name, code_qualname, code_flags, code_first_line, code_local_names,
		code_instructions, code_lines; /* the flags where there is no qualified name */
	uint32_t type_name, type_basic_size, type_flags, type_dict_offset, type_dict, type_base, type_members,
		type_cached_keys;
	uint32_t function_globals, function_code, bound_function, bound_self;
	uint32_t builtin_method, builtin_self, builtin_module, method_name; /* of functions of C */
	uint32_t text_length, text_state, text_kind_bit, text_ascii_bit, text_ascii_size, text_size;
	uint32_t var_size, bytes_data, list_items, tuple_items, set_used, float_value, weakref_object;
	uint32_t long_size, long_digits;
	uint32_t dict_used, dict_keys, dict_values;
	uint32_t keys_count, keys_indices, keys_size, keys_log2_bytes, keys_kind, values_first;
	uint8_t described[DESCRIBED_COUNT]; /* the number of the word; 0: this version describes nothing */
	bool has_cframe, frame_is_object, long_is_tagged;
};

extern const struct cpython_offsets cpython_offsets[];
extern const size_t cpython_offsets_count;

#endif
