/*
 * The settings of upload progress.
 */
#ifndef PROGRESS_CONF_H
#define PROGRESS_CONF_H

#include "common/config/cfg.h"

/* The forms of a report, in the order of report.c's table. */
enum progress_form {
	FORM_JSON,
	FORM_JSONP,
	FORM_SSE,
	FORM_XML,
	FORM_LIGHTTPD,
	FORM_NGINX,
	FORM_NGINX_OBJECT,
	FORM_NGINX_JSONP,
	FORMS
};
extern const char *const progress_forms[FORMS + 1];

struct progress_conf {
	int64_t uploads; /* see common/segment/progress_table.c */
	int64_t keep;
	struct str secret;
	struct cfg_strs origins;
	int form;
	bool is_tracked, is_report;
};

#endif
