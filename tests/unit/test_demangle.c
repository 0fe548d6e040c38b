/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of C++: what is told, cut or refused; names that stand for gigabytes, and broken ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/demangle.h"

#define UNTOUCHED "untouched"

static const struct {
	const char *symbol, *name; /* NULL: none */
} symbols[] = {
	{ "_ZN4shop5Index9add_blockEi", "shop::Index::add_block" },
	{ "_ZL6workerPv", "worker" },
	{ "_ZL6workerPv.constprop.0", "worker" },
	{ "_ZN12_GLOBAL__N_16workerEPv", "(anonymous namespace)::worker" },
	{ "_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()" },
	{ "_ZN4PoolIiE3runEv", "Pool<int>::run" },
	{ "worker", NULL },
	{ "_Z", NULL },
	{ "", NULL },
	{ "_ZN4shop5Index", NULL },
	{ "_ZN3std6thread17h0123456789abcdefE", "std::thread" }, /* Rust's */
	{ "_ZN3std6thread17h0123456789abcdefE.llvm.11743554154932232861", "std::thread" },
	{ "_ZN3std6thread17h0123456789abcdegE", "std::thread::h0123456789abcdeg" },
	{ "_ZN4core3ptr42drop_in_place$LT$alloc..string..String$GT$17h0123456789abcdefE", NULL },
	{ "_ZN9hashbrown3raw21RawTable$LT$T$C$A$GT$14reserve_rehash17h19e6165bad906e91E", NULL },
	{ "_ZN17h0123456789abcdefE", NULL },
	{ "17h0123456789abcdefE", NULL },
	{ "_ZN3E", NULL },
};

static void symbols_as_a_person_writes_them(void **state)
{
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		char name[64] = UNTOUCHED;

		assert_int_equal(demangle_symbol(symbols[i].symbol, name, sizeof(name)), symbols[i].name != NULL);
		assert_string_equal(name, symbols[i].name ? symbols[i].name : UNTOUCHED);
	}
}

static void what_does_not_fit_is_cut_of_symbols_and_refused_of_types(void **state)
{
	char name[8] = "";

	assert_true(demangle_symbol("_ZN4shop5Index9add_blockEi", name, sizeof(name)));
	assert_string_equal(name, "shop::I");
	assert_false(demangle_type("N4shop5IndexE", name, sizeof(name)));
	assert_string_equal(name, "shop::I");
	assert_true(demangle_type("5Index", name, sizeof(name)));
	assert_string_equal(name, "Index");
	assert_false(demangle_type("", name, sizeof(name)));
}

/* f<a<int, int>, a<a<int, int>, a<int, int>>, ...>: each level twice the one before, in ten letters. */
static void a_name_that_would_fill_the_memory_is_cut(void **state)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char symbol[1024] = "_Z1fI1aIiiE", name[128];
	size_t length = strlen(symbol);

	for (unsigned int level = 1; level < 34; level++)
		length += (size_t)snprintf(symbol + length, sizeof(symbol) - length, "S0_IS%c_S%c_E", digits[level], digits[level]);
	snprintf(symbol + length, sizeof(symbol) - length, "Evv");
	assert_true(demangle_symbol(symbol, name, sizeof(name)));
	assert_int_equal(strlen(name), sizeof(name) - 1);
	assert_memory_equal(name, "f<a<int, int>, a<a<int, int>, a<int, int> >, ", 45);
	assert_false(demangle_type(symbol + 4, name, sizeof(name)));
}

static void broken_names(void **state)
{
	char name[128];

	srand(1);
	for (int round = 0; round < 200000; round++) {
		char symbol[80];
		size_t length = strlen(strcpy(symbol, symbols[round % 6].symbol));

		for (int change = rand() % 4; change >= 0; change--)
			symbol[2 + (size_t)rand() % (length - 2)] = "_ZNKSTIELUcdv0123456789PFM.(\xff"[rand() % 28];
		if (demangle_symbol(symbol, name, sizeof(name)))
			assert_in_range(strlen(name), 1, sizeof(name) - 1);
		if (demangle_type(symbol + 2, name, sizeof(name)))
			assert_in_range(strlen(name), 1, sizeof(name) - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(symbols_as_a_person_writes_them),
		cmocka_unit_test(what_does_not_fit_is_cut_of_symbols_and_refused_of_types),
		cmocka_unit_test(a_name_that_would_fill_the_memory_is_cut),
		cmocka_unit_test(broken_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
