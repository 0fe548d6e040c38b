/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a rendered snapshot goes: standard output or a file that only its owner reads. It must not
 * know what is rendered. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "../edge/options.h"

static int finish(FILE *out, int error)
{
	/* A full disk shows at the flush, not at the print. */
	if (fflush(out) && !error)
		error = -errno;
	return error;
}

/* A device or a pipe that the user names is written to as it is; a file is replaced as a whole, so that
 * a full disk leaves the former one intact. */
static bool is_special(const char *path)
{
	struct stat status;

	return !stat(path, &status) && !S_ISREG(status.st_mode);
}

int output_file(const char *path, const struct snapshot *snapshot,
		int (*render)(const struct snapshot *snapshot, FILE *out))
{
	bool special = is_special(path);
	char temporary[4096];
	FILE *out;
	int fd, error;

	if (snprintf(temporary, sizeof(temporary), special ? "%s" : "%s.XXXXXX", path) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	fd = special ? open(path, O_WRONLY | O_CLOEXEC) : mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	out = fdopen(fd, "w");
	if (!out) {
		error = -errno;
		close(fd);
	} else {
		error = finish(out, render(snapshot, out));
		if (fclose(out) && !error)
			error = -errno;
	}
	if (!error && !special && rename(temporary, path))
		error = -errno;
	if (error && !special)
		unlink(temporary);
	return error;
}

int output_write(const char *path, const struct snapshot *snapshot,
		 int (*render)(const struct snapshot *snapshot, FILE *out))
{
	int error = path ? output_file(path, snapshot, render) : finish(stdout, render(snapshot, stdout));

	if (!error)
		return EXIT_DONE;
	fprintf(stderr, "poolscope: cannot write %s: %s\n", path ? path : "to standard output", strerror(-error));
	return EXIT_FAILED;
}
