/*
 * A module that exists in the configuration tests only, and what these tests have in common.
 */
#ifndef TEST_UNIT_CONF_FAKE_H
#define TEST_UNIT_CONF_FAKE_H

#include "common/config/conf.h"

struct fake {
	struct str root;
	struct cfg_strs index;
	bool listing;
	int64_t expire, limit, quota;
	struct cfg_records headers; /* struct fake_header */
	struct str realm, secret;
	struct cfg_strs users;
	struct str to;
	int64_t status;
	int mode;
	struct cfg_regex match;
	unsigned log; /* derived */
	bool is_checked;
};

struct fake_header {
	struct str name, value;
};

/* How often the module's check hook ran since fake_use(). */
extern unsigned fake_checks;

/* Configurations are read with the fake modules from now on. */
void fake_use(void);

/* The module's options of a route. */
const struct fake *fake_of(const struct route *);

/* Loads a text that must be right; prints what is said about it when it is not. */
struct conf *fake_load(const char *text);

/* Loads a text and expects exactly these messages, each "LINE:COL error: text // hint" on a line.
 */
void fake_says(const char *text, const char *expected);

#endif
