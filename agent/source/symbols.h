/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses to names: which module and symbol a code address of a target belongs to. Opens the
 * target's files through /proc/PID/map_files or root, bounded, and treats them as hostile input. */
#ifndef POOLSCOPE_SOURCE_SYMBOLS_H
#define POOLSCOPE_SOURCE_SYMBOLS_H

#include "../fact.h"

struct symbols;

int symbols_new(uint32_t pid, const char *procfs, struct symbols **ret_symbols);
void symbols_free(struct symbols *symbols);
DEFINE_CLEANUP(struct symbols *, symbols_free)

/* Fills symbol ("" if none covers the address) and module (base name). -ENOENT: no module there. */
int symbols_resolve(struct symbols *symbols, uint64_t address, struct fact_routine *ret_routine);
/* The address of a dynamic symbol of a loaded module (base-name glob). -ENOENT. For runtimes. */
int symbols_find(struct symbols *symbols, const char *module, const char *symbol, uint64_t *ret_address);

#endif
