/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses to names: which module and symbol a code address of a target belongs to. Opens the
 * target's files through /proc/PID/map_files or root, bounded, and treats them as hostile input. */
#ifndef POOLSCOPE_SOURCE_SYMBOLS_H
#define POOLSCOPE_SOURCE_SYMBOLS_H

#include "../fact.h"

struct symbols;
struct unwind_file;

int symbols_new(uint32_t pid, const char *procfs, struct symbols **ret_symbols);
void symbols_free(struct symbols *symbols);
DEFINE_CLEANUP(struct symbols *, symbols_free)

/* Fills symbol ("" if none covers the address) and module (base name). -ENOENT: no module there. */
int symbols_resolve(struct symbols *symbols, uint64_t address, struct fact_routine *ret_routine);
/* The symbol that symbols_resolve() has just told of this address as a person writes it, if it is C++'s. */
void symbols_demangle(struct symbols *symbols, uint64_t address, struct fact_routine *routine);
/* Is it in code that is known of? Reads mappings only where they are forgotten. */
bool symbols_is_code(struct symbols *symbols, uint64_t address);
/* An address within its object file, as linked, and that file's call frame information; NULL: it has none. */
struct symbols_place {
	uint64_t address;
	const struct unwind_file *frames; /* lives as long as `symbols` */
};
/* Of an address that symbols_resolve() has just told. -ENOENT: it is in no file. */
int symbols_place(struct symbols *symbols, uint64_t address, bool with_frames, struct symbols_place *ret_place);
/* Code was mapped: what is known of mappings is read anew when it is asked for. What nobody tells of (events were lost)
 * is found by the next look 50 ms later at the earliest. */
void symbols_changed(struct symbols *symbols);
/* How often a file had to be opened and read so far, which costs more than all else here. */
uint64_t symbols_opened(const struct symbols *symbols);
/* The address of a dynamic symbol of a loaded module (base-name glob). -ENOENT. For runtimes. */
int symbols_find(struct symbols *symbols, const char *module, const char *symbol, uint64_t *ret_address);

#endif
