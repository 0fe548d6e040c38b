/* SPDX-License-Identifier: GPL-2.0-only */
/* Where CPython keeps what the agent reads, one row a minor version. Printed by tools/cpython-offsets from the
 * internal headers; it must not be edited, and knows nothing of how the offsets are used. */
#include "cpython_offsets.h"

/* clang-format off: printed */
const struct cpython_offsets cpython_offsets[] = {
	{ .minor = 7, .runtime_interpreters = 24, .interp_threads = 8, .interp_next = 0, .interp_sysdict = 56, .thread_next = 8, .thread_interp = 16, .thread_unique = 272, .thread_pthread = 176, .thread_native = 0, .thread_frame = 24,
	  .frame_previous = 24, .frame_locals = 360, .frame_globals = 48, .frame_code = 32, .frame_instruction = 104, .frame_is_object = 1, .code_filename = 96, .code_name = 104, .code_first_line = 36, .code_qualname = 0, .code_local_names = 64, .code_instructions = 0, .code_lines = 112,
	  .type_name = 24, .type_basic_size = 32, .type_flags = 168, .type_dict_offset = 288, .type_dict = 264, .type_cached_keys = 856, .function_globals = 24, .text_length = 16, .text_state = 32, .text_kind_bit = 2, .text_ascii_bit = 6, .text_ascii_size = 48, .text_size = 72,
	  .var_size = 16, .bytes_data = 32, .list_items = 24, .tuple_items = 24, .set_used = 24, .float_value = 16, .weakref_object = 16, .long_size = 16, .long_digits = 24,
	  .dict_used = 16, .dict_keys = 32, .dict_values = 40, .keys_count = 32, .keys_indices = 40, .keys_size = 8, .values_first = 0, },
	{ .minor = 8, .runtime_interpreters = 32, .interp_threads = 8, .interp_next = 0, .interp_sysdict = 72, .thread_next = 8, .thread_interp = 16, .thread_unique = 256, .thread_pthread = 176, .thread_native = 0, .thread_frame = 24,
	  .frame_previous = 24, .frame_locals = 360, .frame_globals = 48, .frame_code = 32, .frame_instruction = 104, .frame_is_object = 1, .code_filename = 104, .code_name = 112, .code_first_line = 40, .code_qualname = 0, .code_local_names = 72, .code_instructions = 0, .code_lines = 120,
	  .type_name = 24, .type_basic_size = 32, .type_flags = 168, .type_dict_offset = 288, .type_dict = 264, .type_cached_keys = 872, .function_globals = 24, .text_length = 16, .text_state = 32, .text_kind_bit = 2, .text_ascii_bit = 6, .text_ascii_size = 48, .text_size = 72,
	  .var_size = 16, .bytes_data = 32, .list_items = 24, .tuple_items = 24, .set_used = 24, .float_value = 16, .weakref_object = 16, .long_size = 16, .long_digits = 24,
	  .dict_used = 16, .dict_keys = 32, .dict_values = 40, .keys_count = 32, .keys_indices = 40, .keys_size = 8, .values_first = 0, },
	{ .minor = 9, .runtime_interpreters = 32, .interp_threads = 8, .interp_next = 0, .interp_sysdict = 872, .thread_next = 8, .thread_interp = 16, .thread_unique = 256, .thread_pthread = 176, .thread_native = 0, .thread_frame = 24,
	  .frame_previous = 24, .frame_locals = 360, .frame_globals = 48, .frame_code = 32, .frame_instruction = 104, .frame_is_object = 1, .code_filename = 104, .code_name = 112, .code_first_line = 40, .code_qualname = 0, .code_local_names = 72, .code_instructions = 0, .code_lines = 120,
	  .type_name = 24, .type_basic_size = 32, .type_flags = 168, .type_dict_offset = 288, .type_dict = 264, .type_cached_keys = 864, .function_globals = 24, .text_length = 16, .text_state = 32, .text_kind_bit = 2, .text_ascii_bit = 6, .text_ascii_size = 48, .text_size = 72,
	  .var_size = 16, .bytes_data = 32, .list_items = 24, .tuple_items = 24, .set_used = 24, .float_value = 16, .weakref_object = 16, .long_size = 16, .long_digits = 24,
	  .dict_used = 16, .dict_keys = 32, .dict_values = 40, .keys_count = 32, .keys_indices = 40, .keys_size = 8, .values_first = 0, },
	{ .minor = 10, .runtime_interpreters = 32, .interp_threads = 8, .interp_next = 0, .interp_sysdict = 872, .thread_next = 8, .thread_interp = 16, .thread_unique = 256, .thread_pthread = 176, .thread_native = 0, .thread_frame = 24,
	  .frame_previous = 24, .frame_locals = 352, .frame_globals = 48, .frame_code = 32, .frame_instruction = 96, .frame_is_object = 1, .code_filename = 104, .code_name = 112, .code_first_line = 40, .code_qualname = 0, .code_local_names = 72, .code_instructions = 0, .code_lines = 120,
	  .type_name = 24, .type_basic_size = 32, .type_flags = 168, .type_dict_offset = 288, .type_dict = 264, .type_cached_keys = 872, .function_globals = 16, .text_length = 16, .text_state = 32, .text_kind_bit = 2, .text_ascii_bit = 6, .text_ascii_size = 48, .text_size = 72,
	  .var_size = 16, .bytes_data = 32, .list_items = 24, .tuple_items = 24, .set_used = 24, .float_value = 16, .weakref_object = 16, .long_size = 16, .long_digits = 24,
	  .dict_used = 16, .dict_keys = 32, .dict_values = 40, .keys_count = 32, .keys_indices = 40, .keys_size = 8, .values_first = 0, },
	{ .minor = 11, .runtime_interpreters = 40, .interp_threads = 16, .interp_next = 0, .interp_sysdict = 0, .thread_next = 8, .thread_interp = 16, .thread_unique = 240, .thread_pthread = 152, .thread_native = 160, .thread_frame = 56, .cframe_frame = 8, .has_cframe = 1,
	  .frame_previous = 48, .frame_locals = 72, .frame_globals = 8, .frame_owner = 69, .frame_code = 32, .frame_instruction = 56, .code_filename = 112, .code_name = 120, .code_first_line = 72, .code_qualname = 128, .code_local_names = 96, .code_instructions = 184, .code_lines = 136,
	  .type_name = 24, .type_basic_size = 32, .type_flags = 168, .type_dict_offset = 288, .type_dict = 264, .type_cached_keys = 872, .function_globals = 16, .text_length = 16, .text_state = 32, .text_kind_bit = 2, .text_ascii_bit = 6, .text_ascii_size = 48, .text_size = 72,
	  .var_size = 16, .bytes_data = 32, .list_items = 24, .tuple_items = 24, .set_used = 24, .float_value = 16, .weakref_object = 16, .long_size = 16, .long_digits = 24,
	  .dict_used = 16, .dict_keys = 32, .dict_values = 40, .keys_count = 24, .keys_indices = 32, .keys_log2_bytes = 9, .keys_kind = 10, .values_first = 0, },
	{ .minor = 12, .runtime_interpreters = 40, .interp_threads = 72, .interp_next = 0, .interp_sysdict = 0, .thread_next = 8, .thread_interp = 16, .thread_unique = 224, .thread_pthread = 136, .thread_native = 144, .thread_frame = 56, .cframe_frame = 0, .has_cframe = 1,
	  .frame_previous = 8, .frame_locals = 72, .frame_globals = 24, .frame_owner = 70, .frame_code = 0, .frame_instruction = 56, .code_filename = 112, .code_name = 120, .code_first_line = 68, .code_qualname = 128, .code_local_names = 96, .code_instructions = 192, .code_lines = 136,
	  .type_name = 24, .type_basic_size = 32, .type_flags = 168, .type_dict_offset = 288, .type_dict = 264, .type_cached_keys = 880, .function_globals = 16, .text_length = 16, .text_state = 32, .text_kind_bit = 2, .text_ascii_bit = 6, .text_ascii_size = 40, .text_size = 56,
	  .var_size = 16, .bytes_data = 32, .list_items = 24, .tuple_items = 24, .set_used = 24, .float_value = 16, .weakref_object = 16, .long_size = 16, .long_digits = 24, .long_is_tagged = 1,
	  .dict_used = 16, .dict_keys = 32, .dict_values = 40, .keys_count = 24, .keys_indices = 32, .keys_log2_bytes = 9, .keys_kind = 10, .values_first = 0, },
	{ .minor = 13, .runtime_interpreters = 632, .interp_threads = 7344, .interp_next = 7264, .interp_sysdict = 0, .thread_next = 8, .thread_interp = 16, .thread_unique = 224, .thread_pthread = 152, .thread_native = 160, .thread_frame = 72,
	  .frame_previous = 8, .frame_locals = 72, .frame_globals = 24, .frame_owner = 70, .frame_code = 0, .frame_instruction = 56, .code_filename = 112, .code_name = 120, .code_first_line = 68, .code_qualname = 128, .code_local_names = 96, .code_instructions = 200, .code_lines = 136,
	  .type_name = 24, .type_basic_size = 32, .type_flags = 168, .type_dict_offset = 288, .type_dict = 264, .type_cached_keys = 880, .function_globals = 16, .text_length = 16, .text_state = 32, .text_kind_bit = 2, .text_ascii_bit = 6, .text_ascii_size = 40, .text_size = 56,
	  .var_size = 16, .bytes_data = 32, .list_items = 24, .tuple_items = 24, .set_used = 24, .float_value = 16, .weakref_object = 16, .long_size = 16, .long_digits = 24, .long_is_tagged = 1,
	  .dict_used = 16, .dict_keys = 32, .dict_values = 40, .keys_count = 24, .keys_indices = 32, .keys_log2_bytes = 9, .keys_kind = 10, .values_first = 8,
	 .described = { 5, 8, 9, 21, 22, 23, 24, 25, 29, 30, 31, 32, 33, 35, 36, 37, 38, 39, 41, 43, }, },
	{ .minor = 14, .runtime_interpreters = 808, .interp_threads = 7344, .interp_next = 7272, .interp_sysdict = 0, .thread_next = 8, .thread_interp = 16, .thread_unique = 224, .thread_pthread = 152, .thread_native = 160, .thread_frame = 72,
	  .frame_previous = 8, .frame_locals = 80, .frame_globals = 24, .frame_owner = 74, .frame_code = 0, .frame_instruction = 56, .code_filename = 112, .code_name = 120, .code_first_line = 68, .code_qualname = 128, .code_local_names = 96, .code_instructions = 208, .code_lines = 136,
	  .type_name = 24, .type_basic_size = 32, .type_flags = 168, .type_dict_offset = 288, .type_dict = 264, .type_cached_keys = 880, .function_globals = 16, .text_length = 16, .text_state = 32, .text_kind_bit = 2, .text_ascii_bit = 6, .text_ascii_size = 40, .text_size = 56,
	  .var_size = 16, .bytes_data = 32, .list_items = 24, .tuple_items = 32, .set_used = 24, .float_value = 16, .weakref_object = 16, .long_size = 16, .long_digits = 24, .long_is_tagged = 1,
	  .dict_used = 16, .dict_keys = 32, .dict_values = 40, .keys_count = 24, .keys_indices = 32, .keys_log2_bytes = 9, .keys_kind = 10, .values_first = 8,
	 .described = { 5, 8, 9, 24, 25, 26, 27, 28, 32, 33, 34, 35, 36, 40, 41, 42, 43, 44, 46, 48, }, },
	{ .minor = 15, .runtime_interpreters = 936, .interp_threads = 7336, .interp_next = 7264, .interp_sysdict = 0, .thread_next = 8, .thread_interp = 16, .thread_unique = 248, .thread_pthread = 176, .thread_native = 184, .thread_frame = 72,
	  .frame_previous = 8, .frame_locals = 80, .frame_globals = 24, .frame_owner = 74, .frame_code = 0, .frame_instruction = 56, .code_filename = 112, .code_name = 120, .code_first_line = 68, .code_qualname = 128, .code_local_names = 96, .code_instructions = 208, .code_lines = 136,
	  .type_name = 24, .type_basic_size = 32, .type_flags = 168, .type_dict_offset = 288, .type_dict = 264, .type_cached_keys = 888, .function_globals = 16, .text_length = 16, .text_state = 32, .text_kind_bit = 2, .text_ascii_bit = 6, .text_ascii_size = 40, .text_size = 56,
	  .var_size = 16, .bytes_data = 32, .list_items = 24, .tuple_items = 32, .set_used = 24, .float_value = 16, .weakref_object = 16, .long_size = 16, .long_digits = 24, .long_is_tagged = 1,
	  .dict_used = 16, .dict_keys = 32, .dict_values = 40, .keys_count = 24, .keys_indices = 32, .keys_log2_bytes = 9, .keys_kind = 10, .values_first = 8,
	 .described = { 5, 8, 9, 24, 25, 26, 30, 31, 40, 41, 42, 43, 44, 48, 49, 50, 51, 52, 54, 56, }, },
};
/* clang-format on */

const size_t cpython_offsets_count = ARRAY_SIZE(cpython_offsets);
