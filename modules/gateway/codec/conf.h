/*
 * What a route says about its backends: `gateway = "POOL"` and the group `gateway = { … }`, as the
 * codecs and the engine read it. The table of the options is in gateway_conf.c.
 */
#ifndef CODEC_CONF_H
#define CODEC_CONF_H

#include "common/base/mime.h"
#include "common/base/template.h"
#include "common/config/conf_pool.h"
#include "common/config/module.h"
#include "modules/gateway/codec/upload_conf.h"

enum gateway_request { REQUEST_AUTO, REQUEST_BUFFER, REQUEST_SPOOL, REQUEST_STREAM };
enum gateway_response { RESPONSE_SPOOL, RESPONSE_STREAM, RESPONSE_BUFFER };
enum gateway_host { HOST_CLIENT, HOST_BACKEND, HOST_TEXT };
enum gateway_field_names { FIELD_NAMES_PLAIN, FIELD_NAMES_ANY };

/* A record { name = "X"; value = "$client"; }. */
struct gateway_pair {
	struct str name, value;
	struct template text; /* derived */
};

/* Files that an application names and the server sends: see sendfile.h. */
struct gateway_sendfile {
	struct cfg_strs directories, temp_directories;
	struct str base; /* of relative names; n 0: these are refused */
	struct cfg_strs headers, mapping;
	bool encoded;
	struct str variable, type;
	/* derived */
	unsigned commands; /* bit 1 << enum sendcmd: what is obeyed; 0: nothing */
	struct str mime_types, charset;
	struct mime_rules types;
};

struct gateway_conf {
	struct str backend;      /* the pool's name; empty: not for us */
	struct str authorizer;   /* a FastCGI pool that is asked first */
	int request_body;        /* enum gateway_request */
	int response_body;       /* enum gateway_response */
	int64_t response_memory; /* octets in memory before disk (spool) or pause (stream) */
	int64_t response_disk;   /* octets on disk before the backend is paused */
	bool ignore_client_abort;
	struct cfg_strs environment_lines; /* "NAME=value" */
	struct cfg_records environment;    /* derived: struct gateway_pair */
	/* scripts */
	struct template root_of_host; /* derived: root, when $host is in it */
	struct str root;  /* DOCUMENT_ROOT on the backend's machine; empty: the site's root */
	struct str alias; /* derived: a directory in place of the first alias_n octets of paths */
	size_t alias_n;   /* derived; without a trailing slash */
	struct cfg_strs split; /* ".php": where SCRIPT_NAME ends; "": at the first file (CGI) … */
	struct str prefix;     /* … or: SCRIPT_NAME is this prefix, PATH_INFO the rest */
	struct cfg_strs index; /* "index.php": for paths that end in "/" */
	struct str front;      /* front controller: SCRIPT_NAME when the path is no existing file */
	bool check;            /* the script must exist below root (here) */
	/* http */
	int host;                      /* derived: enum gateway_host */
	struct str host_text;          /* "client", "backend", or a text with variables */
	struct template host_template; /* derived */
	struct cfg_strs set_lines;     /* "Name: value" */
	struct cfg_records set; /* derived: struct gateway_pair: request fields; empty: removed */
	struct cfg_strs remove; /* request fields that are not passed on */
	struct cfg_strs hide;   /* response fields that are not passed on */
	struct cfg_strs pass;   /* claims that are passed on from anybody */
	int field_names;        /* enum gateway_field_names */
	struct str path_from, path_to; /* "/app" -> "/": also back in Location and cookie paths */
	bool forwarded;                /* also the Forwarded field (RFC 7239) */
	bool x_forwarded;              /* X-Forwarded-For, -Proto, -Host */
	bool via;
	struct cfg_strs upgrade; /* protocols that a connection may change to: "websocket" */
	struct gateway_sendfile sendfile;
	bool intercept_errors; /* answers >= 400 get the site's error pages */
	struct upload_conf upload;
	/* derived */
	const struct conf_pool *pool, *authorizer_pool;
	struct cfg_strs scripts; /* suffixes of what is run, see scripts.h */
};

#endif
