/* SPDX-License-Identifier: GPL-2.0-only */
/* Up a copied stack through the C library, allocators and the C++ runtime, whose files say how (.eh_frame, which they
 * have whatever the program was compiled with), to the first function of anybody else. It must not know pools. */
#include "unwind.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "unwind_elf.h"

#define FRAMES_MAX 32

/* Who makes memory usable on behalf of others, by the file's name. */
static const char *const helpers[] = {
	"libc.so.*", "libc-2.*.so", "ld-linux*", "ld-2.*.so", "ld-musl-*", "libc.musl-*", "libpthread*.so*",
	"libc_malloc_debug.so*", "libjemalloc.so*", "libtcmalloc*.so*", "libmimalloc*.so*",
	"libstdc++.so*", "libc++.so*", "libc++abi.so*", "libgcc_s.so*",
};

static bool acts_on_behalf(const char *module)
{
	for (size_t i = 0; i < ARRAY_SIZE(helpers); i++)
		if (!fnmatch(helpers[i], module, 0))
			return true;
	return false;
}

static void begin(const uint64_t *from, const unsigned char *bytes, size_t size, struct unwind_state *ret_state)
{
	static const struct {
		int event, dwarf;
	} registers[] = {
		{EVENT_BX, UNWIND_BX},   {EVENT_BP, UNWIND_BP},   {EVENT_SP, UNWIND_SP},   {EVENT_R12, UNWIND_R12},
		{EVENT_R13, UNWIND_R13}, {EVENT_R14, UNWIND_R14}, {EVENT_R15, UNWIND_R15},
	};

	_Static_assert(ARRAY_SIZE(registers) == EVENT_REGISTERS - 1, "all but the instruction pointer");
	*ret_state = (struct unwind_state){.ip = from[EVENT_IP], .stack = from[EVENT_SP], .bytes = bytes, .size = size};
	for (size_t i = 0; i < ARRAY_SIZE(registers); i++) {
		ret_state->value[registers[i].dwarf] = from[registers[i].event];
		ret_state->known[registers[i].dwarf] = true;
	}
}

static void name(const struct fact_routine *routine, uint64_t offset, struct fact_blame *ret_blame)
{
	char place[FACT_SYMBOL_SIZE];

	snprintf(place, sizeof(place), "%s+0x%llx", routine->module, (unsigned long long)offset);
	text_copy(ret_blame->function, sizeof(ret_blame->function), *routine->symbol ? routine->symbol : place);
	text_copy(ret_blame->file, sizeof(ret_blame->file), routine->module);
	ret_blame->line = 0;
}

int unwind_caller(struct symbols *symbols, const struct stack_copy *stack, struct fact_blame *ret_blame)
{
	struct unwind_state state;

	begin(stack->registers, stack->bytes, stack->size, &state);
	for (int depth = 0; depth < FRAMES_MAX; depth++) {
		struct fact_routine routine;
		struct symbols_place place;
		/* The call, not what it returns to, which may be another function's. */
		uint64_t call = state.ip - 1;
		int r = symbols_resolve(symbols, call, &routine);
		bool on_behalf = r == 0 && acts_on_behalf(routine.module);

		/* Of code without a file nobody says what it is. */
		if (r == 0)
			r = symbols_place(symbols, call, on_behalf, &place);
		if (r < 0)
			return r;
		if (!on_behalf) {
			/* A program that calls the kernel itself has its allocator in it: which function that is for is
			 * not known. */
			if (!depth)
				return -ENOENT;
			name(&routine, place.address, ret_blame);
			return 0;
		}
		if (!place.frames || unwind_file_step(place.frames, place.address, &state))
			return -ENOENT;
	}
	return -ENOENT;
}

int unwind_each(struct symbols *symbols, const struct unwind_stack *stack,
		bool (*each)(void *context, const struct fact_routine *frame), void *context)
{
	struct unwind_state state;

	begin(stack->registers, stack->bytes, stack->size, &state);
	for (int depth = 0; depth < FRAMES_MAX; depth++) {
		struct fact_routine routine = {0};
		struct symbols_place place;
		/* Where a thread stands is no call; what comes after are. */
		uint64_t at = depth ? state.ip - 1 : state.ip;
		int r = symbols_resolve(symbols, at, &routine);

		if (r < 0)
			return r;
		if (!each(context, &routine))
			return 0;
		r = symbols_place(symbols, at, true, &place);
		if (r < 0)
			return r;
		r = place.frames ? unwind_file_step(place.frames, place.address, &state) : -ENOENT;
		if (r)
			return r == UNWIND_OUTERMOST ? 0 : -ENOENT;
	}
	return -ENOENT;
}
