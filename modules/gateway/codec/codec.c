#include "modules/gateway/codec/codec.h"

const struct codec *
codec_of(int protocol)
{
	static const struct codec *const codecs[] = {
		[POOL_FASTCGI] = &codec_fastcgi,
		[POOL_SCGI] = &codec_scgi,
		[POOL_UWSGI] = &codec_uwsgi,
		[POOL_HTTP] = &codec_http,
		[POOL_AJP] = &codec_ajp,
		[POOL_CGI] = &codec_scgi,
	};

	return codecs[protocol];
}
