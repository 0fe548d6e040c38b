/* SPDX-License-Identifier: GPL-2.0-only */
/* Python objects out of a target's memory: texts, integers, attributes, items. Each reading proves the
 * object's type first and is bounded. It must not know what the objects are for. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_OBJECT_H
#define POOLSCOPE_SOURCE_CPYTHON_OBJECT_H

#include "cpython_memory.h"
#include "cpython_offsets.h"

/* Addresses of types and of None, as the target's symbols tell them; 0: not known. */
struct cpython_types {
	uint64_t code, frame, text, integer, real, dict, set, list, tuple, bytes, function, weakref, none;
};

/* How the objects of one interpreter are read. All functions: 0; -EFAULT: not readable; -EINVAL: what stands
 * there is not what was asked for; -ENOENT: no such attribute or key. */
struct cpython_image {
	struct memory_view *view; /* borrowed */
	struct cpython_offsets offsets;
	struct cpython_types types;
};

int object_pointer(const struct cpython_image *image, uint64_t address, uint64_t *ret_pointer);
int object_word(const struct cpython_image *image, uint64_t address, uint32_t *ret_word);
int object_type(const struct cpython_image *image, uint64_t object, uint64_t *ret_type);
/* A NUL-terminated text of C's; cut at size. */
int object_c_text(const struct cpython_image *image, uint64_t address, char *ret_text, size_t size);
/* The type's name as C has it: "_queue.SimpleQueue". */
int object_type_name(const struct cpython_image *image, uint64_t object, char *ret_name, size_t size);
bool object_is(const struct cpython_image *image, uint64_t object, uint64_t type);

/* UTF-8, cut at size; bytes are the target's own, hostile. */
int object_text(const struct cpython_image *image, uint64_t object, char *ret_text, size_t size);
bool object_text_is(const struct cpython_image *image, uint64_t object, const char *text);
int object_integer(const struct cpython_image *image, uint64_t object, int64_t *ret_value);
/* ob_size of a list, a tuple, a deque; the number of items of a set or a dict (and its subtypes). */
int object_length(const struct cpython_image *image, uint64_t object, uint64_t *ret_length);
int object_set_length(const struct cpython_image *image, uint64_t object, uint64_t *ret_length);
int object_dict_length(const struct cpython_image *image, uint64_t object, uint64_t *ret_length);
int object_tuple_item(const struct cpython_image *image, uint64_t object, uint64_t index, uint64_t *ret_item);

/* What a weak reference refers to; None's address when that is gone. */
int object_referent(const struct cpython_image *image, uint64_t object, uint64_t *ret_object);
/* An attribute of the instance itself. */
int object_attribute(const struct cpython_image *image, uint64_t object, const char *name,
		     uint64_t *ret_value);
/* An attribute of its class, not of that one's bases. */
int object_class_attribute(const struct cpython_image *image, uint64_t object, const char *name, uint64_t *ret_value);
/* Of an exact dict: by a text as key, or by another test. */
int object_dict_get(const struct cpython_image *image, uint64_t dict, const char *key, uint64_t *ret_value);
int object_dict_find(const struct cpython_image *image, uint64_t dict,
		     bool (*matches)(const struct cpython_image *image, uint64_t key, const void *context),
		     const void *context, uint64_t *ret_value);
/* Every item. A visit that returns other than 0 ends it, and is returned. */
int object_dict_each(const struct cpython_image *image, uint64_t dict,
		     int (*visit)(void *context, uint64_t key, uint64_t value), void *context);

#endif
