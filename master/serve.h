/*
 * `argand serve [DIR]`: a directory on the web without a configuration file.
 */
#ifndef MASTER_SERVE_H
#define MASTER_SERVE_H

int serve_main(int argc, char **argv);

#endif
