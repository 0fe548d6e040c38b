/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses of a target to symbols and modules: which file is mapped where, and one index of symbols a file.
 * It must not know what the addresses are for. */
#include "symbols.h"
#include "../boottime.h"
#include "demangle.h"
#include "procfs_internal.h"
#include "symbols_elf.h"
#include "unwind_elf.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MODULES_MAX 4096U
#define MAPPINGS_MAX 65536U

struct module {
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	char name[FACT_NAME_SIZE * 4]; /* base name */
	char *path;
	bool tried, frames_tried;
	struct symbol_file *file; /* NULL: not tried, or not readable */
	struct unwind_file *frames; /* NULL: not tried, or it has none */
};

struct code_mapping {
	uint64_t start, end, offset;
	uint32_t module; /* index; NO_MODULE: anonymous */
	bool executable;
};

#define NO_MODULE UINT32_MAX

struct symbols {
	uint32_t pid;
	struct procfs *procfs;
	struct code_mapping *mappings; /* ascending, as maps has them */
	size_t n_mappings, room;
	struct module *modules;
	size_t n_modules;
	uint64_t opened;
	uint64_t read_ns; /* when its mappings were */
};

int symbols_new(uint32_t pid, const char *procfs, struct symbols **ret_symbols)
{
	_cleanup_(symbols_freep) struct symbols *symbols = calloc(1, sizeof(*symbols));
	int r;

	if (!symbols)
		return -ENOMEM;
	symbols->pid = pid;
	r = procfs_open_files(procfs, &symbols->procfs);
	if (r < 0)
		return r;
	*ret_symbols = TAKE_PTR(symbols);
	return 0;
}

void symbols_free(struct symbols *symbols)
{
	if (!symbols)
		return;
	for (size_t i = 0; i < symbols->n_modules; i++) {
		symbol_file_free(symbols->modules[i].file);
		unwind_file_free(symbols->modules[i].frames);
		free(symbols->modules[i].path);
	}
	free(symbols->modules);
	free(symbols->mappings);
	procfs_free(symbols->procfs);
	free(symbols);
}

/* The kernel's own mappings ([vdso]) have no inode: there the name is the identity. */
static int module_get(struct symbols *symbols, const struct proc_mapping *mapping, uint32_t *ret_index)
{
	struct module module = {mapping->inode, mapping->dev_major, mapping->dev_minor, .path = NULL}, *grown;
	char path[PATH_MAX];
	const char *base;

	proc_unescape_path(mapping->path, path, sizeof(path));
	base = strrchr(path, '/');
	snprintf(module.name, sizeof(module.name), "%.63s", base ? base + 1 : path);
	for (size_t i = symbols->n_modules; i-- > 0;) {
		const struct module *known = &symbols->modules[i];

		if (known->inode == module.inode && known->dev_major == module.dev_major &&
		    known->dev_minor == module.dev_minor && (module.inode || !strcmp(known->name, module.name))) {
			*ret_index = (uint32_t)i;
			return 0;
		}
	}
	if (symbols->n_modules == MODULES_MAX)
		return -ENOSPC;
	grown = reallocarray(symbols->modules, symbols->n_modules + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	symbols->modules = grown;
	module.path = strdup(path);
	if (!module.path)
		return -ENOMEM;
	*ret_index = (uint32_t)symbols->n_modules;
	symbols->modules[symbols->n_modules++] = module;
	return 0;
}

static int mapping_visit(void *context, const struct proc_mapping *mapping)
{
	struct symbols *symbols = context;
	struct code_mapping code = {
		.start = mapping->start, .end = mapping->end, .offset = mapping->offset, .module = NO_MODULE,
		.executable = mapping->protection & PROT_EXEC,
	};
	int r;

	/* Data of files is kept too: it tells where their objects lie. */
	if (!code.executable && !mapping->inode)
		return 0;
	if (symbols->n_mappings == MAPPINGS_MAX)
		return 1;
	if (mapping->path[0] && strncmp(mapping->path, "[anon", 5) != 0) {
		r = module_get(symbols, mapping, &code.module);
		if (r == -ENOSPC)
			return 0;
		if (r < 0)
			return r;
	}
	if (TABLE_GROW(symbols->mappings, symbols->n_mappings, symbols->room, 256))
		return -ENOMEM;
	symbols->mappings[symbols->n_mappings++] = code;
	return 0;
}

/* Who looks for several things in a row finds them, or does not, by one reading: of 60,000 mappings it takes 20 ms. */
#define FRESH_NS (50 * NSEC_PER_MSEC)

static int symbols_refresh(struct symbols *symbols)
{
	int r;

	if (symbols->n_mappings && boottime() - symbols->read_ns < FRESH_NS)
		return 0;
	symbols->n_mappings = 0;
	r = procfs_each_mapping(symbols->procfs, symbols->pid, mapping_visit, symbols);
	symbols->read_ns = boottime();
	return r;
}

static int open_fits(const struct symbols *symbols, const struct module *module, int fd, bool same_mount)
{
	struct stat stat;

	/* map_files leads to the mapped file itself; a path may lead to another by now. */
	if (fd >= 0 && !same_mount && (fstat(fd, &stat) < 0 || stat.st_ino != module->inode)) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

/* By map_files where the rights suffice (CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN), which reaches deleted files, foreign
 * mounts and the files of a chroot, whose paths are told as we see them; else by the path as the target sees it.
 * O_NONBLOCK: a path may have become a FIFO. */
static int module_open(struct symbols *symbols, const struct module *module, const struct code_mapping *mapping)
{
	int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, fd;
	char path[PATH_MAX + 64];
	struct proc_dir dir;

	/* Both are closed with the leader gone, but not those of a thread that lives. */
	if (procfs_living(symbols->procfs, symbols->pid, &dir) < 0)
		return -ESRCH;
	fd = procfs_openf(symbols->procfs, flags, "%u/map_files/%llx-%llx", dir.tid,
			  (unsigned long long)mapping->start, (unsigned long long)mapping->end);
	if (fd >= 0)
		return open_fits(symbols, module, fd, true);
	snprintf(path, sizeof(path), "%s/root/%s", dir.path, module->path);
	fd = openat(symbols->procfs->fd, path, flags);
	return fd < 0 ? -errno : open_fits(symbols, module, fd, false);
}

static const struct symbol_file *module_file(struct symbols *symbols, const struct code_mapping *mapping)
{
	struct module *module = &symbols->modules[mapping->module];

	if (!module->tried && module->inode) {
		_cleanup_(close_fd) int fd = module_open(symbols, module, mapping);

		module->tried = true;
		symbols->opened++;
		if (fd >= 0)
			symbol_file_new(fd, &module->file);
	}
	return module->file;
}

static const struct unwind_file *module_frames(struct symbols *symbols, const struct code_mapping *mapping)
{
	struct module *module = &symbols->modules[mapping->module];

	if (!module->frames_tried && module->inode) {
		int fd = module_open(symbols, module, mapping);

		module->frames_tried = true;
		symbols->opened++;
		if (fd >= 0)
			(void)unwind_file_new(fd, &module->frames);
	}
	return module->frames;
}

static const struct code_mapping *mapping_find(const struct symbols *symbols, uint64_t address)
{
	size_t low = 0, high = symbols->n_mappings;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (symbols->mappings[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < symbols->n_mappings && symbols->mappings[low].start <= address &&
			       symbols->mappings[low].executable ? &symbols->mappings[low] : NULL;
}

/* Of the code at the mapping; NULL: it has none, or its file could not be read. */
static const char *symbol_name(struct symbols *symbols, const struct code_mapping *mapping, uint64_t address)
{
	const struct symbol_file *file = module_file(symbols, mapping);
	uint64_t at;

	if (!file || symbol_file_address(file, address - mapping->start + mapping->offset, &at) < 0)
		return NULL;
	return symbol_file_at(file, at);
}

int symbols_resolve(struct symbols *symbols, uint64_t address, struct fact_routine *ret_routine)
{
	const struct code_mapping *mapping = mapping_find(symbols, address);
	const char *name;

	if (!mapping) {
		int r = symbols_refresh(symbols);

		if (r < 0)
			return r;
		mapping = mapping_find(symbols, address);
	}
	if (!mapping)
		return -ENOENT;
	ret_routine->symbol[0] = '\0';
	if (mapping->module == NO_MODULE) {
		snprintf(ret_routine->module, sizeof(ret_routine->module), "[anon]");
		return 0;
	}
	snprintf(ret_routine->module, sizeof(ret_routine->module), "%s", symbols->modules[mapping->module].name);
	name = symbol_name(symbols, mapping, address);
	snprintf(ret_routine->symbol, sizeof(ret_routine->symbol), "%.127s", name ? name : "");
	return 0;
}

void symbols_demangle(struct symbols *symbols, uint64_t address, struct fact_routine *routine)
{
	const struct code_mapping *mapping = mapping_find(symbols, address);
	/* Not of what stands in `routine`, where it may have been cut. */
	const char *name = mapping && mapping->module != NO_MODULE ? symbol_name(symbols, mapping, address) : NULL;

	if (name)
		(void)demangle_symbol(name, routine->symbol, sizeof(routine->symbol));
}

bool symbols_is_code(struct symbols *symbols, uint64_t address)
{
	/* Only if they are forgotten: most of what is asked for here is no code, and is asked for at each birth. */
	if (!symbols->n_mappings && symbols_refresh(symbols) < 0)
		return false;
	return mapping_find(symbols, address);
}

int symbols_place(struct symbols *symbols, uint64_t address, bool with_frames, struct symbols_place *ret_place)
{
	const struct code_mapping *mapping = mapping_find(symbols, address);
	const struct symbol_file *file = mapping && mapping->module != NO_MODULE ? module_file(symbols, mapping) : NULL;
	struct symbols_place place = {0};

	if (!file || symbol_file_address(file, address - mapping->start + mapping->offset, &place.address) < 0)
		return -ENOENT;
	if (with_frames)
		place.frames = module_frames(symbols, mapping);
	*ret_place = place;
	return 0;
}

void symbols_changed(struct symbols *symbols)
{
	symbols->n_mappings = 0;
}

uint64_t symbols_opened(const struct symbols *symbols)
{
	return symbols->opened;
}

static int find_in_modules(struct symbols *symbols, const char *module, const char *symbol, uint64_t *ret_address)
{
	uint64_t value, base;

	for (size_t i = 0; i < symbols->n_mappings; i++) {
		const struct code_mapping *mapping = &symbols->mappings[i];
		const struct symbol_file *file;

		if (mapping->module == NO_MODULE || fnmatch(module, symbols->modules[mapping->module].name, 0) != 0)
			continue;
		file = module_file(symbols, mapping);
		if (!file || symbol_file_find(file, symbol, &value) < 0 ||
		    symbol_file_address(file, mapping->offset, &base) < 0)
			continue;
		*ret_address = mapping->start + (value - base);
		return 0;
	}
	return -ENOENT;
}

int symbols_find(struct symbols *symbols, const char *module, const char *symbol, uint64_t *ret_address)
{
	int r = find_in_modules(symbols, module, symbol, ret_address);

	if (r == -ENOENT)
		r = symbols_refresh(symbols);
	return r < 0 ? r : find_in_modules(symbols, module, symbol, ret_address);
}
