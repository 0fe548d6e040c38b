/* SPDX-License-Identifier: GPL-2.0-only */
/* Plain Python objects out of a target's memory: texts, integers, lengths, weak references. It must not know
 * dicts and attributes, nor what the objects are for. */
#include "cpython_object.h"

#include <errno.h>

int object_pointer(const struct cpython_image *image, uint64_t address, uint64_t *ret_pointer)
{
	return memory_view_read(image->view, address, ret_pointer, sizeof(*ret_pointer));
}

int object_word(const struct cpython_image *image, uint64_t address, uint32_t *ret_word)
{
	return memory_view_read(image->view, address, ret_word, sizeof(*ret_word));
}

/* PyObject's ob_type stands behind the reference count on every version. */
int object_type(const struct cpython_image *image, uint64_t object, uint64_t *ret_type)
{
	if (!object || object % 8)
		return -EINVAL;
	return object_pointer(image, object + 8, ret_type);
}

bool object_is(const struct cpython_image *image, uint64_t object, uint64_t type)
{
	uint64_t found;

	return type && object_type(image, object, &found) == 0 && found == type;
}

/* Nothing may be read beyond its end, where memory may end too. */
int object_c_text(const struct cpython_image *image, uint64_t address, char *ret_text, size_t size)
{
	for (size_t i = 0; i + 1 < size; i++) {
		int r = memory_view_read(image->view, address + i, &ret_text[i], 1);

		if (r < 0)
			return r;
		if (!ret_text[i])
			return 0;
	}
	ret_text[size - 1] = '\0';
	return 0;
}

int object_type_name(const struct cpython_image *image, uint64_t object, char *ret_name, size_t size)
{
	uint64_t type, name;
	int r = object_type(image, object, &type);

	if (r == 0)
		r = object_pointer(image, type + image->offsets.type_name, &name);
	return r ? r : object_c_text(image, name, ret_name, size);
}

struct text_shape {
	uint64_t data, length;
	uint32_t kind; /* bytes a character */
	bool ascii;
};

static int text_shape(const struct cpython_image *image, uint64_t object, struct text_shape *ret_shape)
{
	const struct cpython_offsets *at = &image->offsets;
	uint32_t state;
	int r;

	if (!object_is(image, object, image->types.text))
		return -EINVAL;
	r = object_word(image, object + at->text_state, &state);
	if (r == 0)
		r = object_pointer(image, object + at->text_length, &ret_shape->length);
	if (r < 0)
		return r;
	ret_shape->kind = state >> at->text_kind_bit & 7;
	ret_shape->ascii = state >> at->text_ascii_bit & 1;
	/* Compact strings only (the bit behind the kind): others are made by C code from before 3.3. */
	if (!(state >> (at->text_kind_bit + 3) & 1) ||
	    (ret_shape->kind != 1 && ret_shape->kind != 2 && ret_shape->kind != 4))
		return -EINVAL;
	ret_shape->data = object + (ret_shape->ascii ? at->text_ascii_size : at->text_size);
	return 0;
}

static size_t utf8_put(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | (c >> 18 & 7));
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

int object_text(const struct cpython_image *image, uint64_t object, char *ret_text, size_t size)
{
	struct text_shape shape;
	char text[256 * 4] = {0};
	size_t used = 0;
	int r = text_shape(image, object, &shape);

	if (r < 0)
		return r;
	size = size < sizeof(text) ? size : sizeof(text);
	for (uint64_t i = 0; i < shape.length && used + 5 <= size; i++) {
		uint32_t c = 0;

		r = memory_view_read(image->view, shape.data + i * shape.kind, &c, shape.kind);
		if (r < 0)
			return r;
		used += utf8_put(c, text + used);
	}
	memcpy(ret_text, text, used);
	ret_text[used] = '\0';
	return 0;
}

bool object_text_is(const struct cpython_image *image, uint64_t object, const char *text)
{
	size_t length = strlen(text);
	struct text_shape shape;
	char bytes[64];

	return length <= sizeof(bytes) && text_shape(image, object, &shape) == 0 && shape.ascii &&
	       shape.kind == 1 && shape.length == length &&
	       memory_view_read(image->view, shape.data, bytes, length) == 0 && !memcmp(bytes, text, length);
}

int object_integer(const struct cpython_image *image, uint64_t object, int64_t *ret_value)
{
	const struct cpython_offsets *at = &image->offsets;
	uint32_t digit[2] = {0};
	uint64_t size, count;
	bool negative;
	int r;

	if (!object_is(image, object, image->types.integer))
		return -EINVAL;
	r = object_pointer(image, object + at->long_size, &size);
	if (r < 0)
		return r;
	if (at->long_is_tagged) {
		negative = (size & 3) == 2;
		count = size >> 3;
	} else {
		negative = (int64_t)size < 0;
		count = negative ? 0 - size : size;
	}
	if (count > 2) /* beyond 2^60: no count and no address of a user */
		return -EINVAL;
	r = memory_view_read(image->view, object + at->long_digits, digit, count * sizeof(digit[0]));
	if (r < 0)
		return r;
	*ret_value = (int64_t)((uint64_t)(digit[1] & 0x3fffffff) << 30 | (digit[0] & 0x3fffffff)) *
		     (negative ? -1 : 1);
	return 0;
}

static int length_at(const struct cpython_image *image, uint64_t address, uint64_t *ret_length)
{
	uint64_t length;
	int r = object_pointer(image, address, &length);

	if (r < 0)
		return r;
	if (length > UINT32_MAX)
		return -EINVAL;
	*ret_length = length;
	return 0;
}

int object_length(const struct cpython_image *image, uint64_t object, uint64_t *ret_length)
{
	return length_at(image, object + image->offsets.var_size, ret_length);
}

int object_set_length(const struct cpython_image *image, uint64_t object, uint64_t *ret_length)
{
	return object_is(image, object, image->types.set)
		       ? length_at(image, object + image->offsets.set_used, ret_length)
		       : -EINVAL;
}

int object_dict_length(const struct cpython_image *image, uint64_t object, uint64_t *ret_length)
{
	char name[32];

	if (!object_is(image, object, image->types.dict) &&
	    (object_type_name(image, object, name, sizeof(name)) < 0 ||
	     strcmp(name, "collections.OrderedDict") != 0))
		return -EINVAL;
	return length_at(image, object + image->offsets.dict_used, ret_length);
}

int object_tuple_item(const struct cpython_image *image, uint64_t object, uint64_t index, uint64_t *ret_item)
{
	uint64_t length;
	int r;

	if (!object_is(image, object, image->types.tuple))
		return -EINVAL;
	r = object_length(image, object, &length);
	if (r < 0)
		return r;
	return index < length
		       ? object_pointer(image, object + image->offsets.tuple_items + index * 8, ret_item)
		       : -ENOENT;
}

int object_referent(const struct cpython_image *image, uint64_t object, uint64_t *ret_object)
{
	char name[32];

	/* A WeakKeyDictionary's keys are of a subtype. */
	if (!object_is(image, object, image->types.weakref) &&
	    (object_type_name(image, object, name, sizeof(name)) < 0 ||
	     (strcmp(name, "weakref") != 0 && strcmp(name, "weakref.ReferenceType") != 0 &&
	      strcmp(name, "KeyedRef") != 0)))
		return -EINVAL;
	return object_pointer(image, object + image->offsets.weakref_object, ret_object);
}
