/* SPDX-License-Identifier: GPL-2.0-only */
/* The whole agent, linked with --wrap=model_apply: every fact that reaches the model is written down first, to the file
 * named by POOLSCOPE_FACTS. It must not know what facts mean. */
#include "model/model.h"
#include "../unit/recording.h"

#include <stdlib.h>

int __real_model_apply(struct model *model, const struct fact *fact);
int __wrap_model_apply(struct model *model, const struct fact *fact);

int __wrap_model_apply(struct model *model, const struct fact *fact)
{
	static FILE *file;

	if (!file)
		file = fopen(getenv("POOLSCOPE_FACTS"), "w");
	if (!file || recording_write(file, fact) < 0)
		abort();
	fflush(file);
	return __real_model_apply(model, fact);
}
