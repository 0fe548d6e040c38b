/* SPDX-License-Identifier: GPL-2.0-only */
/* The function that a Thread object was given, of C or of Python. It must not know frames. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_TARGET_H
#define POOLSCOPE_SOURCE_CPYTHON_TARGET_H

#include "cpython_code.h"

struct target_name {
	bool is_builtin; /* of C: it never has a frame */
	char function[FACT_SYMBOL_SIZE], file[64];
	uint64_t path; /* as code_info.path */
};

/* What is still to be filled is zero before. -ENOENT: it was given none; -EINVAL: neither a function nor a bound method;
 * -EFAULT. */
int target_name(const struct cpython_image *image, struct code_table *codes, uint64_t thread, struct target_name *ret_name);

#endif
