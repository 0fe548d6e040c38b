/* SPDX-License-Identifier: GPL-2.0-only */
/* Code objects of a target, remembered by address: names, line tables, roles. It must not know threads, nor
 * trust that an address still holds what it held. */
#include "cpython_code.h"

#include <errno.h>
#include <stdio.h>

#include "cpython_lines.h"

#define CODES_MAX 4096U
#define SLOTS 8192U /* a power of two, twice the codes */
#define TABLE_BYTES_MAX 65536U
#define TABLES_BYTES_MAX (4U << 20) /* of all line tables together */
#define LOCALS_MAX 64U

struct code_table {
	struct code_info *code[CODES_MAX];
	size_t count, table_bytes;
	uint16_t slot[SLOTS]; /* index + 1; 0: free */
	uint64_t pass;
};

int code_table_new(struct code_table **ret_table)
{
	struct code_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	*ret_table = table;
	return 0;
}

static void code_table_clear(struct code_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		free(table->code[i]->table);
		free(table->code[i]);
	}
	table->count = table->table_bytes = 0;
	memset(table->slot, 0, sizeof(table->slot));
}

void code_table_free(struct code_table *table)
{
	if (!table)
		return;
	code_table_clear(table);
	free(table);
}

void code_table_begin(struct code_table *table)
{
	table->pass++;
	if (table->count > CODES_MAX / 2 || table->table_bytes > TABLES_BYTES_MAX / 2)
		code_table_clear(table);
}

/* The end of a path at a folder's border. */
static bool path_ends(const char *path, const char *end)
{
	size_t length = strlen(path), end_length = strlen(end);

	return length >= end_length && !strcmp(path + length - end_length, end) &&
	       (length == end_length || path[length - end_length - 1] == '/');
}

static enum code_role role_of(const char *path, const char *name)
{
	static const struct {
		const char *file, *function;
		enum code_role role;
	} roles[] = {
		{"threading.py", "_bootstrap", CODE_BOOTSTRAP},
		{"threading.py", "_bootstrap_inner", CODE_BOOTSTRAP_INNER},
		{"threading.py", "run", CODE_THREAD_RUN},
		{"threading.py", NULL, CODE_THREADING},
		{"queue.py", "get", CODE_QUEUE_GET},
		{"concurrent/futures/thread.py", "_worker", CODE_FUTURES_WORKER},
		{"concurrent/futures/process.py", "run", CODE_PROCESSES_MANAGER},
		{"concurrent/futures/process.py", "_queue_management_worker", CODE_PROCESSES_MANAGER}, /* before 3.9 */
		{"multiprocessing/pool.py", "worker", CODE_POOL_WORKER},
		{"multiprocessing/pool.py", "_handle_workers", CODE_POOL_KEEPER},
		{"multiprocessing/pool.py", "_handle_tasks", CODE_POOL_HELPER},
		{"multiprocessing/pool.py", "_handle_results", CODE_POOL_HELPER},
		{"anyio/_backends/_asyncio.py", "run", CODE_ANYIO_WORKER},
	};

	for (size_t i = 0; i < ARRAY_SIZE(roles); i++) {
		if ((!roles[i].function || !strcmp(name, roles[i].function)) &&
		    path_ends(path, roles[i].file))
			return roles[i].role;
	}
	return CODE_PLAIN;
}

static enum process_role process_role_of(const char *path, const char *name)
{
	static const struct {
		const char *file, *function;
		enum process_role role;
	} roles[] = {
		{"concurrent/futures/process.py", "_process_worker", PROCESS_EXECUTOR_WORKER},
		{"multiprocessing/pool.py", "worker", PROCESS_POOL_WORKER},
		{"multiprocessing/process.py", "_bootstrap", PROCESS_MULTIPROCESSING},
		{"multiprocessing/spawn.py", "spawn_main", PROCESS_MULTIPROCESSING},
		{"multiprocessing/forkserver.py", "main", PROCESS_FORK_SERVER},
		{"multiprocessing/resource_tracker.py", "main", PROCESS_RESOURCE_TRACKER},
		{"multiprocessing/semaphore_tracker.py", "main", PROCESS_RESOURCE_TRACKER}, /* before 3.8 */
		{"uvicorn/subprocess.py", "subprocess_started", PROCESS_UVICORN_WORKER}, /* before 0.18 */
		{"uvicorn/_subprocess.py", "subprocess_started", PROCESS_UVICORN_WORKER},
		{"uvicorn/supervisors/multiprocess.py", "run", PROCESS_UVICORN_SUPERVISOR},
		{"uvicorn/supervisors/basereload.py", "run", PROCESS_UVICORN_SUPERVISOR},
		{"gunicorn/workers/base.py", "init_process", PROCESS_GUNICORN_WORKER},
		{"gunicorn/arbiter.py", "run", PROCESS_GUNICORN_MASTER},
	};

	for (size_t i = 0; i < ARRAY_SIZE(roles); i++) {
		if (!strcmp(name, roles[i].function) && path_ends(path, roles[i].file))
			return roles[i].role;
	}
	return PROCESS_ROLE_NONE;
}

/* The last part of the path; of a package's own files the last two, since there are many of one name. */
static void short_file(const char *path, char *out, size_t size)
{
	const char *last = strrchr(path, '/'), *shown = last ? last + 1 : path;

	if (last && !strncmp(shown, "__", 2)) {
		while (last > path && last[-1] != '/')
			last--;
		shown = last;
	}
	text_copy(out, size, shown);
}

/* The identity of what stands there now. */
static int code_stamp(const struct cpython_image *image, uint64_t address, struct code_info *ret_code)
{
	const struct cpython_offsets *at = &image->offsets;
	int r;

	if (!object_is(image, address, image->types.code))
		return -EINVAL;
	ret_code->address = address;
	r = object_pointer(image, address + at->code_filename, &ret_code->filename);
	if (r == 0)
		r = object_pointer(image, address + at->code_name, &ret_code->name);
	if (r == 0)
		r = object_pointer(image, address + at->code_lines, &ret_code->lines);
	if (r == 0)
		r = object_word(image, address + at->code_first_line, &ret_code->first_line);
	return r;
}

#define CODE_NESTED 0x10U /* CO_NESTED: in a function */

/* Is it of a text that a library made up? namedtuple's is a lambda from 3.9 on. */
static bool is_made_up(const struct cpython_image *image, const struct code_info *code, const char *name)
{
	const struct cpython_offsets *at = &image->offsets;
	uint32_t flags, local;

	if (!strcmp(name, "<lambda>"))
		return code_local(image, code, "_cls", &local) == 0 && local == 0;
	if (at->code_qualname)
		return code_is_loose_method(name, code->function);
	return object_word(image, code->address + at->code_flags, &flags) == 0 &&
	       code_is_loose_method_at(name, code->first_line, flags & CODE_NESTED);
}

static int code_read(const struct cpython_image *image, struct code_info *code)
{
	char path[1024], name[FACT_SYMBOL_SIZE];
	uint64_t shown = code->name;
	int r = object_text(image, code->filename, path, sizeof(path));

	if (r == 0)
		r = object_text(image, code->name, name, sizeof(name));
	if (r == 0 && image->offsets.code_qualname)
		r = object_pointer(image, code->address + image->offsets.code_qualname, &shown);
	if (r == 0)
		r = object_text(image, shown, code->function, sizeof(code->function));
	if (r < 0)
		return r;
	code->role = role_of(path, name);
	code->process_role = process_role_of(path, name);
	code->layer = code_layer(path, name);
	if (!strcmp(path, "<string>") && is_made_up(image, code, name))
		code->layer = LAYER_PACKAGE;
	code->package = code->layer == LAYER_PACKAGE ? code_package(path) : 0;
	short_file(path, code->file, sizeof(code->file));
	code->path = text_hash(path);
	return 0;
}

static uint16_t *slot_of(struct code_table *table, uint64_t address)
{
	uint32_t at = (uint32_t)((address * 11400714819323198485ULL) >> 51);

	while (table->slot[at] && table->code[table->slot[at] - 1]->address != address)
		at = (at + 1) & (SLOTS - 1);
	return &table->slot[at];
}

static void forget_table(struct code_table *table, struct code_info *code)
{
	table->table_bytes -= code->table ? code->table_length : 0;
	free(code->table);
	code->table = NULL;
	code->table_length = 0;
	code->last_line = code->last_offset = 0;
}

struct code_info *code_table_get(struct code_table *table, const struct cpython_image *image,
				 uint64_t address)
{
	uint16_t *slot = slot_of(table, address);
	struct code_info now = {0}, *code = *slot ? table->code[*slot - 1] : NULL;

	if (code && code->pass == table->pass)
		return code;
	if (code_stamp(image, address, &now) < 0)
		return NULL;
	if (code && code->filename == now.filename && code->name == now.name && code->lines == now.lines &&
	    code->first_line == now.first_line) {
		code->pass = table->pass;
		return code;
	}
	if (code_read(image, &now) < 0 || (!code && table->count == CODES_MAX))
		return NULL;
	if (!code) {
		code = malloc(sizeof(*code));
		if (!code)
			return NULL;
		table->code[table->count++] = code;
		*slot = (uint16_t)table->count;
	} else {
		forget_table(table, code);
	}
	*code = now;
	code->pass = table->pass;
	return code;
}

static int table_read(struct code_table *table, const struct cpython_image *image, struct code_info *code)
{
	uint64_t length;
	unsigned char *bytes;
	int r;

	if (!object_is(image, code->lines, image->types.bytes))
		return -EINVAL;
	r = object_length(image, code->lines, &length);
	if (r < 0)
		return r;
	if (length > TABLE_BYTES_MAX || table->table_bytes > TABLES_BYTES_MAX)
		return -EINVAL;
	/* Empty (to 3.9) where all code is of the first line. */
	bytes = malloc(length + 1);
	if (!bytes)
		return -ENOMEM;
	r = !length ? 0 : memory_view_read(image->view, code->lines + image->offsets.bytes_data, bytes, length);
	if (r < 0) {
		free(bytes);
		return r;
	}
	code->table = bytes;
	code->table_length = length;
	table->table_bytes += length;
	return 0;
}

uint32_t code_line(struct code_table *table, const struct cpython_image *image, struct code_info *code,
		   uint64_t instruction)
{
	uint32_t minor = image->offsets.minor;
	uint64_t offset;

	if (image->offsets.code_instructions)
		offset = instruction - (code->address + image->offsets.code_instructions);
	else
		offset = (uint64_t)(uint32_t)instruction * (minor == 10 ? 2 : 1);
	/* Not begun yet: before the first instruction (-1 there, or the unit before). */
	if (offset > INT32_MAX)
		return code->first_line;
	if (!code->table && table_read(table, image, code) < 0)
		return 0;
	if (!code->last_line || code->last_offset != offset) {
		code->last_offset = (uint32_t)offset;
		code->last_line = cpython_line(minor, code->table, code->table_length, code->first_line,
					       (uint32_t)offset);
	}
	return code->last_line;
}

int code_local(const struct cpython_image *image, const struct code_info *code, const char *name,
	       uint32_t *ret_index)
{
	uint64_t names, item;
	int r = object_pointer(image, code->address + image->offsets.code_local_names, &names);

	for (uint32_t i = 0; i < LOCALS_MAX && r == 0; i++) {
		r = object_tuple_item(image, names, i, &item);
		if (r == 0 && object_text_is(image, item, name)) {
			*ret_index = i;
			return 0;
		}
	}
	return r ? r : -ENOENT;
}
