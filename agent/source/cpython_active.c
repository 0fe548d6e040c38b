/* SPDX-License-Identifier: GPL-2.0-only */
/* The Thread objects of the threads that run, by threading's own table. It must not know frames, nor what the objects
 * are asked for. */
#include "cpython_active.h"

#define INTEGER_BYTES 32U /* of an int that holds a pthread_self() */

void active_clear(struct active_threads *active)
{
	free(active->thread);
	*active = (struct active_threads){.thread = NULL};
}

void active_begin(struct active_threads *active)
{
	active->count = 0;
	/* Of interpreters that have ended, too. */
	if (active->n_tables == ACTIVE_TABLES_MAX)
		active->n_tables = 0;
	for (size_t i = 0; i < active->n_tables; i++)
		active->table[i].is_read = false;
}

static struct active_table *table_of(struct active_threads *active, uint64_t interp)
{
	for (size_t i = 0; i < active->n_tables; i++) {
		if (active->table[i].interp == interp)
			return &active->table[i];
	}
	if (active->n_tables == ACTIVE_TABLES_MAX)
		return NULL;
	active->table[active->n_tables] = (struct active_table){.interp = interp};
	return &active->table[active->n_tables++];
}

void active_hint(struct active_threads *active, const struct cpython_image *image, uint64_t interp, uint64_t globals)
{
	struct active_table *table = table_of(active, interp);
	uint64_t dict;

	if (table && !table->dict && object_dict_get(image, globals, "_active", &dict) == 0)
		table->dict = dict;
}

static int table_look_up(const struct cpython_image *image, struct active_table *table)
{
	uint64_t modules, module;
	int r = image->offsets.interp_modules ? 0 : -EINVAL;

	if (r == 0)
		r = object_pointer(image, table->interp + image->offsets.interp_modules, &modules);
	if (r == 0)
		r = object_dict_get(image, modules, "threading", &module);
	if (r == 0)
		r = object_attribute(image, module, "_active", &table->dict);
	return r;
}

struct visit {
	struct active_threads *active;
	const struct cpython_image *image;
	uint64_t interp;
};

/* The key is read later, by one call for all. */
static int table_note(void *context, uint64_t key, uint64_t value)
{
	struct visit *visit = context;
	struct active_threads *active = visit->active;

	if (TABLE_GROW(active->thread, active->count, active->capacity, 32))
		return -ENOMEM;
	active->thread[active->count++] = (struct active_thread){visit->interp, key, value};
	memory_view_want(visit->image->view, key, INTEGER_BYTES);
	return 0;
}

static int compare_active(const void *a, const void *b)
{
	const struct active_thread *first = a, *second = b;
	int order = compare_u64(first->interp, second->interp);

	return order ? order : compare_u64(first->pthread, second->pthread);
}

/* A table always has the main thread: without one entry it is none. */
static int table_read(struct active_threads *active, const struct cpython_image *image, struct active_table *table)
{
	struct visit visit = {active, image, table->interp};
	size_t first = active->count, kept = first;
	int r = object_dict_each(image, table->dict, table_note, &visit);

	memory_view_fetch(image->view);
	for (size_t i = first; i < active->count; i++) {
		int64_t number;

		if (object_integer(image, active->thread[i].pthread, &number) < 0)
			continue;
		active->thread[kept] = active->thread[i];
		active->thread[kept++].pthread = (uint64_t)number;
	}
	active->count = kept;
	if (kept > first)
		qsort(active->thread, active->count, sizeof(*active->thread), compare_active);
	return r == 0 && kept == first ? -EINVAL : r;
}

/* A program that has not imported threading has no Thread. */
static int table_get(struct active_threads *active, const struct cpython_image *image, uint64_t interp)
{
	struct active_table *table = table_of(active, interp);

	if (!table)
		return -EINVAL;
	if (table->is_read)
		return table->error;
	table->is_read = true;
	table->error = table->dict ? 0 : table_look_up(image, table);
	if (table->error == 0)
		table->error = table_read(active, image, table);
	if (table->error < 0)
		table->dict = 0;
	return table->error;
}

int active_find(struct active_threads *active, const struct cpython_image *image, uint64_t interp, uint64_t pthread,
		uint64_t *ret_object)
{
	const struct active_thread wanted = {.interp = interp, .pthread = pthread}, *found;
	int r = table_get(active, image, interp);

	if (r < 0)
		return r;
	found = bsearch(&wanted, active->thread, active->count, sizeof(wanted), compare_active);
	if (!found)
		return -ENOENT;
	*ret_object = found->object;
	return 0;
}
