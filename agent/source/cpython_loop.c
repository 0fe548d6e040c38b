/* SPDX-License-Identifier: GPL-2.0-only */
/* Where an event loop of asyncio's, or uvloop's, is found and keeps its default executor. It must not know how executors
 * are found, nor what they are called. */
#include "cpython_loop.h"

#include <errno.h>

#define BASES_MAX 8U
/* _RunningLoopHolder, which stands in no header (to 3.11). */
enum { HOLDER_LOOP = 16 };
/* uvloop's keeps it between other objects (at 88 in 0.17); a buffer for what clients send is far behind (at 272). */
enum { UVLOOP_FIELDS = 24, UVLOOP_FIELDS_END = 192 };

int event_loop_running(const struct cpython_image *image, uint64_t thread, uint64_t *ret_loop)
{
	uint64_t dict, held;
	char type[32];
	int r;

	if (image->offsets.thread_loop)
		return object_pointer(image, thread + image->offsets.thread_loop, ret_loop);
	r = object_pointer(image, thread + image->offsets.thread_dict, &dict);
	if (r == 0)
		r = object_dict_get(image, dict, "__asyncio_running_event_loop__", &held);
	if (r == 0)
		r = object_type_name(image, held, type, sizeof(type));
	if (r < 0)
		return r;
	if (!strcmp(type, "_RunningLoopHolder"))
		return object_pointer(image, held + HOLDER_LOOP, ret_loop);
	*ret_loop = held;
	return 0;
}

/* What a program makes is of a subtype, of Python. */
static bool is_uvloop(const struct cpython_image *image, uint64_t loop)
{
	uint64_t type, text;
	char name[32];
	int r = object_type(image, loop, &type);

	for (uint32_t i = 0; i < BASES_MAX && r == 0 && type; i++) {
		r = object_pointer(image, type + image->offsets.type_name, &text);
		if (r == 0)
			r = object_c_text(image, text, name, sizeof(name));
		if (r == 0 && !strcmp(name, "uvloop.loop.Loop"))
			return true;
		if (r == 0)
			r = object_pointer(image, type + image->offsets.type_base, &type);
	}
	return false;
}

/* Its class is compiled to C: no version tells where a field is, and of its fields no other may hold an executor. */
static bool uvloop_holds(const struct cpython_image *image, uint64_t loop, uint64_t executor)
{
	uint64_t fields[(UVLOOP_FIELDS_END - UVLOOP_FIELDS) / 8];

	if (memory_view_read(image->view, loop + UVLOOP_FIELDS, fields, sizeof(fields)) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i] == executor)
			return true;
	}
	return false;
}

bool event_loop_has_default(const struct cpython_image *image, uint64_t loop, uint64_t executor)
{
	uint64_t object;

	if (!executor)
		return false;
	if (object_attribute(image, loop, "_default_executor", &object) == 0)
		return object == executor;
	return is_uvloop(image, loop) && uvloop_holds(image, loop, executor);
}
