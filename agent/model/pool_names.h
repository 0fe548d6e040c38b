/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of pools: each is stable over restarts and a glob (fnmatch(3)) that matches itself and what it
 * was made from. It must not know which pools exist. */
#ifndef POOLSCOPE_MODEL_POOL_NAMES_H
#define POOLSCOPE_MODEL_POOL_NAMES_H

#include "../base.h"

#define POOL_NAME_SIZE 64 /* as snapshot_pool.name */

/* Reserved for the leader, and for what max_pools refuses. */
#define POOL_NAME_MAIN "main"
#define POOL_NAME_OTHER "other"

/* The family of a thread's name: its last run of digits becomes `*`; all of them with fold_all. */
void pool_name_family(const char *thread_name, bool fold_all, char ret_name[POOL_NAME_SIZE]);
/* Module and symbol of a start routine, either may be "" but not both. */
void pool_name_routine(const char *module, const char *symbol, char ret_name[POOL_NAME_SIZE]);
/* A function of the target's own language, and its file ("": not known). */
void pool_name_function(const char *file, const char *function, char ret_name[POOL_NAME_SIZE]);
/* The second of a name becomes NAME#2, and so on; beyond `last` all are NAME#*. */
void pool_name_number(uint32_t number, uint32_t last, char name[POOL_NAME_SIZE]);
/* Of the pool `name` below another: PARENT/NAME. Both are names of pools. */
void pool_name_below(const char *parent, const char *name, char ret_name[POOL_NAME_SIZE]);
/* A name as it stands, with the star for what the kernel has cut. */
void pool_name_cut(const char *name, bool is_cut, char ret_name[POOL_NAME_SIZE]);
/* A name as it stands, its special characters made safe. */
void pool_name_literal(const char *name, char ret_name[POOL_NAME_SIZE]);

#endif
