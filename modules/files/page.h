/*
 * Directory listings as documents: what is shown, its order, and its texts. Pure.
 */
#ifndef FILES_PAGE_H
#define FILES_PAGE_H

#include <time.h>
#include "common/base/text.h"
#include "modules/files/conf.h"

struct listing_item {
	char *name;
	int64_t size;
	time_t modified;
	bool is_dir;
};

struct listing {
	struct listing_item *v;
	size_t n, room;
	bool is_cut; /* there was more than max */
	int64_t max;
	enum files_sort sort;
	bool is_descending; /* against the order that is usual for the key */
	struct str path;    /* of the request */
};

/* Directories first, then by the key, then by name. */
void files_page_sort(struct listing *);

void files_page_html(const struct listing *, struct text *out);
void files_page_json(const struct listing *, struct text *out);

#endif
