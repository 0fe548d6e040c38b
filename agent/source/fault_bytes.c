/* SPDX-License-Identifier: GPL-2.0-only */
/* How much memory one page fault brings, by the kernel's settings for huge pages. It must not know whose memory it is. */
#include "fault_bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "procfs_internal.h"

#define PAGE 4096ULL

struct setting {
	char *text;
	size_t size;
};

static void setting_clear(struct setting *setting)
{
	free(setting->text);
}

/* "always inherit [madvise] never": a size that is for those who ask for it counts, for they may have asked. */
static bool is_on(int folder, const char *path, struct setting *setting, bool is_inherited)
{
	ssize_t n = file_read(folder, path, &setting->text, &setting->size);

	if (n < 0)
		return n != -ENOENT;
	return strstr(setting->text, "[inherit]") ? is_inherited : !strstr(setting->text, "[never]");
}

uint64_t fault_bytes(const char *root, uint64_t usual)
{
	_cleanup_(setting_clear) struct setting setting = {0};
	_cleanup_(close_fd) int mm = -1, folder = -1;
	uint64_t largest = PAGE;
	char path[64];
	bool all;

	snprintf(path, sizeof(path), "%s/sys/kernel/mm", root);
	mm = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mm < 0)
		return usual;
	folder = openat(mm, "transparent_hugepage", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0) /* a kernel without */
		return errno == ENOENT ? PAGE : usual;
	all = is_on(folder, "enabled", &setting, false);
	for (uint64_t bytes = 2 * PAGE; bytes < usual; bytes *= 2) {
		snprintf(path, sizeof(path), "hugepages-%llukB/enabled", (unsigned long long)bytes / 1024);
		if (is_on(folder, path, &setting, all))
			largest = bytes;
	}
	return largest;
}
