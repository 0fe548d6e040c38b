/* SPDX-License-Identifier: GPL-2.0-only */
/* Help, from the tables of the command line. It must not know how argv is walked. */
#include <string.h>

#include "options.h"

#define HELP_INDENT 32
#define HELP_WIDTH 100

/* Words from the present column on, wrapped. */
static void print_wrapped(FILE *out, const char *text, int column)
{
	while (*text) {
		int length = (int)strcspn(text, " ");

		if (column > HELP_INDENT && column + 1 + length > HELP_WIDTH) {
			fprintf(out, "\n%*s", HELP_INDENT, "");
			column = HELP_INDENT;
		} else if (column > HELP_INDENT) {
			fputc(' ', out);
			column++;
		}
		fprintf(out, "%.*s", length, text);
		column += length;
		text += length;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static int print_spelling(FILE *out, const struct option_info *option, bool more)
{
	int column = option->letter ? fprintf(out, "  -%c, ", option->letter) : more ? 0 : fprintf(out, "      ");

	return column + fprintf(out, "--%s%s%s", option->name, option->argument ? " " : "",
				option->argument ? option->argument : "");
}

/* An option with the aliases that follow it in the table. */
static void print_option(FILE *out, size_t index)
{
	int column = print_spelling(out, &option_table[index], false);

	for (size_t alias = index + 1; alias < n_option_table && !option_table[alias].help; alias++) {
		column += fprintf(out, ", ");
		column += print_spelling(out, &option_table[alias], true);
	}
	if (column >= HELP_INDENT) {
		fputc('\n', out);
		column = 0;
	}
	fprintf(out, "%*s", HELP_INDENT - column, "");
	print_wrapped(out, option_table[index].help, HELP_INDENT);
}

static void help_program(FILE *out)
{
	fprintf(out, "poolscope watches a running process and says which of its thread pools holds the memory,\n"
		     "how many of how many workers there are and what each holds, and where that stands against limits.\n\nUsage:\n");
	for (int i = 0; i < SUBCOMMAND_COUNT; i++) {
		int column = fprintf(out, "  poolscope %s %s", subcommand_table[i].name, subcommand_table[i].arguments);

		fprintf(out, "%*s%s\n", column < 44 ? 44 - column : 1, "", subcommand_table[i].summary);
	}
	fprintf(out, "\nSELECTOR:\n");
	for (size_t i = 0; i < n_option_table && strcmp(option_table[i].name, "follow-forks") != 0; i++)
		print_option(out, i);
	fprintf(out, "\nMore: `poolscope help SUBCOMMAND`, poolscope(8).\n"
		     "First steps: `poolscope doctor`, then `poolscope top -p PID`.\n");
}

void options_help(FILE *out, int about)
{
	if (about < 0) {
		help_program(out);
		return;
	}
	fprintf(out, "Usage: poolscope %s%s%s\n\n%s\n\nOptions:\n", subcommand_table[about].name,
		*subcommand_table[about].arguments ? " " : "", subcommand_table[about].arguments, subcommand_table[about].summary);
	for (size_t i = 0; i < n_option_table; i++) {
		if ((option_table[i].subcommands & (1u << about)) && option_table[i].help)
			print_option(out, i);
	}
	fprintf(out, "\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 a limit was over (where asked for),\n"
		     "4 target not found, gone before attach, or its PID cannot be translated.\n");
}
