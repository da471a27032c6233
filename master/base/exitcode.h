/*
 * Exit statuses of argand and its commands; over the control socket they come from the master.
 */
#ifndef BASE_EXITCODE_H
#define BASE_EXITCODE_H

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_CONFIG = 78 };

#endif
