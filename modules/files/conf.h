/*
 * What is configured about files: the options and what the check hook derives from them.
 */
#ifndef FILES_CONF_H
#define FILES_CONF_H

#include "common/base/mime.h"
#include "common/base/template.h"
#include "common/config/cfg.h"

/* Content codings of precompressed siblings; 0 is the file itself. */
enum files_coding { CODING_IDENTITY, CODING_BR, CODING_ZSTD, CODING_GZIP, CODING_MAX };

struct files_coding_info {
	struct str name;   /* as in Content-Encoding and in the configuration */
	struct str suffix; /* of the sibling's name */
};
extern const struct files_coding_info files_codings[CODING_MAX];

enum files_sort { SORT_NAME, SORT_SIZE, SORT_TIME };

/* One element of a try list. status 0: a path; last: where to start over, query behind its "?". */
struct files_try {
	struct template path, query;
	bool has_query;
	int status;
};

struct files_conf {
	struct str root, alias; /* NUL-terminated; n 0: not set */
	struct cfg_strs index, try;
	bool listing;
	int listing_sort; /* enum files_sort */
	struct cfg_strs listing_hide;
	int64_t listing_max;
	bool hidden;
	bool scripts_as_text;
	int symlinks; /* enum beneath_links */
	struct cfg_strs precompressed;
	struct str charset;
	struct cfg_strs types;
	struct str mime_types;
	bool etag;
	int64_t max_ranges;
	int64_t cache_size, cache_file, cache_files, cache_valid;

	/* derived */
	uint8_t codings[CODING_MAX]; /* enum files_coding, in order of preference */
	unsigned ncodings;
	struct mime_rules rules;
	struct template root_of_host; /* root, when it holds $host; n 0: it does not */
	struct files_try *tries;
	size_t ntries;
};

extern const struct cfg_opt files_conf_opts[];

void files_conf_check(void *conf, struct cfg_check *);
bool files_conf_is_active(const void *conf);

#endif
