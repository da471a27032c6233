/*
 * `argand run`.
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

int run_main(int argc, char **argv);
/* The program as it was started: what an upgrade executes again. Call first. */
void run_remember(char **argv);

#endif
