/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a rendered snapshot goes: standard output or a file that only its owner reads. It must not
 * know what is rendered. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "../edge/loop.h"
#include "../edge/options.h"
#include "../view/cells.h"

#define PATIENCE_MS 100

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

static int write_all(int fd, const struct snapshot *snapshot, int (*render)(const struct snapshot *snapshot, FILE *out))
{
	FILE *out = fdopen(fd, "w");
	int error;

	if (!out) {
		error = -errno;
		close(fd);
		return error;
	}
	error = finish(out, render(snapshot, out));
	if (fclose(out) && !error)
		error = -errno;
	return error;
}

static int move_to_new(const char *temporary, const char *path)
{
	if (!renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE))
		return 0;
	/* Network file systems do not know the flag; a link replaces nothing either. */
	if (errno != EINVAL || link(temporary, path))
		return -errno;
	unlink(temporary);
	return 0;
}

static int move_over(const char *temporary, const char *path)
{
	return rename(temporary, path) ? -errno : 0;
}

/* Beside its place first, so that nobody ever reads half of it. */
static int write_beside(const char *path, int (*move)(const char *temporary, const char *path),
			const struct snapshot *snapshot, int (*render)(const struct snapshot *snapshot, FILE *out))
{
	char temporary[4096];
	int fd, error;

	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = write_all(fd, snapshot, render);
	if (!error)
		error = move(temporary, path);
	if (error)
		unlink(temporary);
	return error;
}

int output_file_new(const char *path, const struct snapshot *snapshot,
		    int (*render)(const struct snapshot *snapshot, FILE *out))
{
	return write_beside(path, move_to_new, snapshot, render);
}

static int output_file(const char *path, const struct snapshot *snapshot,
		       int (*render)(const struct snapshot *snapshot, FILE *out))
{
	int fd;

	if (!is_special(path))
		return write_beside(path, move_over, snapshot, render);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : write_all(fd, snapshot, render);
}

static const char *output_remedy(int error)
{
	static const struct {
		int error;
		const char *remedy;
	} remedies[] = {
		{ ENOSPC, "make room on that file system, or write to another one" },
		{ EFBIG, "this user's or shell's files may not be larger (ulimit -f): raise that" },
		{ EDQUOT, "make room within the quota, or write to another file system" },
		{ ENOENT, "the directory must be there already: make it, or choose another place" },
		{ ENOTDIR, "a part of that path is no directory: choose another place" },
		{ EISDIR, "name a file, not a directory" },
		{ EROFS, "that file system is read-only: choose another place" },
		{ EACCES, "choose a place that you may write to" },
		{ EPERM, "choose a place that you may write to" },
		{ EBADF, "standard output is closed: let it go to a terminal, a pipe or a file" },
		{ ENAMETOOLONG, "choose a shorter name" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(remedies); i++)
		if (remedies[i].error == error)
			return remedies[i].remedy;
	return "choose another place to write to";
}

int output_failed(const char *path, int error)
{
	struct explain explain = { 0 };

	snprintf(explain.what, sizeof(explain.what), "cannot write %s", path ? path : "to standard output");
	text_copy(explain.why, sizeof(explain.why), strerror(-error));
	text_copy(explain.remedy, sizeof(explain.remedy), output_remedy(-error));
	explain_print(&explain, stderr);
	return EXIT_FAILED;
}

/* A pipe that has room has it for PIPE_BUF bytes; a terminal may have less, so it is a file of our own that does not wait.
 * Returns 0 where it failed (fopencookie). */
static ssize_t write_patiently(void *cookie, const char *bytes, size_t size)
{
	struct pollfd out = {.fd = *(int *)cookie, .events = POLLOUT};
	size_t done = 0;

	while (done < size) {
		ssize_t n = poll(&out, 1, PATIENCE_MS);

		if (n != 0)
			n = write(out.fd, bytes + done, size - done < PIPE_BUF ? size - done : PIPE_BUF);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return 0;
		if (n <= 0 && loop_end_is_asked()) {
			errno = EINTR;
			return 0;
		}
		done += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)size;
}

static int close_own(void *cookie)
{
	int *fd = cookie;

	if (*fd != STDOUT_FILENO)
		close(*fd);
	free(fd);
	return 0;
}

FILE *output_patient(void)
{
	const cookie_io_functions_t functions = {.write = write_patiently, .close = close_own};
	int *fd = malloc(sizeof(*fd));
	FILE *file = fd ? fopencookie(fd, "w", functions) : NULL;

	if (!file) {
		free(fd);
		return NULL;
	}
	*fd = isatty(STDOUT_FILENO) ? open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
	if (*fd < 0)
		*fd = STDOUT_FILENO;
	return file;
}

int output_done(int code)
{
	int error = finish(stdout, stream_error(stdout));

	return error ? output_failed(NULL, error) : code;
}

int output_write(const char *path, const struct snapshot *snapshot,
		 int (*render)(const struct snapshot *snapshot, FILE *out))
{
	int error = path ? output_file(path, snapshot, render) : finish(stdout, render(snapshot, stdout));

	return error ? output_failed(path, error) : EXIT_DONE;
}
