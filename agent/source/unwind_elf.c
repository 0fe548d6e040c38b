/* SPDX-License-Identifier: GPL-2.0-only */
/* One step up a stack by a file's .eh_frame, through libdw. Of its rules those are followed that compilers write for
 * plain functions; any other ends the walk. It must not know processes. */
#include "unwind_elf.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <gelf.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* C libraries and allocators have 2 MiB; node, with all that it is made of in one file, 94. Of a file no more is read than
 * the frames' part. */
#define FILE_BYTES_MAX (256U << 20)
#define RETURN_COLUMN 16

struct unwind_file {
	Elf *elf;
	Dwarf_CFI *cfi;
	int fd;
};

void unwind_file_free(struct unwind_file *file)
{
	if (!file)
		return;
	if (file->cfi)
		dwarf_cfi_end(file->cfi);
	elf_end(file->elf);
	close(file->fd);
	free(file);
}

int unwind_file_new(int fd, struct unwind_file **ret_file)
{
	_cleanup_(unwind_file_freep) struct unwind_file *file = calloc(1, sizeof(*file));
	struct stat stat;

	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	file->fd = fd;
	if (fstat(fd, &stat) < 0)
		return -errno;
	if (!S_ISREG(stat.st_mode) || stat.st_size > FILE_BYTES_MAX)
		return -ENOEXEC;
	elf_version(EV_CURRENT);
	/* Read, not mapped: a file that shrinks under a mapping would kill the agent with SIGBUS. */
	file->elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!file->elf || elf_kind(file->elf) != ELF_K_ELF || gelf_getclass(file->elf) != ELFCLASS64)
		return -ENOEXEC;
	file->cfi = dwarf_getcfi_elf(file->elf);
	if (!file->cfi)
		return -ENOEXEC;
	*ret_file = TAKE_PTR(file);
	return 0;
}

static bool stack_read(const struct unwind_state *state, uint64_t address, uint64_t *ret_value)
{
	uint64_t at = address - state->stack;

	if (address < state->stack || state->size < sizeof(*ret_value) || at > state->size - sizeof(*ret_value))
		return false;
	memcpy(ret_value, state->bytes + at, sizeof(*ret_value));
	return true;
}

static bool frame_address(Dwarf_Frame *frame, const struct unwind_state *state, uint64_t *ret_address)
{
	Dwarf_Op *ops;
	uint64_t number, offset;
	size_t n_ops;

	if (dwarf_frame_cfa(frame, &ops, &n_ops) || n_ops != 1)
		return false;
	if (ops->atom >= DW_OP_breg0 && ops->atom <= DW_OP_breg31) {
		number = ops->atom - DW_OP_breg0;
		offset = ops->number;
	} else if (ops->atom == DW_OP_bregx) {
		number = ops->number;
		offset = ops->number2;
	} else {
		return false;
	}
	if (number >= UNWIND_REGISTERS || !state->known[number])
		return false;
	*ret_address = state->value[number] + offset;
	return true;
}

/* Where a register stands that the caller had. False: it is not known. */
static bool register_of_caller(Dwarf_Frame *frame, const struct unwind_state *state, uint64_t address, int number,
			       uint64_t *ret_value)
{
	Dwarf_Op memory[3], *ops;
	uint64_t offset = 0;
	size_t n_ops;

	if (dwarf_frame_register(frame, number, memory, &ops, &n_ops))
		return false;
	if (!n_ops) {
		/* NULL: the function leaves it alone; else it is lost. */
		if (ops || number >= UNWIND_REGISTERS || !state->known[number])
			return false;
		*ret_value = state->value[number];
		return true;
	}
	if (ops[0].atom != DW_OP_call_frame_cfa || n_ops > 2)
		return false;
	if (n_ops == 2) {
		if (ops[1].atom != DW_OP_plus_uconst)
			return false;
		offset = ops[1].number;
	}
	return stack_read(state, address + offset, ret_value);
}

/* Marked by hand: of the function that a thread begins in nobody is the caller. */
static bool has_caller(Dwarf_Frame *frame)
{
	Dwarf_Op memory[3], *ops;
	size_t n_ops;

	return dwarf_frame_register(frame, RETURN_COLUMN, memory, &ops, &n_ops) || n_ops || !ops;
}

static int step(Dwarf_Frame *frame, struct unwind_state *state)
{
	static const int kept[] = {UNWIND_BX, UNWIND_BP, UNWIND_R12, UNWIND_R13, UNWIND_R14, UNWIND_R15};
	struct unwind_state next = {.stack = state->stack, .bytes = state->bytes, .size = state->size};
	Dwarf_Addr start, end;
	uint64_t address;
	bool is_signal = true;

	if (dwarf_frame_info(frame, &start, &end, &is_signal) != RETURN_COLUMN || is_signal)
		return -ENOENT;
	if (!has_caller(frame))
		return UNWIND_OUTERMOST;
	if (!frame_address(frame, state, &address))
		return -ENOENT;
	/* A caller's frame lies above: each step leads on, so that walks end. */
	if (address <= state->value[UNWIND_SP])
		return -ENOENT;
	if (!register_of_caller(frame, state, address, RETURN_COLUMN, &next.ip))
		return address - state->stack > state->size ? -ENODATA : -ENOENT;
	if (!next.ip)
		return -ENOENT;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		next.known[kept[i]] = register_of_caller(frame, state, address, kept[i], &next.value[kept[i]]);
	next.value[UNWIND_SP] = address;
	next.known[UNWIND_SP] = true;
	*state = next;
	return 0;
}

int unwind_file_step(const struct unwind_file *file, uint64_t address, struct unwind_state *state)
{
	_cleanup_(freep) Dwarf_Frame *frame = NULL;

	if (dwarf_cfi_addrframe(file->cfi, address, &frame)) {
		frame = NULL;
		return -ENOENT;
	}
	return step(frame, state);
}
