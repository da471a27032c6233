/*
 * What an application is told of an upload: octets of a form, and the route's configuration with
 * the fields of one request. Pure.
 */
#ifndef GATEWAY_UPLOADFORM_H
#define GATEWAY_UPLOADFORM_H

#include "common/base/text.h"
#include "modules/gateway/codec/conf.h"
#include "modules/gateway/uploadfile.h"

/* Octets of a name or a value (application/x-www-form-urlencoded); all but letters, digits and
   "-._~" are percent-encoded, so that the same serves as a field's value. */
void uploadform_encode(struct text *, struct str);
/* name and "=", with "&" before it where something stands there. */
void uploadform_name(struct text *, struct str name);
/* The fields of file i. */
void uploadform_file(struct text *, unsigned i, const struct uploadfile *);

/* Names that the route sets in every request, so that none comes from a client; with no value. */
void uploadform_reserve(struct arena *, struct gateway_conf *);
/* Whether it is one of these. */
bool uploadform_is_reserved(struct str name);
/* The configuration for a request with n files. raw: the one of a body that is no form. */
const struct gateway_conf *uploadform_conf(
    struct arena *, const struct gateway_conf *, unsigned n, const struct uploadfile *raw);

#endif
