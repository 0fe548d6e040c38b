/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes text out of a target's raw bytes: always valid UTF-8, no two names alike.
 * It must not know the format (JSON, labels) that the text goes into. */
#include "utf8.h"

#include <ctype.h>
#include <string.h>

/* RFC 3629, section 4: what the second byte may be depends on the first. */
static const struct lead {
	unsigned char first, last, length, second_min, second_max;
} leads[] = {
	{0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
	{0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
	{0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

size_t utf8_sequence(const unsigned char *text, size_t size)
{
	if (text[0] < 0x80)
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(leads); i++) {
		const struct lead *lead = &leads[i];

		if (text[0] < lead->first || text[0] > lead->last)
			continue;
		if (lead->length > size || text[1] < lead->second_min || text[1] > lead->second_max)
			return 0;
		for (size_t j = 2; j < lead->length; j++) {
			if ((text[j] & 0xc0) != 0x80)
				return 0;
		}
		return lead->length;
	}
	return 0;
}

static bool stays(const unsigned char *at, size_t length, enum utf8_keep keep)
{
	if (length == 1 && at[0] < 0x20)
		return keep == UTF8_KEEP_CONTROLS || at[0] == '\n';
	if (length == 1 && at[0] == '\\')
		return !(at[1] == 'x' && isxdigit(at[2]) && isxdigit(at[3]));
	bool is_c1 = length == 2 && at[0] == 0xc2 && at[1] < 0xa0;
	return length && at[0] != 0x7f && !is_c1;
}

void utf8_text(const char *raw, enum utf8_keep keep, char *text, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *at = (const unsigned char *)raw;
	const unsigned char *end = at + strlen(raw);

	while (at < end) {
		size_t length = utf8_sequence(at, end - at);
		char form[4] = {'\\', 'x', hex[*at >> 4], hex[*at & 15]};
		bool is_plain = stays(at, length, keep);
		size_t taken = is_plain ? length : 1, written = is_plain ? length : sizeof(form);

		if (written >= size)
			break;
		memcpy(text, is_plain ? (const char *)at : form, written);
		text += written, size -= written, at += taken;
	}
	*text = '\0';
}
