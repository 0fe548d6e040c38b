/* SPDX-License-Identifier: GPL-2.0-only */
/* What a client can take, read from its Accept headers (RFC 9110, section 12.5): pure text work.
 * It must not know the HTTP library or what is served. */
#include "http_negotiate.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Weights are in thousandths, as a qvalue has at most three decimals. */
#define WEIGHT_MAX 1000
#define NOT_MENTIONED (-1)

struct part {
	const char *text;
	size_t length;
};

/* Cuts at the next separator that stands outside of a quoted string; false: nothing is left. */
static bool next_part(struct part *rest, char separator, struct part *ret_part)
{
	bool is_quoted = false;
	size_t end = 0;

	if (!rest->text)
		return false;
	for (; end < rest->length && (is_quoted || rest->text[end] != separator); end++) {
		if (rest->text[end] == '"')
			is_quoted = !is_quoted;
		else if (is_quoted && rest->text[end] == '\\' && end + 1 < rest->length)
			end++;
	}
	struct part part = {rest->text, end};

	*rest = end < rest->length ? (struct part){rest->text + end + 1, rest->length - end - 1} : (struct part){0};
	for (; part.length && strchr(" \t", part.text[0]); part.length--)
		part.text++;
	while (part.length && strchr(" \t", part.text[part.length - 1]))
		part.length--;
	*ret_part = part;
	return true;
}

static bool part_is(struct part part, const char *text)
{
	return part.length == strlen(text) && !strncasecmp(part.text, text, part.length);
}

/* The value of NAME=VALUE, without quotes. */
static bool parameter_value(struct part parameter, const char *name, struct part *ret_value)
{
	size_t length = strlen(name);

	if (parameter.length <= length || parameter.text[length] != '=' ||
	    strncasecmp(parameter.text, name, length))
		return false;
	struct part value = {parameter.text + length + 1, parameter.length - length - 1};

	if (value.length >= 2 && value.text[0] == '"' && value.text[value.length - 1] == '"')
		value = (struct part){value.text + 1, value.length - 2};
	*ret_value = value;
	return true;
}

/* "0", "1", "0.875"; what is malformed weighs nothing. */
static int parse_weight(struct part value)
{
	int weight = 0, digit = WEIGHT_MAX;

	if (!value.length || value.length > strlen("0.000") || (value.text[0] != '0' && value.text[0] != '1'))
		return 0;
	for (size_t i = 0; i < value.length; i++) {
		if (i == 1 && value.text[i] == '.')
			continue;
		if (i == 1 || !isdigit((unsigned char)value.text[i]))
			return 0;
		weight += (value.text[i] - '0') * digit;
		digit /= 10;
	}
	return weight > WEIGHT_MAX ? 0 : weight;
}

/* The greatest weight that the list gives to `name`; an element whose version is not `version` does not
 * count (NULL: any). */
static int weigh(const char *header, const char *name, const char *version)
{
	struct part rest = {header, strlen(header)}, element, parameter, value;
	int best = NOT_MENTIONED;

	while (next_part(&rest, ',', &element)) {
		int weight = WEIGHT_MAX;
		bool is_ours = next_part(&element, ';', &parameter) && part_is(parameter, name);

		while (is_ours && next_part(&element, ';', &parameter)) {
			if (parameter_value(parameter, "q", &value))
				weight = parse_weight(value);
			else if (version && parameter_value(parameter, "version", &value))
				is_ours = part_is(value, version);
		}
		if (is_ours && weight > best)
			best = weight;
	}
	return best;
}

/* The most specific name that the list mentions decides. */
static int weigh_first(const char *header, const char *const *names, size_t n_names, const char *version)
{
	for (size_t i = 0; i < n_names; i++) {
		int weight = weigh(header, names[i], version);

		if (weight != NOT_MENTIONED)
			return weight;
	}
	return NOT_MENTIONED;
}

enum metrics_format http_negotiate_format(const char *accept)
{
	static const char *const text_names[] = {"text/plain", "text/*", "*/*"};

	if (!accept)
		return METRICS_TEXT;
	int open = weigh(accept, "application/openmetrics-text", "1.0.0");
	int text = weigh_first(accept, text_names, ARRAY_SIZE(text_names), "0.0.4");

	return open > 0 && open >= text ? METRICS_OPENMETRICS : METRICS_TEXT;
}

bool http_negotiate_gzip(const char *accept_encoding)
{
	static const char *const gzip_names[] = {"gzip", "x-gzip", "*"};

	if (!accept_encoding)
		return false;
	int gzip = weigh_first(accept_encoding, gzip_names, ARRAY_SIZE(gzip_names), NULL);

	return gzip > 0 && gzip >= weigh(accept_encoding, "identity", NULL);
}
