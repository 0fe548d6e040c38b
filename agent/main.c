/* SPDX-License-Identifier: GPL-2.0-only */
/* The program: from the command line to a command. It must not know what a command does. */
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <nss.h>
#include <signal.h>
#include <stdio.h>

#include "app/output.h"
#include "app/session.h"
#include "edge/log.h"
#include "edge/options.h"
#include "open_files.h"
#include "version.h"

static int command_help(const struct options *options)
{
	options_help(stdout, options->help_about);
	return output_done(EXIT_DONE);
}

static int command_version(const struct options *options)
{
	puts("poolscope " POOLSCOPE_VERSION);
	return output_done(EXIT_DONE);
}

static int (*const commands[])(const struct options *options) = {
	[SUBCOMMAND_TOP] = command_top,       [SUBCOMMAND_DUMP] = command_dump,
	[SUBCOMMAND_SERVE] = command_serve,   [SUBCOMMAND_CHECK] = command_check,
	[SUBCOMMAND_DOCTOR] = command_doctor, [SUBCOMMAND_HELP] = command_help,
	[SUBCOMMAND_VERSION] = command_version,
};
_Static_assert(ARRAY_SIZE(commands) == SUBCOMMAND_COUNT, "every subcommand has its command");

/* A static binary crashes in the modules of NSS that are loaded at run time (nss_systemd, nss_sss): it has those that
 * are in libc itself. */
static void nss_without_modules(void)
{
#ifdef POOLSCOPE_STATIC
	__nss_configure_lookup("passwd", "files");
	__nss_configure_lookup("group", "files");
	__nss_configure_lookup("hosts", "files dns");
#endif
}

/* What one refresh takes goes back at its end: a glibc left to itself learns to keep it (mallopt(3)). */
static void memory_goes_back(void)
{
	mallopt(M_MMAP_THRESHOLD, 64 << 10);
	mallopt(M_TRIM_THRESHOLD, 64 << 10);
	mallopt(M_TOP_PAD, 16 << 10);
}

/* A standard stream that was closed (`>&-`) must not become a file that is opened later: what is printed would
 * go there. It gets a descriptor that fails as a closed one does. */
static void standard_streams_hold(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) < 0)
			return;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct explain explain = {0};
	int code;

	nss_without_modules();
	memory_goes_back();
	signal(SIGXFSZ, SIG_IGN); /* a file that is larger than allowed (ulimit -f) is an error like a full disk */
	standard_streams_hold();
	open_files_raise();
	if (options_parse(argc, argv, &options, &explain)) {
		explain_print(&explain, stderr);
		return EXIT_USAGE;
	}
	/* What is printable; not how a decimal point is written. A daemon prints to no terminal. */
	if (options.subcommand != SUBCOMMAND_SERVE)
		setlocale(LC_CTYPE, "");
	log_set_level(options.log_level);
	code = commands[options.subcommand](&options);
	options_done(&options);
	return code;
}
