/*
 * Values of the header fields that uploads speak: structured fields (RFC 9651) of the resumable
 * upload draft, those of tus 1.0, and the file name of Content-Disposition (RFC 6266). Pure.
 */
#ifndef RECEIVE_VALUE_H
#define RECEIVE_VALUE_H

#include "common/base/arena.h"

/* Items of structured fields; parameters are allowed and mean nothing. False: it is none, and the
   field counts as absent. Integers: 0 to 999999999999999. */
bool receive_value_bool(struct str, bool *out);
bool receive_value_int(struct str, int64_t *out);

/* A number of tus: decimal digits. */
bool receive_value_number(struct str, int64_t *out);

/* What a field says: 1; it does not: 0; it is malformed: -1. */
/* The value of a key in Upload-Metadata, decoded. All of the field is looked at. */
int receive_value_metadata(struct str value, struct str key, struct arena *, struct str *out);
/* The file name in Content-Disposition, filename* before filename. */
int receive_value_filename(struct str value, struct arena *, struct str *out);

enum { RECEIVE_DIGEST_MAX = 64 };

struct receive_digest {
	const char *name; /* for OpenSSL: "SHA1" … */
	unsigned char v[RECEIVE_DIGEST_MAX];
	size_t n;
};

/* Upload-Checksum: an algorithm and its digest in base64. False: not known, or no digest of it. */
bool receive_value_digest(struct str value, struct receive_digest *out);
#define RECEIVE_DIGESTS "sha1,sha256,sha512,md5"

#endif
