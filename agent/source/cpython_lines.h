/* SPDX-License-Identifier: GPL-2.0-only */
/* From an instruction to its line: the line tables of CPython's code objects. Pure; the bytes are hostile. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_LINES_H
#define POOLSCOPE_SOURCE_CPYTHON_LINES_H

#include "../base.h"

/* minor: of 3.minor, which decides the table's form. offset: of the instruction, in bytes. 0: the table does
 * not say (or lies). */
uint32_t cpython_line(uint32_t minor, const unsigned char *table, size_t length, uint32_t first_line,
		      uint32_t offset);

#endif
