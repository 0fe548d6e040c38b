/* SPDX-License-Identifier: GPL-2.0-only */
/* `poolscope check CONFIG`: is it right, and what would it match now. It must not know how a config is
 * read. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "output.h"
#include "selection.h"
#include "session.h"

int command_check(const struct options *options)
{
	_cleanup_(selection_freep) struct selection *selection = NULL;
	_cleanup_(config_freep) struct config *config = NULL;
	_cleanup_(procfs_freep) struct procfs *procfs = NULL;
	struct problems problems = {0};
	struct explain explain = {0};
	int error = config_load(options->config, &config, &problems);

	if (error) {
		problems_print(&problems, options->config, stderr);
		return error == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
	}
	config_print(config, stdout);
	error = procfs_open(options->procfs, &procfs, &explain);
	if (error) {
		explain_print(&explain, stderr);
		return EXIT_FAILED;
	}
	error = selection_new(options, config, &selection);
	if (!error) {
		selection_set_procfs(selection, procfs);
		error = selection_print(selection, stdout);
	}
	if (error) {
		fprintf(stderr, "poolscope: cannot list processes: %s\n", strerror(-error));
		return EXIT_FAILED;
	}
	return output_done(EXIT_DONE);
}
