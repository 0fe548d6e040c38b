/* SPDX-License-Identifier: GPL-2.0-only */
/* The call frame information of one object file: from the registers inside a function to those of its caller. It must
 * not know processes; file and stack are hostile. */
#ifndef POOLSCOPE_SOURCE_UNWIND_ELF_H
#define POOLSCOPE_SOURCE_UNWIND_ELF_H

#include "../base.h"

#define UNWIND_REGISTERS 16 /* by their numbers in DWARF (System V ABI, x86-64) */
enum { UNWIND_BX = 3, UNWIND_BP = 6, UNWIND_SP = 7, UNWIND_R12 = 12, UNWIND_R13, UNWIND_R14, UNWIND_R15 };

struct unwind_state {
	uint64_t ip;
	uint64_t value[UNWIND_REGISTERS];
	bool known[UNWIND_REGISTERS];
	/* What is known of the stack. */
	uint64_t stack;
	const unsigned char *bytes;
	size_t size;
};

struct unwind_file;

/* fd: taken, also on failure. -ENOEXEC: no such information, or beyond the bounds. */
int unwind_file_new(int fd, struct unwind_file **ret_file);
void unwind_file_free(struct unwind_file *file);
DEFINE_CLEANUP(struct unwind_file *, unwind_file_free)

/* `address`: link-time, of the instruction that calls. To the caller, whose stack lies above. UNWIND_OUTERMOST: it has
 * none, says the file. -ENODATA: the frame ends beyond what is known of the stack. -ENOENT: it cannot be told for certain.
 * After all three the state is void. */
#define UNWIND_OUTERMOST 1
int unwind_file_step(const struct unwind_file *file, uint64_t address, struct unwind_state *state);

#endif
