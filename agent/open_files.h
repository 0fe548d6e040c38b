/* SPDX-License-Identifier: GPL-2.0-only */
/* How many files the agent may hold open: each target takes three to four. It must not know who opens them. */
#ifndef POOLSCOPE_OPEN_FILES_H
#define POOLSCOPE_OPEN_FILES_H

#include <stdbool.h>

/* Takes what the hard limit allows; the soft one is made for programs that use select(2). */
void open_files_raise(void);
/* In a child that becomes another program: the soft limit as it was. */
void open_files_restore(void);
/* So many more are to be left for others than targets. */
void open_files_spare(unsigned int more);
/* Is there room for one more target, beside what refreshes and requests open for a moment? */
bool open_files_have_room(void);
/* -EMFILE, -ENFILE: more cannot be opened now. */
bool open_files_are_short(int error);
#define OPEN_FILES_WHY "poolscope may open no more files"
#define OPEN_FILES_REMEDY "raise the limit of open files (ulimit -Hn, LimitNOFILE= of the unit), or watch fewer processes"

#endif
