/* SPDX-License-Identifier: GPL-2.0-only */
/* Names the target of a Thread object as its program would: "time.sleep", "Event.wait" of threading.py. It must not know
 * what the name is for. */
#include "cpython_target.h"

#include <errno.h>
#include <stdio.h>

/* A function of a module knows the module's name; a method of an object of C has the object. */
static int builtins_owner(const struct cpython_image *image, uint64_t object, char *ret_owner, size_t size)
{
	uint64_t module, self;
	int r = object_pointer(image, object + image->offsets.builtin_module, &module);

	if (r == 0 && object_is(image, module, image->types.text))
		return object_text(image, module, ret_owner, size);
	if (r == 0)
		r = object_pointer(image, object + image->offsets.builtin_self, &self);
	return r ? r : object_type_name(image, self, ret_owner, size);
}

static int name_builtin(const struct cpython_image *image, uint64_t object, struct target_name *ret_name)
{
	char name[48], owner[64];
	uint64_t method, at;
	int r = object_pointer(image, object + image->offsets.builtin_method, &method);

	if (r == 0)
		r = object_pointer(image, method + image->offsets.method_name, &at);
	if (r == 0)
		r = object_c_text(image, at, name, sizeof(name));
	if (r == 0)
		r = builtins_owner(image, object, owner, sizeof(owner));
	if (r < 0)
		return r;
	snprintf(ret_name->function, sizeof(ret_name->function), "%s.%s", owner, name);
	ret_name->is_builtin = true;
	return 0;
}

/* self: whose method it is; 0: nobody's. */
static int name_function(const struct cpython_image *image, struct code_table *codes, uint64_t function, uint64_t self,
			 struct target_name *ret_name)
{
	const struct code_info *code;
	char type[64];
	uint64_t at;
	int r = object_is(image, function, image->types.function)
			? object_pointer(image, function + image->offsets.function_code, &at)
			: -EINVAL;

	if (r < 0)
		return r;
	code = code_table_get(codes, image, at);
	if (!code)
		return -EINVAL;
	memcpy(ret_name->file, code->file, sizeof(ret_name->file));
	ret_name->path = code->path;
	/* Before 3.11 code does not know its class. */
	if (self && !image->offsets.code_qualname && object_type_name(image, self, type, sizeof(type)) == 0)
		snprintf(ret_name->function, sizeof(ret_name->function), "%s.%.60s", type, code->function);
	else
		memcpy(ret_name->function, code->function, sizeof(ret_name->function));
	return 0;
}

static int name_bound(const struct cpython_image *image, struct code_table *codes, uint64_t method,
		      struct target_name *ret_name)
{
	uint64_t function, self;
	int r = object_pointer(image, method + image->offsets.bound_function, &function);

	if (r == 0)
		r = object_pointer(image, method + image->offsets.bound_self, &self);
	return r ? r : name_function(image, codes, function, self, ret_name);
}

int target_name(const struct cpython_image *image, struct code_table *codes, uint64_t thread, struct target_name *ret_name)
{
	uint64_t target;
	char type[32];
	int r = object_attribute(image, thread, "_target", &target);

	if (r == 0 && target == image->types.none)
		r = -ENOENT;
	if (r == 0)
		r = object_type_name(image, target, type, sizeof(type));
	if (r < 0)
		return r;
	if (!strcmp(type, "builtin_function_or_method") || !strcmp(type, "builtin_method"))
		return name_builtin(image, target, ret_name);
	return strcmp(type, "method") ? name_function(image, codes, target, 0, ret_name)
				      : name_bound(image, codes, target, ret_name);
}
