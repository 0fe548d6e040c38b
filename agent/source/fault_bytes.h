/* SPDX-License-Identifier: GPL-2.0-only */
/* How much memory one page fault brings, by the kernel's settings for huge pages. It must not know whose memory it is. */
#ifndef POOLSCOPE_SOURCE_FAULT_BYTES_H
#define POOLSCOPE_SOURCE_FAULT_BYTES_H

#include "../base.h"

/* At most, of anonymous memory, where it brings no huge page of the usual size: a page, or a folio of a size in between
 * that is switched on (from Linux 6.8 on). `usual`, when that cannot be read. root: of /sys, "" but in tests. */
uint64_t fault_bytes(const char *root, uint64_t usual);

#endif
