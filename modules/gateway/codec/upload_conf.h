/*
 * What a route says about uploads that an application is handed as files: gateway.upload.
 */
#ifndef CODEC_UPLOAD_CONF_H
#define CODEC_UPLOAD_CONF_H

#include <sys/types.h>
#include "common/base/str.h"

struct upload_conf {
	struct str directory; /* n 0: bodies go to the backend as they are */
	struct str mode_text, group_text;
	int64_t max_file;   /* octets of one file */
	int64_t max_parts;  /* of a form */
	int64_t max_fields; /* octets of what is no file, as it is told */
	int64_t max_head;   /* octets of the head of a part */
	int64_t max_name;   /* octets of the name of a field, or of a file */
	/* derived */
	mode_t mode;
	gid_t gid; /* (gid_t)-1: as the directory or the worker has it */
};

#endif
