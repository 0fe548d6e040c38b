/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps each pair of function and file once, by a hash. It must not know who runs them. */
#include "functions.h"

#include <errno.h>
#include <string.h>

#define FUNCTIONS_MAX 4096U

void functions_clear(struct functions *functions)
{
	free(functions->function);
	free(functions->buckets);
	*functions = (struct functions){.refused = functions->refused};
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211ULL; /* FNV-1a */
	return (hash ^ 0xff) * 1099511628211ULL;
}

static uint32_t *bucket_of(const struct functions *functions, const struct snapshot_function *wanted)
{
	uint32_t mask = functions->capacity * 2 - 1;
	uint32_t at = (uint32_t)hash_text(hash_text(14695981039346656037ULL, wanted->name), wanted->file) &
		      mask;

	for (;; at = (at + 1) & mask) {
		uint32_t *bucket = &functions->buckets[at];
		const struct snapshot_function *found = *bucket ? &functions->function[*bucket - 1] : NULL;

		if (!found || (!strcmp(found->name, wanted->name) && !strcmp(found->file, wanted->file)))
			return bucket;
	}
}

static void rebuild(struct functions *functions)
{
	memset(functions->buckets, 0, functions->capacity * 2 * sizeof(*functions->buckets));
	for (uint32_t i = 0; i < functions->count; i++)
		*bucket_of(functions, &functions->function[i]) = i + 1;
}

static int functions_grow(struct functions *functions)
{
	uint32_t capacity = functions->capacity ? functions->capacity * 2 : 32; /* powers of two */
	struct snapshot_function *table = reallocarray(functions->function, capacity, sizeof(*table));
	uint32_t *buckets;

	if (!table)
		return -ENOMEM;
	functions->function = table;
	buckets = reallocarray(functions->buckets, capacity * 2, sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	functions->buckets = buckets;
	functions->capacity = capacity;
	rebuild(functions);
	return 0;
}

uint32_t functions_number(struct functions *functions, const char *function, const char *file)
{
	struct snapshot_function wanted;
	uint32_t *bucket;

	if (!*function)
		return FUNCTION_NONE;
	text_copy(wanted.name, sizeof(wanted.name), function);
	text_copy(wanted.file, sizeof(wanted.file), file);
	bucket = functions->capacity ? bucket_of(functions, &wanted) : NULL;
	if (bucket && *bucket)
		return *bucket - 1;
	if (functions->count == FUNCTIONS_MAX ||
	    (functions->count == functions->capacity && functions_grow(functions) < 0)) {
		functions->refused++;
		return FUNCTION_NONE;
	}
	functions->function[functions->count] = wanted;
	*bucket_of(functions, &wanted) = functions->count + 1;
	return functions->count++;
}

bool functions_crowded(const struct functions *functions)
{
	return functions->count > FUNCTIONS_MAX / 2;
}

void functions_keep(struct functions *functions, const bool *used, uint32_t *ret_numbers)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < functions->count; i++) {
		ret_numbers[i] = used[i] ? kept : FUNCTION_NONE;
		if (used[i])
			functions->function[kept++] = functions->function[i];
	}
	functions->count = kept;
	if (functions->capacity)
		rebuild(functions);
}
