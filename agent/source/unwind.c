/* SPDX-License-Identifier: GPL-2.0-only */
/* Up a copied stack through the C library, allocators and the C++ runtime, whose files say how (.eh_frame, which they
 * have whatever the program was compiled with), and through C++'s containers to the first function of anybody else. It must
 * not know pools. */
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

/* The same of C++'s containers, strings and smart pointers, which are compiled into whoever uses them (libstdc++'s,
 * libc++'s), and of Rust's, by the symbol. Not all of std: into a std::function or a thread's state the program's own code
 * may be inlined. */
static const char *const containers[] = {
	"_Znwm*", "_Znam*", /* operator new, where the program has its own */
	"_ZNSt6vector*",          "_ZNSt12_Vector_base*",     "_ZNSt5deque*",          "_ZNSt11_Deque_base*",
	"_ZNSt7__cxx1112basic_string*", "_ZNSt7__cxx114list*", "_ZNSt10_Hashtable*",    "_ZNSt8_Rb_tree*",
	"_ZNSt8__detail*",        "_ZNSt16allocator_traits*", "_ZNSt15__new_allocator*", "_ZNSt3map*",
	"_ZNSt3set*",             "_ZNSt8multimap*",          "_ZNSt8multiset*",       "_ZNSt13unordered_*",
	"_ZNSt18unordered_*",     "_ZNSt5queueI*",            "_ZNSt5stackI*",         "_ZNSt14priority_queue*",
	"_ZNSt10shared_ptr*",     "_ZNSt12__shared_ptr*",     "_ZNSt14__shared_count*", "_ZNSt23_Sp_counted_ptr_inplace*",
	"_ZSt11make_unique*",     "_ZSt11make_shared*",       "_ZSt15allocate_shared*", "_ZSt18__allocate_guarded*",
	"_ZStplI*",               "_ZSt10_Construct*",        "_ZSt12construct_at*",   "_ZSt*uninitialized_*",
	"_ZNSt*__uninitialized_*", "_ZN9__gnu_cxx13new_allocator*", "_ZN9__gnu_cxx14__alloc_traits*", "_ZNSaI*",
	"_ZNSt3__16vector*",      "_ZNSt3__15deque*",         "_ZNSt3__112basic_string*", "_ZNSt3__14list*",
	"_ZNSt3__112__hash_table*", "_ZNSt3__16__tree*",      "_ZNSt3__19allocator*",  "_ZNSt3__116allocator_traits*",
	"_ZNSt3__114__split_buffer*", "_ZNSt3__13map*",       "_ZNSt3__13set*",        "_ZNSt3__113unordered_*",
	"_ZNSt3__110shared_ptr*", "_ZNSt3__111make_unique*",  "_ZNSt3__111make_shared*", "_ZNSt3__115allocate_shared*",
	/* Rust's older symbols */
	"_ZN5alloc7raw_vec*",     "_ZN5alloc3vec*",           "_ZN5alloc3fmt*",        "_ZN5alloc6string*",
	"_ZN5alloc5alloc*",       "_ZN5alloc11collections*",  "_ZN5alloc5boxed*",      "_ZN9hashbrown*",
	"_ZN*_$LT$alloc..*",      "_ZN4core3fmt*",
};

/* The same of Rust's v0 symbols, which begin with what is different in each program: as a person writes them. */
static const char *const containers_v0[] = {
	"alloc::*", "<alloc::*", "hashbrown::*", "<hashbrown::*", "core::fmt::*", "<core::fmt::*",
	"std::collections::*", "<std::collections::*",
};

static bool matches(const char *const *patterns, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (!fnmatch(patterns[i], text, 0))
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

/* What is known of one frame, as far up as the walk is. */
struct frame {
	struct fact_routine routine;
	struct symbols_place place;
	bool is_helper, is_container;
};

static bool is_container(struct symbols *symbols, uint64_t call, const struct fact_routine *routine)
{
	struct fact_routine written = *routine;

	if (strncmp(routine->symbol, "_R", 2) != 0)
		return matches(containers, ARRAY_SIZE(containers), routine->symbol);
	symbols_demangle(symbols, call, &written);
	return matches(containers_v0, ARRAY_SIZE(containers_v0), written.symbol);
}

static int look(struct symbols *symbols, uint64_t ip, struct frame *ret_frame)
{
	/* The call, not what it returns to, which may be another function's. */
	uint64_t call = ip - 1;
	int r = symbols_resolve(symbols, call, &ret_frame->routine);

	if (r < 0)
		return r;
	ret_frame->is_helper = matches(helpers, ARRAY_SIZE(helpers), ret_frame->routine.module);
	ret_frame->is_container = !ret_frame->is_helper && is_container(symbols, call, &ret_frame->routine);
	/* Of code without a file nobody says what it is. */
	return symbols_place(symbols, call, ret_frame->is_helper || ret_frame->is_container, &ret_frame->place);
}

int unwind_caller(struct symbols *symbols, const struct stack_copy *stack, struct fact_blame *ret_blame)
{
	struct unwind_state state;
	bool is_named = false;
	int r = 0;

	begin(stack->registers, stack->bytes, stack->size, &state);
	for (int depth = 0; depth < FRAMES_MAX; depth++) {
		struct frame frame;

		r = look(symbols, state.ip, &frame);
		/* A program that calls the kernel itself has its allocator in it: which function that is for is not known. */
		if (r < 0 || (!depth && !frame.is_helper) || (is_named && frame.is_helper))
			break;
		if (!frame.is_helper) {
			symbols_demangle(symbols, state.ip - 1, &frame.routine);
			name(&frame.routine, frame.place.address, ret_blame);
			is_named = true;
		}
		if (!frame.is_helper && !frame.is_container)
			return 0;
		if (!frame.place.frames || unwind_file_step(frame.place.frames, frame.place.address, &state))
			break;
	}
	/* Nobody above a container: it is all that is known. */
	return is_named ? 0 : r < 0 ? r : -ENOENT;
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
			return r == UNWIND_OUTERMOST ? 0 : r;
	}
	return -ENOENT;
}
