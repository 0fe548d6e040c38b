/* SPDX-License-Identifier: GPL-2.0-only */
/* A command that poolscope starts and watches from its first instruction: it waits before its exec until
 * the probes are on it. It must not know what is watched. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../edge/privileges.h"

/* In the child, after fork. Never returns. Errors go to the parent as errno, through the pipe that a
 * successful exec closes. */
static void child_main(char **command, const char *user, int output, int go, int report)
{
	struct explain ignored;
	sigset_t none;
	char byte;
	int error;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (read(go, &byte, 1) != 1)
		_exit(127);
	error = -privileges_become(user, &ignored);
	if (!error && output >= 0) {
		int empty = open("/dev/null", O_RDONLY);

		if (empty < 0 || dup2(empty, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
		    dup2(output, STDERR_FILENO) < 0)
			error = errno;
	}
	if (!error) {
		execvp(command[0], command);
		error = errno;
	}
	if (write(report, &error, sizeof(error)) != sizeof(error))
		_exit(126);
	_exit(127);
}

static int output_open(struct child *child)
{
	const char *folder = getenv("TMPDIR");

	snprintf(child->output, sizeof(child->output), "%s/poolscope-output.XXXXXX",
		 folder && strlen(folder) < 32 ? folder : "/tmp");
	return mkostemp(child->output, O_CLOEXEC);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

int child_start(char **command, const char *user, bool quiet, struct child *ret_child, struct explain *explain)
{
	_cleanup_(close_fd) int output = -1;
	int go[2] = {-1, -1}, report[2] = {-1, -1};
	struct child child = {0};

	snprintf(explain->what, sizeof(explain->what), "cannot start %s", command[0]);
	explain->remedy[0] = '\0';
	if (quiet)
		output = output_open(&child);
	if ((quiet && output < 0) || pipe2(go, O_CLOEXEC) || pipe2(report, O_CLOEXEC))
		child.pid = -1;
	else
		child.pid = fork();
	if (child.pid < 0) {
		int error = errno;

		snprintf(explain->why, sizeof(explain->why), "%s", strerror(error));
		return -error;
	}
	if (!child.pid) {
		close(go[1]);
		close(report[0]);
		child_main(command, user, output, go[0], report[1]);
	}
	close(go[0]);
	close(report[1]);
	child.go = go[1];
	child.report = report[0];
	*ret_child = child;
	return 0;
}

int child_go(struct child *child, const char *name, struct explain *explain)
{
	int error = 0;
	ssize_t got = -1;

	if (write(child->go, "", 1) == 1)
		do
			got = read(child->report, &error, sizeof(error));
		while (got < 0 && errno == EINTR);
	close(child->go);
	close(child->report);
	child->go = child->report = -1;
	if (!got)
		return 0;
	error = got == sizeof(error) ? error : EIO;
	snprintf(explain->what, sizeof(explain->what), "cannot start %s", name);
	snprintf(explain->why, sizeof(explain->why), "%s", strerror(error));
	snprintf(explain->remedy, sizeof(explain->remedy), "Give the path of a program, then its arguments: -- CMD ARGS...");
	return -error;
}

void child_end(struct child *child)
{
	if (child->pid <= 0)
		return;
	close_fd(&child->go);
	close_fd(&child->report);
	kill(child->pid, SIGTERM);
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		;
	child->pid = 0;
}
