/* SPDX-License-Identifier: GPL-2.0-only */
/* The state objects of std::thread, built here as libstdc++ lays them out, and as nothing does. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "source/cplusplus.h"

#define STATE(callable) "NSt6thread11_State_implINS_8_InvokerISt5tupleIJ" callable "EEEEEE"
#define CODE(function) ((uint64_t)(uintptr_t)(function))

struct class {
	uint64_t to_top, type, functions[3];
};

struct type {
	uint64_t functions;
	const char *name;
};

struct state {
	const uint64_t *functions;
	uint64_t words[4];
};

static struct symbols *symbols;
static struct cplusplus known;

__attribute__((noinline)) static void decode(void)
{
	__asm__ volatile("");
}

__attribute__((noinline)) static void run(void)
{
	__asm__ volatile("");
}

static int open_symbols(void **state)
{
	return symbols_new((uint32_t)getpid(), NULL, &symbols);
}

static int close_symbols(void **state)
{
	symbols_free(symbols);
	return 0;
}

static int forget(void **state)
{
	cplusplus_clear(&known);
	return 0;
}

static int look(const void *state, uint64_t *ret_address, struct fact_routine *ret_routine)
{
	*ret_address = 0;
	memset(ret_routine, 0, sizeof(*ret_routine));
	return cplusplus_callable(&known, (uint32_t)getpid(), NULL, symbols, (uint32_t)gettid(), CODE(state), ret_address,
				  ret_routine);
}

/* Word by word a pointer to data, but for one function: the word of the object (counted behind its first) that is told. */
static const struct {
	const char *type, *symbol; /* "": the function; NULL: nothing */
	unsigned int word;
} callables[] = {
	{ STATE("PFvvE"), "", 0 },
	{ STATE("PDoFvvE"), "", 0 },
	{ STATE("PFviEi"), "", 1 },
	{ STATE("PFviiEii"), "", 1 },
	{ STATE("PFvibEib"), "", 1 },
	{ STATE("PFvcicEcic"), "", 2 }, /* c at 8, i at 12, c at 16 */
	{ STATE("PFvPKcldEPKcld"), "", 3 },
	{ STATE("PFvPFvvEiES4_i"), "", 2 },
	{ STATE("PFv4ShopESt17reference_wrapperIS3_E"), "", 1 },
	{ STATE("PFvSt10shared_ptrI4ShopEES5_"), "", 2 },
	{ STATE("PFvSt6vectorIiSaIiEEES5_"), "", 3 },
	{ STATE("M4ShopFvvEPS3_"), "", 1 },
	{ STATE("PFv4ShopES3_"), NULL, 1 }, /* who knows how large it is */
	{ STATE("PFveEe"), NULL, 2 },
	{ STATE("PFviEi"), NULL, 2 }, /* no code where it should be */
	{ STATE("Z4mainEUlvE_"), "main::{lambda()#1}", 0 },
	{ "*" STATE("Z4mainEUlvE0_"), "main::{lambda()#2}", 0 },
	{ STATE("ZN4Shop5startEvEUlvE_"), "Shop::start()::{lambda()#1}", 0 },
	{ STATE("N3app7FunctorEiPi"), "app::Functor", 0 },
	{ STATE("4PoolIiSt5arrayIiLm3EEE"), "Pool<int, std::array<int, 3ul> >", 0 },
	{ STATE("St8functionIFvvEE"), "std::function<void ()>", 0 },
	{ STATE("MNSt13__future_base17_Async_state_implINS1_IS2_IJPFvvEEEEEvEEFvvEPS8_"), "std::async", 0 },
	{ STATE(""), NULL, 0 },
	{ "NSt6thread11_State_implINS_8_InvokerISt5tupleIJ4Shop", NULL, 0 }, /* no name */
	{ "NSt6thread11_State_implI4ShopEE", NULL, 0 },
	{ "4Shop", NULL, 0 },
	{ "", NULL, 0 },
};

static void what_a_thread_calls(void **state)
{
	for (size_t i = 0; i < sizeof(callables) / sizeof(callables[0]); i++) {
		struct type type = {.name = callables[i].type};
		struct class class = {.type = CODE(&type), .functions = {CODE(run), CODE(run), CODE(run)}};
		struct state object = {class.functions, {CODE(&type), CODE(&type), CODE(&type), CODE(&type)}};
		struct fact_routine routine;
		uint64_t address;

		object.words[callables[i].word] = CODE(decode);
		cplusplus_clear(&known);
		/* The second time from memory. */
		for (int again = 0; again < 2; again++) {
			assert_int_equal(look(&object, &address, &routine), callables[i].symbol ? 0 : -ENOENT);
			assert_int_equal(address, callables[i].symbol && !*callables[i].symbol ? CODE(decode) : 0);
			assert_string_equal(routine.symbol, callables[i].symbol ? callables[i].symbol : "");
			assert_string_equal(routine.module, address || !callables[i].symbol ? "" : "test_cplusplus");
		}
	}
}

static void what_is_no_such_object_is_refused(void **state)
{
	struct type type = {.name = STATE("PFvvE")};
	struct class class = {.type = CODE(&type), .functions = {CODE(run), CODE(run), CODE(run)}};
	struct state object = {class.functions, {0}};
	struct fact_routine routine;
	uint64_t address;

	assert_int_equal(look(&object, &address, &routine), -ENOENT); /* no function where it should be */
	cplusplus_clear(&known);
	class.functions[2] = CODE(&type); /* no code */
	assert_int_equal(look(&object, &address, &routine), -ENOENT);
	class.functions[2] = CODE(run);
	class.to_top = 8;
	assert_int_equal(look(&object, &address, &routine), -ENOENT);
	class.to_top = class.type = 0; /* -fno-rtti */
	assert_int_equal(look(&object, &address, &routine), -ENOENT);
	for (uint64_t bad = 0; bad < 64; bad++) {
		object.functions = (uint64_t *)(uintptr_t)(bad * 0x0410410410410411ULL);
		assert_int_equal(look(&object, &address, &routine), -ENOENT);
		assert_int_equal(look(object.functions, &address, &routine), -ENOENT);
	}
	assert_int_equal(known.count, 0);
}

/* Memory ends behind the object, or behind the name. */
static void at_the_end_of_a_mapping(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static const char name[] = STATE("PFvvE");
	struct type type = {.name = memory + page - sizeof(name)};
	struct class class = {.type = CODE(&type), .functions = {CODE(run), CODE(run), CODE(run)}};
	uint64_t *object = (uint64_t *)(memory + page) - 2, address;
	struct fact_routine routine;

	assert_ptr_not_equal(memory, MAP_FAILED);
	munmap(memory + page, page);
	memcpy((char *)type.name - 16, name, sizeof(name));
	type.name -= 16;
	object[0] = CODE(class.functions);
	object[1] = CODE(decode);
	assert_int_equal(look(object, &address, &routine), 0);
	assert_int_equal(address, CODE(decode));
	assert_int_equal(look(object + 1, &address, &routine), -ENOENT);
	cplusplus_clear(&known);
	memset(memory, 'a', page - 16); /* a name without an end */
	assert_int_equal(look(object, &address, &routine), -ENOENT);
	munmap(memory, page);
}

/* As many classes as a program likes, of which a part is kept. */
static void classes_are_bounded(void **state)
{
	static struct class class[1000];
	struct type type = {.name = STATE("Z4mainEUlvE_")};
	struct fact_routine routine;
	uint64_t address;

	for (size_t i = 0; i < sizeof(class) / sizeof(class[0]); i++) {
		struct state object = {class[i].functions, {0}};

		class[i] = (struct class){.type = CODE(&type), .functions = {CODE(run), CODE(run), CODE(run)}};
		assert_int_equal(look(&object, &address, &routine), 0);
		assert_string_equal(routine.symbol, "main::{lambda()#1}");
	}
	assert_int_equal(known.count, 256);
}

static void anything_at_all(void **state)
{
	static unsigned char memory[4096];
	struct fact_routine routine;
	uint64_t address;

	srand(1);
	for (int round = 0; round < 20000; round++) {
		for (size_t i = 0; i < sizeof(memory); i += 8) {
			/* Words, most of which point somewhere into these. */
			uint64_t word = rand() % 4 ? CODE(memory) + (unsigned int)rand() % sizeof(memory) : (uint64_t)rand();

			word = rand() % 8 ? word : CODE(run);
			memcpy(memory + i, &word, sizeof(word));
		}
		strcpy((char *)memory + 512, STATE("PFvvE"));
		(void)look(memory + (unsigned int)rand() % 2048, &address, &routine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_a_thread_calls, forget),
		cmocka_unit_test_teardown(what_is_no_such_object_is_refused, forget),
		cmocka_unit_test_teardown(at_the_end_of_a_mapping, forget),
		cmocka_unit_test_teardown(classes_are_bounded, forget),
		cmocka_unit_test_teardown(anything_at_all, forget),
	};

	return cmocka_run_group_tests(tests, open_symbols, close_symbols);
}
