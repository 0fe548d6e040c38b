/* SPDX-License-Identifier: GPL-2.0-only */
/* A command that poolscope starts in order to watch it: as whom, and held back until the probes are attached.
 * It must not know what watches it. */
#include "../open_files.h"
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "units.h"

struct command {
	pid_t pid;
	char name[128];
	int go_fd;    /* a byte lets the child go; -1: done */
	int error_fd; /* what the child could not do: struct child_error; closed by exec */
	bool reaped;
};

enum child_step { STEP_USER, STEP_OUTPUT, STEP_EXEC };
struct child_error {
	enum child_step step;
	int error; /* errno */
};

static int uid_parse(const char *text, uid_t *ret_uid)
{
	uint64_t uid;

	/* The last one is (uid_t)-1: "no change" to setresuid(2). */
	if (!text || count_parse(text, &uid) < 0 || uid >= UINT32_MAX)
		return -EINVAL;
	*ret_uid = (uid_t)uid;
	return 0;
}

static const struct passwd *user_look_up(const char *name)
{
	const struct passwd *entry = getpwnam(name);
	uid_t uid;

	return entry || uid_parse(name, &uid) < 0 ? entry : getpwuid(uid);
}

int command_user_find(const char *name, struct command_user *ret_user, struct explain *explain)
{
	const char *wanted = name ? name : geteuid() == 0 ? getenv("SUDO_UID") : NULL;
	const struct passwd *entry;
	struct command_user user = { .change = true };

	if (!wanted) {
		*ret_user = (struct command_user){ .change = false };
		return 0;
	}
	entry = user_look_up(wanted);
	if (!entry) {
		snprintf(explain->what, sizeof(explain->what), "cannot run the command as '%.60s'", wanted);
		snprintf(explain->why, sizeof(explain->why), "there is no such user");
		snprintf(explain->remedy, sizeof(explain->remedy), "Name one that `getent passwd` knows: -u USER");
		return -ENOENT;
	}
	if (entry->pw_uid != geteuid() && geteuid() != 0) {
		snprintf(explain->what, sizeof(explain->what), "cannot run the command as '%.60s'", wanted);
		snprintf(explain->why, sizeof(explain->why), "only root can become another user");
		snprintf(explain->remedy, sizeof(explain->remedy), "Run poolscope with sudo.");
		return -EPERM;
	}
	user.change = entry->pw_uid != geteuid();
	user.uid = entry->pw_uid;
	user.gid = entry->pw_gid;
	snprintf(user.name, sizeof(user.name), "%s", entry->pw_name);
	snprintf(user.home, sizeof(user.home), "%s", entry->pw_dir);
	snprintf(user.shell, sizeof(user.shell), "%s", entry->pw_shell);
	*ret_user = user;
	return 0;
}

/* initgroups(3) loads modules of NSS, which a static binary must not: there the groups are those of /etc/group. */
static int groups_take(const struct command_user *user)
{
#ifdef POOLSCOPE_STATIC
	gid_t groups[1024] = {user->gid};
	size_t count = 1;
	const struct group *group;
	FILE *file = fopen("/etc/group", "re");

	while (file && count < ARRAY_SIZE(groups) && (group = fgetgrent(file)))
		for (char **member = group->gr_mem; *member; member++)
			if (strcmp(*member, user->name) == 0 && group->gr_gid != user->gid) {
				groups[count++] = group->gr_gid;
				break;
			}
	if (file)
		fclose(file);
	return setgroups(count, groups);
#else
	return initgroups(user->name, user->gid);
#endif
}

/* For good: all ids, supplementary groups, and a try to come back that must fail. */
static int become(const struct command_user *user)
{
	if (!user->change)
		return 0;
	if (groups_take(user) < 0 || setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return -errno;
	if (user->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))
		return -EPERM;
	if (getuid() != user->uid || geteuid() != user->uid || getgid() != user->gid || getegid() != user->gid)
		return -EPERM;
	if (setenv("HOME", user->home, 1) < 0 || setenv("USER", user->name, 1) < 0 ||
	    setenv("LOGNAME", user->name, 1) < 0 || setenv("SHELL", user->shell, 1) < 0)
		return -errno;
	return 0;
}

static int redirect(int output_fd)
{
	int null_fd;

	if (output_fd < 0)
		return 0;
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
	    dup2(output_fd, STDERR_FILENO) < 0 || setpgid(0, 0) < 0)
		return -errno;
	return 0;
}

/* poolscope blocks signals for its loop and ignores some: the command must not inherit that. */
static void reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child_fail(int error_fd, enum child_step step, int error)
{
	const struct child_error message = { step, error };
	ssize_t written = write(error_fd, &message, sizeof(message));

	(void)written;
	_exit(127);
}

static void child_run(char *const argv[], const struct command_user *user, int output_fd, int go_fd, int error_fd)
{
	char byte;
	int r;

	reset_signals();
	/* End of file: poolscope is gone, or has changed its mind. */
	if (TEMP_FAILURE_RETRY(read(go_fd, &byte, 1)) != 1)
		_exit(127);
	r = redirect(output_fd);
	if (r < 0)
		child_fail(error_fd, STEP_OUTPUT, -r);
	open_files_restore();
	r = become(user);
	if (r < 0)
		child_fail(error_fd, STEP_USER, -r);
	execvp(argv[0], argv);
	child_fail(error_fd, STEP_EXEC, errno);
}

static void close_pair(int pair[2])
{
	close(pair[0]);
	close(pair[1]);
}

static int explain_start(struct explain *explain, const char *name, int error)
{
	snprintf(explain->what, sizeof(explain->what), "cannot start '%.120s'", name);
	snprintf(explain->why, sizeof(explain->why), "%s", strerror(error));
	snprintf(explain->remedy, sizeof(explain->remedy), "Free memory, processes (ulimit -u) or files (ulimit -n), and try again.");
	return -error;
}

int command_new(char *const argv[], const struct command_user *user, int output_fd, struct command **ret_command,
		struct explain *explain)
{
	_cleanup_(freep) struct command *command = calloc(1, sizeof(*command));
	int go[2], error[2], r;
	pid_t pid;

	if (!command)
		return explain_start(explain, argv[0], ENOMEM);
	if (pipe2(go, O_CLOEXEC) < 0)
		return explain_start(explain, argv[0], errno);
	if (pipe2(error, O_CLOEXEC) < 0) {
		r = errno;
		close_pair(go);
		return explain_start(explain, argv[0], r);
	}
	pid = fork();
	if (pid < 0) {
		r = errno;
		close_pair(go);
		close_pair(error);
		return explain_start(explain, argv[0], r);
	}
	if (pid == 0) {
		/* Its own end of this pipe would keep the end of file away. */
		close(go[1]);
		child_run(argv, user, output_fd, go[0], error[1]);
	}
	close(go[0]);
	close(error[1]);
	command->pid = pid;
	command->go_fd = go[1];
	command->error_fd = error[0];
	snprintf(command->name, sizeof(command->name), "%s", argv[0]);
	*ret_command = TAKE_PTR(command);
	return 0;
}

void command_free(struct command *command)
{
	if (!command)
		return;
	if (command->go_fd >= 0) {
		close(command->go_fd);
		if (!command->reaped)
			TEMP_FAILURE_RETRY(waitpid(command->pid, NULL, 0));
	}
	if (command->error_fd >= 0)
		close(command->error_fd);
	free(command);
}

pid_t command_pid(const struct command *command)
{
	return command->pid;
}

int command_go(struct command *command, struct explain *explain)
{
	static const struct {
		const char *what, *remedy;
	} words[] = {
		[STEP_USER] = { "cannot become the user to run", "It takes root with CAP_SETUID and CAP_SETGID." },
		[STEP_OUTPUT] = { "cannot redirect the output of", "Is there a /dev/null?" },
		[STEP_EXEC] = { "cannot run", "Is its name right, is it in the PATH, and may this user execute it?" },
	};
	struct child_error error;
	void (*before)(int) = signal(SIGPIPE, SIG_IGN);
	ssize_t n = write(command->go_fd, "", 1);

	signal(SIGPIPE, before);
	close(TAKE_FD(command->go_fd));
	/* Nothing: exec has closed the pipe (or the child was killed, which its target's end will tell). */
	if (n == 1)
		n = TEMP_FAILURE_RETRY(read(command->error_fd, &error, sizeof(error)));
	else
		n = 0;
	close(TAKE_FD(command->error_fd));
	if (n != (ssize_t)sizeof(error))
		return 0;
	if (!command->reaped)
		TEMP_FAILURE_RETRY(waitpid(command->pid, NULL, 0));
	command->reaped = true;
	snprintf(explain->what, sizeof(explain->what), "%s '%.120s'", words[error.step].what, command->name);
	snprintf(explain->why, sizeof(explain->why), "%s", strerror(error.error));
	snprintf(explain->remedy, sizeof(explain->remedy), "%s", words[error.step].remedy);
	return -error.error;
}

int command_reap(struct command *command, int *ret_status)
{
	int status;
	pid_t pid;

	if (command->reaped)
		return -ECHILD;
	pid = waitpid(command->pid, &status, WNOHANG);
	if (pid == 0)
		return -EAGAIN;
	if (pid < 0)
		return -errno;
	command->reaped = true;
	*ret_status = status;
	return 0;
}
