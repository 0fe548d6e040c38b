/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of C++ (Itanium ABI) and Rust (legacy and v0) as a person writes them. It must not know where they come from: they are hostile. */
#ifndef POOLSCOPE_SOURCE_DEMANGLE_H
#define POOLSCOPE_SOURCE_DEMANGLE_H

#include <stdbool.h>
#include <stddef.h>

/* `shop::Index::add` of `_ZN4shop5Index3addEi`, without its parameters, Rust's without their hash; what does
 * not fit is cut. False, and *ret_name untouched: it is no such name, or too intricate. */
bool demangle_symbol(const char *symbol, char *ret_name, size_t size);
/* The same of a type's name, as std::type_info has it (`N4shop5IndexE`), whole. False also where it does not fit. */
bool demangle_type(const char *type, char *ret_name, size_t size);

#endif
