/*
 * The IETF's draft for resumable uploads (draft-ietf-httpbis-resumable-upload). A version that
 * clients name in Upload-Draft-Interop-Version is a row of a table.
 */
#ifndef RECEIVE_DRAFT_H
#define RECEIVE_DRAFT_H

#include "modules/receive/op.h"

enum receive_draft_asks {
	RECEIVE_DRAFT_NO,    /* Upload-Complete is not there: an upload in one request */
	RECEIVE_DRAFT_ALIEN, /* all of it in one request, by a version that is not known here */
	RECEIVE_DRAFT_PART,  /* the same, a part of it */
	RECEIVE_DRAFT_YES,
};

enum receive_draft_asks receive_draft_asks(struct request *);
/* An upload begins; name as in plain.h. */
void receive_draft_create(struct receive_op *, struct str name);
void receive_draft_resource(struct receive_op *, struct str id);
/* Upload-Limit; 104 with an offset. */
void receive_draft_limit(struct receive_op *);
void receive_draft_tell(struct receive_op *, int64_t offset);

#endif
