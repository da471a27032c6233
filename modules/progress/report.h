/*
 * What a client is told of an upload, in its form.
 */
#ifndef PROGRESS_REPORT_H
#define PROGRESS_REPORT_H

#include "common/base/text.h"
#include "common/segment/progress.h"
#include "modules/progress/conf.h"
#include "worker/request.h"

/* Answers a request to a route with progress.report. */
void report_answer(struct request *, const struct progress_conf *);

/* The JSON form. view NULL: nothing is known of the ID. */
void report_json(struct text *, const struct progress_view *view);

#endif
