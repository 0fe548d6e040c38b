/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses of this process to names: its own functions, libraries, deleted files, code without a file; and
 * object files with broken bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "source/symbols.h"
#include "source/symbols_elf.h"

static struct symbols *symbols;

static int open_symbols(void **state)
{
	return symbols_new((uint32_t)getpid(), NULL, &symbols);
}

static int close_symbols(void **state)
{
	symbols_free(symbols);
	return 0;
}

/* Of code that may have been mapped just now. */
static struct fact_routine resolve(const volatile void *address)
{
	struct fact_routine routine = {0};

	symbols_changed(symbols);
	assert_int_equal(symbols_resolve(symbols, (uint64_t)(uintptr_t)address, &routine), 0);
	return routine;
}

__attribute__((noinline)) static int a_static_function(int x)
{
	__asm__ volatile("" : "+r"(x));
	return x + 1;
}

int an_exported_object = 7;

static void own_functions(void **state)
{
	struct fact_routine routine = resolve((void *)a_static_function);

	assert_string_equal(routine.symbol, "a_static_function");
	assert_string_equal(routine.module, "test_symbols");
	routine = resolve((char *)(uintptr_t)a_static_function + 3);
	assert_string_equal(routine.symbol, "a_static_function");
	assert_int_equal(a_static_function(1), 2);
}

static void functions_of_a_library(void **state)
{
	struct fact_routine routine = resolve((void *)gnu_get_libc_version);

	assert_string_equal(routine.symbol, "gnu_get_libc_version");
	assert_int_equal(strncmp(routine.module, "libc", 4), 0);
}

static void addresses_of_names(void **state)
{
	uint64_t address = 1;

	assert_int_equal(symbols_find(symbols, "libc[.-]*", "gnu_get_libc_version", &address), 0);
	assert_int_equal(address, (uintptr_t)gnu_get_libc_version);
	assert_int_equal(symbols_find(symbols, "test_symbols", "an_exported_object", &address), 0);
	assert_int_equal(address, (uintptr_t)&an_exported_object);
	assert_int_equal(symbols_find(symbols, "test_symbols", "no such symbol", &address), -ENOENT);
	assert_int_equal(symbols_find(symbols, "no such module", "main", &address), -ENOENT);
	assert_int_equal(address, (uintptr_t)&an_exported_object);
}

static void code_without_a_file(void **state)
{
	char *jit = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct fact_routine routine = resolve(jit + 16);

	assert_string_equal(routine.module, "[anon]");
	assert_string_equal(routine.symbol, "");
	munmap(jit, 4096);
	if (getauxval(AT_SYSINFO_EHDR)) {
		routine = resolve((char *)getauxval(AT_SYSINFO_EHDR) + 64);
		assert_string_equal(routine.module, "[vdso]");
	}
}

static void no_code_at_all(void **state)
{
	struct fact_routine routine = {.module = "untouched"};
	int local;

	assert_int_equal(symbols_resolve(symbols, 16, &routine), -ENOENT);
	assert_int_equal(symbols_resolve(symbols, UINT64_MAX, &routine), -ENOENT);
	assert_int_equal(symbols_resolve(symbols, (uint64_t)(uintptr_t)&local, &routine), -ENOENT);
	assert_int_equal(symbols_resolve(symbols, (uint64_t)(uintptr_t)&an_exported_object, &routine), -ENOENT);
	assert_string_equal(routine.module, "untouched");
}

/* The whole file that a symbol of this process comes from. */
static char *file_of(const void *address, size_t *ret_size)
{
	Dl_info info;
	struct stat stat;
	char *bytes;
	int fd;

	assert_int_not_equal(dladdr(address, &info), 0);
	fd = open(info.dli_fname, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &stat), 0);
	bytes = malloc((size_t)stat.st_size);
	assert_non_null(bytes);
	assert_int_equal(read(fd, bytes, (size_t)stat.st_size), stat.st_size);
	close(fd);
	*ret_size = (size_t)stat.st_size;
	return bytes;
}

extern const char *zlibVersion(void);

/* Fills in the file's name; the caller closes it. */
static void *load_deleted(char *path)
{
	int fd = mkstemp(path);
	size_t size;
	char *bytes = file_of((void *)zlibVersion, &size);
	void *library;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
	free(bytes);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	assert_non_null(library);
	unlink(path);
	return library;
}

static void a_deleted_library(void **state)
{
	char path[] = "/tmp/poolscope a\nb-XXXXXX";
	void *library = load_deleted(path), *function = dlsym(library, "zlibVersion");
	struct fact_routine routine;

	assert_ptr_not_equal(function, zlibVersion);
	routine = resolve(function);
	assert_string_equal(routine.module, strrchr(path, '/') + 1);
	/* Without rights for map_files a deleted file cannot be reached: no symbol, but no mistake either. */
	assert_string_equal(routine.symbol, geteuid() == 0 ? "zlibVersion" : "");
	dlclose(library);
}

static void *stay(void *unused)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
	return NULL;
}

static bool has_left(pid_t leader)
{
	char path[64], stat[256] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", leader);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0 && read(fd, stat, sizeof(stat) - 1) > 0);
	close(fd);
	return strstr(stat, ") Z ");
}

/* What /proc shows of its files is closed; what it shows of the thread that lives is not. */
static void a_leader_that_has_gone(void **state)
{
	char path[] = "/tmp/poolscope-XXXXXX";
	void *library = load_deleted(path), *function = dlsym(library, "zlibVersion");
	struct fact_routine routine = {0};
	struct symbols *others;
	pthread_t thread;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		pthread_create(&thread, NULL, stay, NULL);
		syscall(SYS_exit, 0); /* the thread alone */
	}
	while (!has_left(child))
		usleep(1000);
	assert_int_equal(symbols_new((uint32_t)child, NULL, &others), 0);
	assert_int_equal(symbols_resolve(others, (uint64_t)(uintptr_t)function, &routine), 0);
	assert_string_equal(routine.symbol, geteuid() == 0 ? "zlibVersion" : "");
	symbols_free(others);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	dlclose(library);
}

/* ---- one index of a file, whoever has it ------------------------------------------------------------- */

static struct symbol_file *file_at(const char *path)
{
	struct symbol_file *file = NULL;
	int fd = open(path, O_RDONLY);

	assert_int_equal(symbol_file_new(fd, &file), 0);
	close(fd);
	return file;
}

static void one_index_of_a_file(void **state)
{
	struct symbol_file *one = file_at("/proc/self/exe"), *same = file_at("/proc/self/exe"), *kept;
	uint64_t address = 0, again = 0;

	assert_ptr_equal(one, same);
	assert_int_equal(symbol_file_find(one, "one_index_of_a_file", &address), 0);
	symbol_file_free(one);
	assert_int_equal(symbol_file_find(same, "one_index_of_a_file", &again), 0); /* who has it still has it whole */
	assert_int_equal(address, again);
	symbol_file_free(same);
	kept = file_at("/proc/self/exe");
	assert_int_equal(symbol_file_find(kept, "one_index_of_a_file", &again), 0);
	symbol_file_free(kept);
}

static void a_file_that_was_written_to(void **state)
{
	char path[] = "/tmp/poolscope-symbols-XXXXXX";
	struct symbol_file *before, *after;
	size_t size;
	char *bytes = file_of((void *)zlibVersion, &size);
	int fd = mkstemp(path);

	assert_int_equal(write(fd, bytes, size), size);
	before = file_at(path);
	assert_int_equal(futimens(fd, (struct timespec[]){{0, 0}, {0, 1}}), 0); /* the same bytes, at another time */
	after = file_at(path);
	assert_ptr_not_equal(before, after);
	symbol_file_free(before);
	symbol_file_free(after);
	close(fd);
	unlink(path);
	free(bytes);
}

/* ---- hostile files ---------------------------------------------------------------------------------- */

static int load_bytes(const char *bytes, size_t size)
{
	struct symbol_file *file = NULL;
	int fd = memfd_create("elf", 0), r;
	uint64_t address;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	r = symbol_file_new(fd, &file);
	if (r == 0) {
		symbol_file_find(file, "zlibVersion", &address);
		for (uint64_t at = 0; at < size; at += 997)
			symbol_file_at(file, at);
		symbol_file_address(file, size / 2, &address);
	}
	symbol_file_free(file);
	close(fd);
	return r;
}

/* The same numbers at every run: a failure can be repeated. */
static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void broken_bytes(void **state)
{
	size_t size;
	char *bytes = file_of((void *)zlibVersion, &size), *copy = malloc(size);
	uint32_t seed = 1, loaded = 0;

	assert_int_equal(load_bytes(bytes, size), 0);
	for (int round = 0; round < 1500; round++) {
		/* In turn: the file header and segments, the section headers, anywhere. */
		size_t from = round % 3 == 1 ? size - 2048 : 0;
		size_t span = round % 3 == 0 ? 1024 : round % 3 == 1 ? 2048 : size;

		memcpy(copy, bytes, size);
		for (int i = 0; i < 1 + round % 7; i++)
			copy[from + next_random(&seed) % span] = (char)next_random(&seed);
		loaded += load_bytes(copy, size) == 0;
	}
	/* Some must be refused and some must pass, or the corruption hit nothing. */
	assert_true(loaded > 0 && loaded < 1500);
	free(copy);
	free(bytes);
}

static void cut_files(void **state)
{
	size_t size;
	char *bytes = file_of((void *)zlibVersion, &size);

	for (size_t length = 0; length < size; length += length < 128 ? 1 : 4093)
		load_bytes(bytes, length);
	assert_int_equal(load_bytes(bytes, 0), -ENOEXEC);
	assert_int_equal(load_bytes("#!/bin/sh\n", 10), -ENOEXEC);
	bytes[4] = 1; /* ELFCLASS32 */
	assert_int_equal(load_bytes(bytes, size), -ENOEXEC);
	free(bytes);
}

static void what_is_no_file(void **state)
{
	struct symbol_file *file = NULL;
	int fd = open("/dev/zero", O_RDONLY);

	assert_int_equal(symbol_file_new(fd, &file), -ENOEXEC);
	close(fd);
	assert_int_equal(symbol_file_new(-1, &file), -EBADF);
	assert_null(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_functions),
		cmocka_unit_test(one_index_of_a_file),
		cmocka_unit_test(a_file_that_was_written_to),
		cmocka_unit_test(functions_of_a_library),
		cmocka_unit_test(addresses_of_names),
		cmocka_unit_test(code_without_a_file),
		cmocka_unit_test(no_code_at_all),
		cmocka_unit_test(a_deleted_library),
		cmocka_unit_test(a_leader_that_has_gone),
		cmocka_unit_test(broken_bytes),
		cmocka_unit_test(cut_files),
		cmocka_unit_test(what_is_no_file),
	};

	return cmocka_run_group_tests(tests, open_symbols, close_symbols);
}
