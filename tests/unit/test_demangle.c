/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of C++ and Rust: what is told, cut or refused; names that stand for gigabytes, and broken ones. */
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
	{ "_ZN4core3ptr42drop_in_place$LT$alloc..string..String$GT$17h0123456789abcdefE",
	  "core::ptr::drop_in_place<alloc::string::String>" },
	{ "_ZN9hashbrown3raw21RawTable$LT$T$C$A$GT$14reserve_rehash17h19e6165bad906e91E",
	  "hashbrown::raw::RawTable<T,A>::reserve_rehash" },
	{ "_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar" }, /* v0 */
	{ "_RNvNvMs0_NtNtNtCsjrHSEGnQ3l9_3std3sys6thread4unixNtB7_6Thread3new12thread_start",
	  "<std::sys::thread::unix::Thread>::new::thread_start" },
	{ "_RNvMs_Cs_3appINtB4_5StackjE4push", "<app::Stack<usize>>::push" },
	{ "_RNvXs_Cs_3appNtB4_3FooNtB4_3Bar3baz.llvm.11743554154932232861", "<app::Foo as app::Bar>::baz" },
	{ "_RNCNvCs_3app4main0B3_", "app::main::{closure#0}" },
	{ "_RNvCs_3appu8gdel_5qa", "app::g\xc3\xb6" "del" },
	{ "_RNvNvNtCslNYArtu3iFV_5alloc3fmt6format12format_inner", "alloc::fmt::format::format_inner" },
	{ "_RINvCs_3appu8gdel_5qaTBBBBBBBBBBBBBEE", NULL }, /* with so many Bs it might be gigabytes */
	{ "_RNvCs_3app", NULL },
	{ "_R", NULL },
	{ "_ZN17h0123456789abcdefE", "h0123456789abcdef" },
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

/* A pair of what the pair before it is: each level twice the one before. */
static void so_is_one_of_rust(void **state)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char symbol[1024] = "_RINvC1a1fTmmE", name[128];
	size_t length = strlen(symbol), last = strlen("INvC1a1f");

	while (length < 800) {
		char back[8];
		size_t at = length - 2;

		if (last < 63)
			snprintf(back, sizeof(back), "B%c_", digits[last - 1]);
		else
			snprintf(back, sizeof(back), "B%c%c_", digits[(last - 1) / 62], digits[(last - 1) % 62]);
		length += (size_t)snprintf(symbol + length, sizeof(symbol) - length, "T%s%sE", back, back);
		last = at;
	}
	snprintf(symbol + length, sizeof(symbol) - length, "E");
	assert_true(demangle_symbol(symbol, name, sizeof(name)));
	assert_int_equal(strlen(name), sizeof(name) - 1);
	assert_memory_equal(name, "a::f::<(u32, u32), ((u32, u32), (u32, u32)), (((", 48);
}

static void broken_names(void **state)
{
	char name[128];

	srand(1);
	for (int round = 0; round < 200000; round++) {
		char symbol[128];
		size_t length = strlen(strcpy(symbol, symbols[(size_t)round % (sizeof(symbols) / sizeof(symbols[0]))].symbol));

		for (int change = rand() % 4; change >= 0 && length > 2; change--)
			symbol[2 + (size_t)rand() % (length - 2)] = "_ZNKSTIELUcdv0123456789PFM.(BCRsux$\xff"[rand() % 36];
		if (demangle_symbol(symbol, name, sizeof(name)))
			assert_in_range(strlen(name), 1, sizeof(name) - 1);
		if (length > 2 && demangle_type(symbol + 2, name, sizeof(name)))
			assert_in_range(strlen(name), 1, sizeof(name) - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(symbols_as_a_person_writes_them),
		cmocka_unit_test(what_does_not_fit_is_cut_of_symbols_and_refused_of_types),
		cmocka_unit_test(a_name_that_would_fill_the_memory_is_cut),
		cmocka_unit_test(so_is_one_of_rust),
		cmocka_unit_test(broken_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
