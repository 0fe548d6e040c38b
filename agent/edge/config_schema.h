/* SPDX-License-Identifier: GPL-2.0-only */
/* Which keys a config file has, what they fill, and how targets inherit from the defaults. It must not
 * know YAML's text. */
#ifndef POOLSCOPE_EDGE_CONFIG_SCHEMA_H
#define POOLSCOPE_EDGE_CONFIG_SCHEMA_H

#include "config.h"

/* What a file may hold; every target gets a copy of the defaults' limits. */
#define CONFIG_TARGETS_MAX 512
#define CONFIG_LIMITS_MAX 128 /* of one entry, and of the defaults */
#define CONFIG_RULES_MAX 128

/* Fills a built-in config from the tree (NULL: an empty file). What is wrong is added to problems, and
 * reading goes on; the config is good only if nothing was. 0, -ENOMEM. */
int config_read(const struct yaml_node *root, struct config *config, struct problems *problems);

#endif
