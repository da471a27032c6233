/*
 * The status page: modules/status.html, which the build puts into the program, with the figures of
 * this moment filled in, so that it can be read without scripts; its script then polls the JSON.
 */
#ifndef MODULES_STATUS_HTML_H
#define MODULES_STATUS_HTML_H

#include "common/statussnap.h"
#include "common/text.h"

/* nonce: what the Content-Security-Policy lets run; letters and digits. */
void status_html(const struct statussnap *, const char *nonce, struct text *out);

#endif
