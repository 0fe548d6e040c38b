/* SPDX-License-Identifier: GPL-2.0-only */
/* YAML text to a small tree with positions, bounded in every direction: the text is untrusted. It must
 * not know what the keys mean. */
#include "config_yaml.h"

#include <errno.h>
#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

DEFINE_CLEANUP(struct fy_parser *, fy_parser_destroy)
DEFINE_CLEANUP(struct fy_diag *, fy_diag_destroy)

void yaml_free(struct yaml_node *node)
{
	/* Depth is bounded by YAML_DEPTH_MAX, so recursion is. */
	while (node) {
		struct yaml_node *next = node->next;

		yaml_free(node->first);
		free(node->text);
		free(node);
		node = next;
	}
}

void problem_add(struct problems *problems, unsigned line, unsigned column, const char *format, ...)
{
	struct problem *problem;
	va_list arguments;

	if (problems->total++ >= PROBLEMS_MAX)
		return;
	problem = &problems->list[problems->n_list++];
	problem->line = line;
	problem->column = column;
	va_start(arguments, format);
	vsnprintf(problem->text, sizeof(problem->text), format, arguments);
	va_end(arguments);
	/* It quotes the file, which must not speak to the terminal. */
	for (char *at = problem->text; *at; at++) {
		if (*at < ' ' || *at > '~')
			*at = '?';
	}
}

/* The collections that are open, outermost first. */
struct builder {
	struct problems *problems;
	struct yaml_node *root;
	struct yaml_node *open[YAML_DEPTH_MAX];
	struct yaml_node **tail[YAML_DEPTH_MAX]; /* where the next item of it goes */
	size_t n_items[YAML_DEPTH_MAX];
	size_t depth, n_nodes;
};

static int refuse(struct builder *builder, const struct fy_mark *mark, const char *why)
{
	problem_add(builder->problems, mark ? (unsigned)mark->line + 1 : 0, mark ? (unsigned)mark->column + 1 : 0,
		    "%s", why);
	return -EINVAL;
}

static int builder_add(struct builder *builder, struct fy_event *event, enum yaml_kind kind)
{
	const struct fy_mark *mark = fy_event_start_mark(event);
	struct fy_token *value = kind == YAML_SCALAR ? event->scalar.value : NULL;
	size_t depth = builder->depth;
	bool is_key = depth > 0 && builder->open[depth - 1]->kind == YAML_MAPPING && builder->n_items[depth - 1] % 2 == 0;
	struct yaml_node *node;

	if (fy_event_get_anchor_token(event))
		return refuse(builder, mark, "anchors (&name) are not taken here; write the value out");
	if (fy_event_get_tag_token(event))
		return refuse(builder, mark, "tags (!name) are not taken here; write the plain value");
	if (is_key && kind != YAML_SCALAR)
		return refuse(builder, mark, "a key must be a plain word");
	if (builder->n_nodes++ >= YAML_NODES_MAX)
		return refuse(builder, mark, "the file has too many values (more than 65,536)");
	if (kind != YAML_SCALAR && depth == YAML_DEPTH_MAX)
		return refuse(builder, mark, "nested too deeply (more than 16 levels)");

	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	if (depth > 0) {
		*builder->tail[depth - 1] = node;
		builder->tail[depth - 1] = &node->next;
		builder->n_items[depth - 1]++;
	} else {
		builder->root = node;
	}
	node->kind = kind;
	/* An empty scalar may have no mark: it stands where its collection does. */
	node->line = mark ? (unsigned)mark->line + 1 : depth ? builder->open[depth - 1]->line : 1;
	node->column = mark ? (unsigned)mark->column + 1 : depth ? builder->open[depth - 1]->column : 1;
	if (kind == YAML_SCALAR) {
		size_t length = 0;
		const char *text = value ? fy_token_get_text(value, &length) : "";

		if (!text)
			return -ENOMEM;
		if (memchr(text, '\0', length))
			return refuse(builder, mark, "a NUL character has no place here");
		node->text = strndup(text, length);
		if (!node->text)
			return -ENOMEM;
		node->plain = !value || fy_token_scalar_style(value) == FYSS_PLAIN;
		return 0;
	}
	builder->open[depth] = node;
	builder->tail[depth] = &node->first;
	builder->n_items[depth] = 0;
	builder->depth++;
	return 0;
}

static int builder_event(struct builder *builder, struct fy_event *event)
{
	switch (event->type) {
	case FYET_SCALAR:
		return builder_add(builder, event, YAML_SCALAR);
	case FYET_SEQUENCE_START:
		return builder_add(builder, event, YAML_SEQUENCE);
	case FYET_MAPPING_START:
		return builder_add(builder, event, YAML_MAPPING);
	case FYET_SEQUENCE_END:
	case FYET_MAPPING_END:
		builder->depth--;
		return 0;
	case FYET_ALIAS:
		return refuse(builder, fy_event_start_mark(event), "aliases (*name) are not taken here; write the value out");
	case FYET_DOCUMENT_START:
		if (builder->root)
			return refuse(builder, fy_event_start_mark(event), "a config is one document; remove what follows `---`");
		return 0;
	default:
		return 0;
	}
}

/* The library's own words for what is no YAML at all. */
static void collect_diagnostics(struct fy_diag *diag, struct problems *problems)
{
	struct fy_diag_error *error;
	void *iterator = NULL;

	/* Here, other than in marks, lines and columns count from 1. */
	while ((error = fy_diag_errors_iterate(diag, &iterator)))
		problem_add(problems, error->line > 0 ? (unsigned)error->line : 0,
			    error->column > 0 ? (unsigned)error->column : 0, "%s", error->msg);
}

/* Length of the UTF-8 sequence at `at` (RFC 3629), 0 if there is none. */
static size_t utf8_length(const unsigned char *at, size_t left)
{
	static const struct {
		unsigned char mask, lead, second_min, second_max;
		size_t length;
	} forms[] = {
		{ 0x80, 0x00, 0x00, 0x00, 1 }, { 0xe0, 0xc0, 0x80, 0xbf, 2 }, { 0xff, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xff, 0xed, 0x80, 0x9f, 3 }, { 0xf0, 0xe0, 0x80, 0xbf, 3 }, { 0xff, 0xf0, 0x90, 0xbf, 4 },
		{ 0xff, 0xf4, 0x80, 0x8f, 4 }, { 0xfc, 0xf0, 0x80, 0xbf, 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if ((at[0] & forms[i].mask) != forms[i].lead)
			continue;
		if (left < forms[i].length || at[0] == 0xc0 || at[0] == 0xc1)
			return 0;
		if (forms[i].length > 1 && (at[1] < forms[i].second_min || at[1] > forms[i].second_max))
			return 0;
		for (size_t j = 2; j < forms[i].length; j++) {
			if ((at[j] & 0xc0) != 0x80)
				return 0;
		}
		return forms[i].length;
	}
	return 0;
}

/* libfyaml 0.7.12 takes a scalar with broken UTF-8 for an empty one, and says nothing; and it lets
 * control characters pass that YAML 1.2 (5.1) forbids. */
static int check_encoding(const char *text, size_t length, struct problems *problems)
{
	unsigned line = 1, column = 1;

	for (size_t at = 0; at < length;) {
		size_t step = utf8_length((const unsigned char *)text + at, length - at);

		unsigned char byte = (unsigned char)text[at];

		if (step == 0) {
			problem_add(problems, line, column, "the byte 0x%02x here is not text in UTF-8", byte);
			return -EINVAL;
		}
		if ((byte < ' ' && !strchr("\t\r\n", byte)) || byte == 0x7f || byte == '\0') {
			problem_add(problems, line, column, "the byte 0x%02x here is a control character", byte);
			return -EINVAL;
		}
		column++;
		if (text[at] == '\n') {
			line++;
			column = 1;
		}
		at += step;
	}
	return 0;
}

static void discard_output(struct fy_diag *diag, void *user, const char *text, size_t length)
{
}

int yaml_parse(const char *text, size_t length, struct yaml_node **ret_root, struct problems *problems)
{
	struct fy_diag_cfg diag_config;
	struct fy_parse_cfg config = { .search_path = "", .flags = FYPCF_QUIET | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE };
	_cleanup_(fy_diag_destroyp) struct fy_diag *diag = NULL;
	_cleanup_(fy_parser_destroyp) struct fy_parser *parser = NULL;
	_cleanup_(yaml_freep) struct yaml_node *root = NULL;
	struct builder builder = { .problems = problems };
	size_t problems_before = problems->total;
	struct fy_event *event;
	int r = 0;

	if (length > YAML_BYTES_MAX) {
		problem_add(problems, 0, 0, "the file is larger than 1 MiB; a config of this size must be a mistake");
		return -EINVAL;
	}
	r = check_encoding(text, length, problems);
	if (r < 0)
		return r;
	fy_diag_cfg_default(&diag_config);
	diag_config.fp = NULL;
	diag_config.output_fn = discard_output;
	diag = fy_diag_create(&diag_config);
	if (!diag)
		return -ENOMEM;
	fy_diag_set_collect_errors(diag, true);
	config.diag = diag;
	parser = fy_parser_create(&config);
	if (!parser || fy_parser_set_string(parser, text, length) != 0)
		return -ENOMEM;
	while (r == 0 && (event = fy_parser_parse(parser))) {
		r = builder_event(&builder, event);
		fy_parser_event_free(parser, event);
	}
	root = builder.root;
	if (r < 0)
		return r;
	if (fy_parser_get_stream_error(parser) || fy_diag_got_error(diag)) {
		collect_diagnostics(diag, problems);
		if (problems->total == problems_before)
			problem_add(problems, 0, 0, "this is not YAML");
		return -EINVAL;
	}
	*ret_root = TAKE_PTR(root);
	return 0;
}
