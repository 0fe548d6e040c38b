/* SPDX-License-Identifier: GPL-2.0-only */
/* The symbols of one object file, sorted by address. It must not know processes; the file is hostile. */
#ifndef POOLSCOPE_SOURCE_SYMBOLS_ELF_H
#define POOLSCOPE_SOURCE_SYMBOLS_ELF_H

#include "../base.h"

struct symbol_file;

/* Reads what it needs from fd and keeps no reference to it. -ENOEXEC: not an ELF file of 64 bits, or one
 * that contradicts itself; -EFBIG: beyond the bounds. Of a file that is held already it is the same once more, so that each
 * call asks for a symbol_file_free(). Not for several threads. */
int symbol_file_new(int fd, struct symbol_file **ret_file);
void symbol_file_free(struct symbol_file *file);

/* The link-time address of an offset in the file, by the loadable segment that holds it. -ENOENT. */
int symbol_file_address(const struct symbol_file *file, uint64_t offset, uint64_t *ret_address);
/* The function that covers a link-time address; NULL: none. */
const char *symbol_file_at(const struct symbol_file *file, uint64_t address);
/* The link-time address of a function or object by its name. -ENOENT. */
int symbol_file_find(const struct symbol_file *file, const char *name, uint64_t *ret_address);

#endif
