/* SPDX-License-Identifier: GPL-2.0-only */
/* Starting a command: it waits until it may go, runs as whom it should, and says why it could not. What takes root
 * is tested as root, and its refusal otherwise. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge/command.h"

static char *const shell[] = { "/bin/sh", "-c", "id -u; id -g; echo $HOME $USER; head -c 1; exit 7", NULL };

/* Runs `argv` as `user` and takes what it prints; its wait status. */
static int run(char *const argv[], const struct command_user *user, char *output, size_t size)
{
	_cleanup_(command_freep) struct command *command = NULL;
	struct explain explain = { 0 };
	int pair[2], status, r;
	size_t length = 0;
	ssize_t n;

	assert_int_equal(pipe(pair), 0);
	assert_int_equal(command_new(argv, user, pair[1], &command, &explain), 0);
	close(pair[1]);
	assert_int_equal(command_reap(command, &status), -EAGAIN);
	r = command_go(command, &explain);
	if (r < 0)
		fail_msg("%s: %s", explain.what, explain.why);
	while ((n = read(pair[0], output + length, size - 1 - length)) > 0)
		length += (size_t)n;
	close(pair[0]);
	output[length] = '\0';
	while ((r = command_reap(command, &status)) == -EAGAIN)
		usleep(1000);
	assert_int_equal(r, 0);
	assert_int_equal(command_reap(command, &r), -ECHILD);
	return status;
}

static void as_oneself(void **state)
{
	struct command_user user = { 0 };
	struct explain explain = { 0 };
	char output[512], expected[512];
	int status;

	unsetenv("SUDO_UID");
	assert_int_equal(command_user_find(NULL, &user, &explain), 0);
	assert_false(user.change);
	setenv("HOME", "/somewhere", 1);
	setenv("USER", "me", 1);
	status = run(shell, &user, output, sizeof(output));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	snprintf(expected, sizeof(expected), "%u\n%u\n/somewhere me\n", getuid(), getgid());
	assert_string_equal(output, expected);
}

static void as_another(void **state)
{
	struct command_user user = { 0 };
	struct explain explain = { 0 };
	char output[512], expected[512];

	if (geteuid() != 0) {
		assert_int_equal(command_user_find("root", &user, &explain), -EPERM);
		assert_non_null(strstr(explain.remedy, "sudo"));
		return;
	}
	setenv("SUDO_UID", "65534", 1);
	assert_int_equal(command_user_find(NULL, &user, &explain), 0);
	unsetenv("SUDO_UID");
	assert_true(user.change);
	assert_int_equal(user.uid, 65534);
	run(shell, &user, output, sizeof(output));
	snprintf(expected, sizeof(expected), "65534\n%u\n%s %s\n", user.gid, user.home, user.name);
	assert_string_equal(output, expected);

	/* -u is heard before sudo; a name and a number are the same. */
	setenv("SUDO_UID", "65534", 1);
	assert_int_equal(command_user_find("root", &user, &explain), 0);
	unsetenv("SUDO_UID");
	assert_false(user.change);
	assert_int_equal(command_user_find("nobody", &user, &explain), 0);
	assert_int_equal(user.uid, 65534);
	/* No supplementary group of root's stays. */
	run((char *const[]){ "/usr/bin/id", "-G", NULL }, &user, output, sizeof(output));
	snprintf(expected, sizeof(expected), "%u\n", user.gid);
	assert_string_equal(output, expected);
}

static void unknown_users(void **state)
{
	struct command_user user = { .uid = 7 };
	struct explain explain = { 0 };

	assert_int_equal(command_user_find("no such user", &user, &explain), -ENOENT);
	assert_int_equal(user.uid, 7);
	assert_non_null(strstr(explain.why, "no such user"));
	assert_int_equal(command_user_find("4294967295", &user, &explain), -ENOENT);
}

static void what_cannot_be_run(void **state)
{
	const struct command_user user = { .change = false };
	_cleanup_(command_freep) struct command *command = NULL;
	struct explain explain = { 0 };
	int status;

	assert_int_equal(command_new((char *const[]){ "/no/such/program", NULL }, &user, -1, &command, &explain), 0);
	assert_int_equal(command_go(command, &explain), -ENOENT);
	assert_string_equal(explain.what, "cannot run '/no/such/program'");
	assert_string_equal(explain.why, "No such file or directory");
	assert_true(explain.remedy[0]);
	assert_int_equal(command_reap(command, &status), -ECHILD);
}

/* Given up before it was let go: it must neither run nor stay. */
static void never_let_go(void **state)
{
	const struct command_user user = { .change = false };
	struct command *command = NULL;
	struct explain explain = { 0 };
	pid_t pid;

	assert_int_equal(command_new((char *const[]){ "/bin/sleep", "1000", NULL }, &user, -1, &command, &explain), 0);
	pid = command_pid(command);
	assert_int_equal(kill(pid, 0), 0);
	command_free(command);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

/* The loop's blocked signals and the dashboard's ignored ones are not the command's. */
static void signals_are_its_own(void **state)
{
	const struct command_user user = { .change = false };
	char output[512];
	sigset_t blocked;
	int status;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	signal(SIGTERM, SIG_IGN);
	status = run((char *const[]){ "/bin/sh", "-c", "kill -TERM $$; exit 1", NULL }, &user, output, sizeof(output));
	signal(SIGTERM, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &blocked, NULL);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
}

/* What the terminal sends to a dashboard's process group, Ctrl-C among them, is not meant for it. */
static void with_a_dashboard_in_a_group_of_its_own(void **state)
{
	const struct command_user user = { .change = false };
	char output[512];

	assert_int_equal(run((char *const[]){ "/bin/sh", "-c", "test $(ps -o pgid= -p $$) -eq $$", NULL }, &user, output,
			     sizeof(output)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_oneself),	       cmocka_unit_test(as_another),   cmocka_unit_test(unknown_users),
		cmocka_unit_test(what_cannot_be_run),  cmocka_unit_test(never_let_go), cmocka_unit_test(signals_are_its_own),
		cmocka_unit_test(with_a_dashboard_in_a_group_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
