/* SPDX-License-Identifier: GPL-2.0-only */
/* What every room may use: cleanup attributes, units and the word for "not known".
 * It must not know any room, and does no I/O. */
#ifndef POOLSCOPE_BASE_H
#define POOLSCOPE_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A figure that could not be read. Prints `n/a`, is `null` in JSON, has no metric sample. */
#define UNKNOWN_U64 UINT64_MAX
#define UNKNOWN_I64 INT64_MIN

#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MSEC 1000000ULL
/* USER_HZ is 100 on every architecture poolscope builds for (include/asm-generic/param.h):
 * the unit of the start time in /proc/PID/stat. */
#define NSEC_PER_TICK 10000000ULL

static inline uint64_t add_saturated(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* `_cleanup_(foo_freep) struct foo *foo = NULL;` frees at scope exit. */
#define _cleanup_(function) __attribute__((cleanup(function)))

/* Hands the value out and leaves NULL behind, so that the cleanup attribute frees nothing. */
#define TAKE_PTR(pointer)                                                                        \
	({                                                                                       \
		__typeof__(pointer) *_slot = &(pointer);                                         \
		__typeof__(pointer) _taken = *_slot;                                             \
		*_slot = NULL;                                                                   \
		_taken;                                                                          \
	})

/* The same for a file descriptor; leaves -1 behind. */
#define TAKE_FD(fd)                                                                              \
	({                                                                                       \
		int *_slot = &(fd);                                                              \
		int _taken = *_slot;                                                             \
		*_slot = -1;                                                                     \
		_taken;                                                                          \
	})

#define DEFINE_CLEANUP(type, function)                                                           \
	static inline void function##p(type *slot)                                               \
	{                                                                                        \
		if (*slot)                                                                       \
			function(*slot);                                                         \
		*slot = NULL;                                                                    \
	}

static inline void freep(void *slot)
{
	void **pointer = slot;

	free(*pointer);
	*pointer = NULL;
}

static inline uint64_t text_hash(const char *text)
{
	uint64_t hash = 14695981039346656037ULL; /* FNV-1a */

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211ULL;
	return hash;
}

/* Room for one element more: 0 or -ENOMEM, which leaves the table as it was. By doubling, so that n elements
 * cost n copies in all; `least` is the first capacity. A macro, for the table's own type. */
#define TABLE_GROW(table, count, capacity, least)                                                \
	({                                                                                       \
		int _error = 0;                                                                  \
		if ((count) == (capacity)) {                                                     \
			__typeof__(capacity) _room = (capacity) ? (capacity) * 2 : (least);      \
			__typeof__(table) _grown = reallocarray((table), _room, sizeof(*_grown)); \
			if (_grown) {                                                            \
				(table) = _grown;                                                \
				(capacity) = _room;                                              \
			} else {                                                                 \
				_error = -ENOMEM;                                                \
			}                                                                        \
		}                                                                                \
		_error;                                                                          \
	})

/* Where in a table that ascends by `field` the first entry is that is not below `value`; count: there is none. _BY, for a
 * table of pointers: with `->field`. */
#define TABLE_PLACE_BY(table, count, key, value)                                                 \
	({                                                                                       \
		__typeof__((count) + 0) _low = 0, _high = (count); /* not const, as count may be */ \
		while (_low < _high) {                                                           \
			__typeof__(_low) _middle = _low + (_high - _low) / 2;                     \
			if ((table)[_middle] key < (value))                                      \
				_low = _middle + 1;                                              \
			else                                                                     \
				_high = _middle;                                                 \
		}                                                                                \
		_low;                                                                            \
	})
#define TABLE_PLACE(table, count, field, value) TABLE_PLACE_BY(table, count, .field, value)

/* Why something failed, for a person. Functions that take one fill it when they fail (and only
 * then); the edge prints it as "poolscope: WHAT: WHY\n  REMEDY". Fields may be "". */
struct explain {
	char what[256];   /* what failed: "cannot attach to PID 4711" */
	char why[256];    /* "it is a kernel thread" */
	char remedy[320]; /* what the user can do next */
};

/* Copies what fits, always terminated; bytes that a target chose need not end with a NUL before size. */
static inline void text_copy(char *out, size_t size, const char *text)
{
	size_t length = strnlen(text, size - 1);

	memcpy(out, text, length);
	memset(out + length, 0, size - length);
}

static inline int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

#endif
