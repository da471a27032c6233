/*
 * The status page: modules/status/status.html, which the build puts into the program, with the
 * figures of this moment filled in, so that it can be read without scripts; its script then polls
 * the JSON.
 */
#ifndef STATUS_HTML_H
#define STATUS_HTML_H

#include "common/base/text.h"
#include "common/status/snap.h"

/* nonce: what the Content-Security-Policy lets run; letters and digits. */
void status_html(const struct statussnap *, const char *nonce, struct text *out);

#endif
