/*
 * `argand version`.
 */
#ifndef CLI_VERSION_H
#define CLI_VERSION_H

/* -v: features, libraries, paths. --handover: the version of the record that it reads. */
int version_main(int argc, char **argv);

#endif
