/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading mappings by tables of keys, and the values that every mapping may have. Complains with the place
 * of the key itself. It must not know which keys a config has. */
#include "config_read.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "units.h"

void complain(struct reader *reader, const struct yaml_node *node, const char *format, ...)
{
	char text[sizeof(((struct problem *)NULL)->text)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	problem_add(reader->problems, node->line, node->column, "%s", text);
}

bool is_null(const struct yaml_node *value)
{
	return value->kind == YAML_SCALAR && value->plain &&
	       (!*value->text || strcmp(value->text, "~") == 0 || strcmp(value->text, "null") == 0);
}

bool expect_kind(struct reader *reader, const struct yaml_node *where, const char *what, const struct yaml_node *value,
		 enum yaml_kind kind, const char *example)
{
	static const char *const words[] = {
		[YAML_SCALAR] = "a single value",
		[YAML_SEQUENCE] = "a list",
		[YAML_MAPPING] = "a mapping",
	};

	if (value->kind == kind)
		return true;
	complain(reader, where, "%.60s must be %s, not %s; write %s", what, words[kind], words[value->kind], example);
	return false;
}

const char *scalar(struct reader *reader, const struct yaml_node *node, const char *example)
{
	const struct yaml_node *value = node->next;

	if (!expect_kind(reader, node, node->text, value, YAML_SCALAR, example))
		return NULL;
	if (is_null(value)) {
		complain(reader, node, "%.60s has no value; write %s", node->text, example);
		return NULL;
	}
	return value->text;
}

static size_t key_find(const struct mapping *mapping, const char *name)
{
	size_t i = 0;

	while (i < mapping->n_keys && strcmp(name, mapping->keys[i].name) != 0)
		i++;
	return i;
}

/* "under defaults or under an entry of targets"; "": no mapping has such a key. */
static void places_of(const struct reader *reader, const char *name, char *ret_text, size_t size)
{
	size_t length = 0;

	*ret_text = '\0';
	for (size_t i = 0; i < reader->n_mappings && length < size; i++) {
		const struct mapping *mapping = &reader->mappings[i];

		if (key_find(mapping, name) < mapping->n_keys)
			length += (size_t)snprintf(ret_text + length, size - length, "%s%s", length ? " or " : "",
						   mapping->where);
	}
}

static void complain_unknown(struct reader *reader, const struct yaml_node *node, const struct mapping *mapping)
{
	const char *names[KEYS_MAX + 1] = { NULL }, *nearest;
	char list[200] = "", places[200];
	size_t length = 0;

	for (size_t i = 0; i < mapping->n_keys; i++) {
		names[i] = mapping->keys[i].name;
		length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%s", i ? ", " : "", names[i]);
	}
	places_of(reader, node->text, places, sizeof(places));
	nearest = word_nearest(node->text, names);
	if (nearest)
		complain(reader, node, "%s has no key '%.60s'; did you mean '%s'?", mapping->what, node->text, nearest);
	else if (*places)
		complain(reader, node, "%s has no key '%.60s'; it belongs %s (here: %s)", mapping->what, node->text, places, list);
	else
		complain(reader, node, "%s has no key '%.60s'; it has %s", mapping->what, node->text, list);
}

int read_mapping(struct reader *reader, const struct yaml_node *at, size_t which, void *into)
{
	const struct mapping *mapping = &reader->mappings[which];
	unsigned seen[KEYS_MAX] = { 0 }; /* the line of each key, 0: not yet */

	for (const struct yaml_node *node = at->first; node; node = node->next->next) {
		size_t i = key_find(mapping, node->text);
		int r;

		if (i == mapping->n_keys) {
			complain_unknown(reader, node, mapping);
			continue;
		}
		if (seen[i]) {
			complain(reader, node, "'%s' stands here a second time (first on line %u); keep one", node->text,
				 seen[i]);
			continue;
		}
		seen[i] = node->line;
		r = mapping->keys[i].read(reader, &mapping->keys[i], node, into);
		if (r < 0)
			return r;
	}
	return 0;
}

int read_list(struct reader *reader, const struct yaml_node *node, const char *example,
	      int (*read_item)(struct reader *reader, const struct yaml_node *item))
{
	char what[80];

	if (is_null(node->next) || !expect_kind(reader, node, node->text, node->next, YAML_SEQUENCE, example))
		return 0;
	snprintf(what, sizeof(what), "an item of %s", node->text);
	for (const struct yaml_node *item = node->next->first; item; item = item->next) {
		int r = 0;

		if (expect_kind(reader, item, what, item, YAML_MAPPING, example))
			r = read_item(reader, item);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Such a name could speak to the terminal of whoever reads it. */
static bool has_control(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	}
	return false;
}

int read_text(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into)
{
	const char *text = scalar(reader, node, "a text");

	if (!text)
		return 0;
	if (!*text)
		complain(reader, node, "%s must not be empty; write a text, or leave the key out", node->text);
	else if (strlen(text) >= key->size)
		complain(reader, node, "%s is longer than %zu bytes; shorten it", node->text, key->size - 1);
	else if (has_control(text))
		complain(reader, node, "%s has a control character in it; remove it", node->text);
	else
		strcpy((char *)into + key->offset, text);
	return 0;
}

int read_flag(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into)
{
	const char *text = scalar(reader, node, "true or false");
	int64_t *field = (int64_t *)((char *)into + key->offset);

	if (!text)
		return 0;
	if (node->next->plain && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
		*field = text[0] == 't';
	else
		complain(reader, node, "%s '%.40s' is not understood; write true or false", node->text, text);
	return 0;
}

int read_warn(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into)
{
	const char *text = scalar(reader, node, WARN_EXPECTS);
	char why[256];

	if (text && warn_parse(text, (uint64_t *)((char *)into + key->offset), why, sizeof(why)) < 0)
		complain(reader, node, "%s", why);
	return 0;
}

int read_duration(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into)
{
	const char *text = scalar(reader, node, DURATION_EXPECTS);
	char why[256];

	if (text && limit_duration_parse(text, (uint64_t *)((char *)into + key->offset), why, sizeof(why)) < 0)
		complain(reader, node, "%s %s", node->text, why);
	return 0;
}
