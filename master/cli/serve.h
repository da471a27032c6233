/*
 * `argand serve [DIR]`: a directory on the web without a configuration file.
 */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

int serve_main(int argc, char **argv);

#endif
