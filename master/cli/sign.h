/*
 * The command sign: makes a link for a URL that the configuration protects.
 */
#ifndef CLI_SIGN_H
#define CLI_SIGN_H

int sign_main(int argc, char **argv);

#endif
