/* SPDX-License-Identifier: GPL-2.0-only */
/* Dicts and the attributes of instances, in the layouts of 3.7 to 3.15. It must not know what is looked up,
 * nor trust a count or a pointer that it reads. */
#include "cpython_object.h"

#include <errno.h>

#define ENTRIES_MAX 8192U
#define LOG2_BYTES_MAX 24U

#define TYPE_INLINE_VALUES (1U << 2) /* 3.13 */
#define TYPE_MANAGED_DICT (1U << 4) /* 3.11 */

enum keys_kind { KEYS_GENERAL, KEYS_UNICODE, KEYS_SPLIT };

struct dict_keys {
	uint64_t entries, count;
	uint32_t entry_size;
	uint32_t key; /* offset in the entry; the value stands behind it */
};

static int keys_open(const struct cpython_image *image, uint64_t keys, struct dict_keys *ret_keys)
{
	const struct cpython_offsets *at = &image->offsets;
	uint64_t count, bytes;
	uint8_t kind = KEYS_GENERAL;
	int r;

	if (!keys || keys % 8)
		return -EINVAL;
	r = object_pointer(image, keys + at->keys_count, &count);
	if (r < 0)
		return r;
	if (at->keys_log2_bytes) {
		uint8_t log2;

		r = memory_view_read(image->view, keys + at->keys_log2_bytes, &log2, 1);
		if (r == 0)
			r = memory_view_read(image->view, keys + at->keys_kind, &kind, 1);
		if (r < 0)
			return r;
		if (log2 > LOG2_BYTES_MAX || kind > KEYS_SPLIT)
			return -EINVAL;
		bytes = 1ULL << log2;
	} else {
		r = object_pointer(image, keys + at->keys_size, &bytes);
		if (r < 0)
			return r;
		if (!bytes || bytes > 1ULL << LOG2_BYTES_MAX || (bytes & (bytes - 1)))
			return -EINVAL;
		bytes *= bytes <= 0xff ? 1 : bytes <= 0xffff ? 2 : 4;
		bytes = bytes < 8 ? 8 : bytes;
	}
	if (count > ENTRIES_MAX)
		return -EINVAL;
	*ret_keys = (struct dict_keys){
		.entries = keys + at->keys_indices + bytes,
		.count = count,
		.entry_size = kind == KEYS_GENERAL ? 24 : 16,
		.key = kind == KEYS_GENERAL ? 8 : 0,
	};
	return 0;
}

typedef bool key_test(const struct cpython_image *image, uint64_t key, const void *context);

/* values: of a split table, where they stand; 0: they stand in the entries. */
static int keys_find(const struct cpython_image *image, const struct dict_keys *keys, uint64_t values,
		     key_test *matches, const void *context, uint64_t *ret_value)
{
	for (uint64_t i = 0; i < keys->count; i++) {
		uint64_t entry = keys->entries + i * keys->entry_size, key, value;
		int r = object_pointer(image, entry + keys->key, &key);

		if (r < 0)
			return r;
		if (!key || !matches(image, key, context))
			continue;
		r = object_pointer(image, values ? values + i * 8 : entry + keys->key + 8, &value);
		if (r < 0)
			return r;
		if (!value)
			continue;
		*ret_value = value;
		return 0;
	}
	return -ENOENT;
}

/* ret_values: as keys_find() has it. */
static int dict_open(const struct cpython_image *image, uint64_t dict, struct dict_keys *ret_keys, uint64_t *ret_values)
{
	uint64_t at, values;
	int r;

	if (!object_is(image, dict, image->types.dict))
		return -EINVAL;
	r = object_pointer(image, dict + image->offsets.dict_keys, &at);
	if (r == 0)
		r = object_pointer(image, dict + image->offsets.dict_values, &values);
	if (r == 0)
		r = keys_open(image, at, ret_keys);
	if (r == 0)
		*ret_values = values ? values + image->offsets.values_first : 0;
	return r;
}

int object_dict_find(const struct cpython_image *image, uint64_t dict, key_test *matches, const void *context,
		     uint64_t *ret_value)
{
	struct dict_keys keys;
	uint64_t values;
	int r = dict_open(image, dict, &keys, &values);

	return r ? r : keys_find(image, &keys, values, matches, context, ret_value);
}

int object_dict_each(const struct cpython_image *image, uint64_t dict,
		     int (*visit)(void *context, uint64_t key, uint64_t value), void *context)
{
	struct dict_keys keys;
	uint64_t values;
	int r = dict_open(image, dict, &keys, &values);

	for (uint64_t i = 0; r == 0 && i < keys.count; i++) {
		uint64_t entry = keys.entries + i * keys.entry_size, key, value;

		r = object_pointer(image, entry + keys.key, &key);
		if (r == 0)
			r = object_pointer(image, values ? values + i * 8 : entry + keys.key + 8, &value);
		if (r == 0 && key && value)
			r = visit(context, key, value);
	}
	return r;
}

static bool key_is(const struct cpython_image *image, uint64_t key, const void *context)
{
	return object_text_is(image, key, context);
}

int object_dict_get(const struct cpython_image *image, uint64_t dict, const char *key, uint64_t *ret_value)
{
	return object_dict_find(image, dict, key_is, key, ret_value);
}

/* Where an instance keeps its attributes: a dict, or values whose keys stand in the type. */
struct attributes {
	uint64_t dict, values;
};

static int managed_attributes(const struct cpython_image *image, uint64_t object, uint64_t flags,
			      uint64_t basic_size, struct attributes *attributes)
{
	uint64_t word;
	uint8_t valid;
	int r;

	if (image->offsets.minor == 11) {
		r = object_pointer(image, object - 32, &attributes->values);
		return r < 0 || attributes->values ? r
						   : object_pointer(image, object - 24, &attributes->dict);
	}
	r = object_pointer(image, object - 24, &word);
	if (r < 0)
		return r;
	if (image->offsets.minor == 12) {
		if (word & 1)
			attributes->values = word + 1;
		else
			attributes->dict = word;
		return 0;
	}
	attributes->dict = word;
	if (word || !(flags & TYPE_INLINE_VALUES))
		return 0;
	r = memory_view_read(image->view, object + basic_size + 3, &valid, 1);
	if (r == 0 && valid == 1)
		attributes->values = object + basic_size;
	return r;
}

static int attributes_open(const struct cpython_image *image, uint64_t object, uint64_t type,
			   struct attributes *ret_attributes)
{
	const struct cpython_offsets *at = &image->offsets;
	uint64_t flags, offset, basic_size;
	int r = object_pointer(image, type + at->type_flags, &flags);

	if (r == 0)
		r = object_pointer(image, type + at->type_dict_offset, &offset);
	if (r == 0)
		r = object_pointer(image, type + at->type_basic_size, &basic_size);
	if (r < 0)
		return r;
	*ret_attributes = (struct attributes){0};
	if (basic_size > 4096)
		return -EINVAL;
	if (at->minor >= 11 && flags & TYPE_MANAGED_DICT)
		return managed_attributes(image, object, flags, basic_size, ret_attributes);
	if (!offset || offset > 4096 || offset % 8)
		return -EINVAL;
	return object_pointer(image, object + offset, &ret_attributes->dict);
}

/* PyMemberDef, which a class with __slots__ has one of for each. */
struct slot {
	uint64_t name;
	uint32_t type, unused;
	uint64_t offset, flags, doc;
};

#define SLOT_OBJECT 16 /* T_OBJECT_EX; Py_T_OBJECT_EX from 3.12 on */
#define SLOTS_MAX 64   /* of one class */
#define SLOT_NAME_SIZE 32
#define BASES_MAX 16

static int slot_read(const struct cpython_image *image, uint64_t address, const char *name, struct slot *ret_slot)
{
	char found[SLOT_NAME_SIZE];
	int r = memory_view_read(image->view, address, ret_slot, sizeof(*ret_slot));

	if (r == 0)
		r = object_c_text(image, ret_slot->name, found, sizeof(found));
	if (r < 0)
		return r;
	return strcmp(found, name) == 0 ? 0 : -ENOENT;
}

static int slot_find(const struct cpython_image *image, uint64_t object, uint64_t type, const char *name,
		     uint64_t *ret_value)
{
	struct slot slot;

	for (int depth = 0; type && depth < BASES_MAX; depth++) {
		uint64_t count, slots;
		int r = object_length(image, type, &count);

		if (r == 0 && count)
			r = object_pointer(image, type + image->offsets.type_members, &slots);
		if (r < 0 || count > SLOTS_MAX)
			return r < 0 ? r : -EINVAL;
		for (uint64_t i = 0; i < count; i++) {
			r = slot_read(image, slots + i * sizeof(slot), name, &slot);
			if (r == -ENOENT)
				continue;
			if (r < 0 || slot.type != SLOT_OBJECT || slot.offset > 4096 || slot.offset % 8)
				return r < 0 ? r : -EINVAL;
			r = object_pointer(image, object + slot.offset, ret_value);
			return r < 0 || *ret_value ? r : -ENOENT;
		}
		r = object_pointer(image, type + image->offsets.type_base, &type);
		if (r < 0)
			return r;
	}
	return -ENOENT;
}

static int dict_attribute(const struct cpython_image *image, uint64_t object, uint64_t type, const char *name,
			  uint64_t *ret_value)
{
	struct attributes attributes;
	struct dict_keys keys;
	uint64_t cached;
	int r = attributes_open(image, object, type, &attributes);

	if (r < 0)
		return r;
	if (!attributes.values)
		return attributes.dict ? object_dict_get(image, attributes.dict, name, ret_value) : -ENOENT;
	r = object_pointer(image, type + image->offsets.type_cached_keys, &cached);
	if (r == 0)
		r = keys_open(image, cached, &keys);
	if (r < 0)
		return r;
	return keys_find(image, &keys, attributes.values + image->offsets.values_first, key_is, name,
			 ret_value);
}

int object_attribute(const struct cpython_image *image, uint64_t object, const char *name, uint64_t *ret_value)
{
	uint64_t type;
	int r = object_type(image, object, &type), of_slot;

	if (r < 0)
		return r;
	r = dict_attribute(image, object, type, name, ret_value);
	/* Not in its dict, or it has none (-EINVAL, as of one that changes). */
	if (r != -ENOENT && r != -EINVAL)
		return r;
	of_slot = slot_find(image, object, type, name, ret_value);
	return of_slot == -ENOENT ? r : of_slot;
}

int object_class_attribute(const struct cpython_image *image, uint64_t object, const char *name, uint64_t *ret_value)
{
	uint64_t type, dict;
	int r = object_type(image, object, &type);

	if (r == 0)
		r = object_pointer(image, type + image->offsets.type_dict, &dict);
	return r ? r : object_dict_get(image, dict, name, ret_value);
}
