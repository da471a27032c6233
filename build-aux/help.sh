#!/bin/sh
# What `make help` says.
cat <<'EOM'
make                  builds ./argand (runs configure first when needed)
make run              installs what is missing, builds, serves the demo on http://127.0.0.1:8080
make check            installs what is missing, builds, runs all tests; last line "N passed, N failed"
                      parts of it: check-unit check-replay check-system check-lint
make check-full       the same with what takes longer: fifty reloads and kills under load, instructions
make check-systemd    the unit file under a real systemd in namespaces (root, some minutes)
make chaos            everything at once, from a seed: CHAOS_TIME=1800 seconds (300), SEED=7 (another each time)
make schedules        random schedules of the engine, SCHEDULES=100000; SEED=7: that one, told step by step
make lint             clang-tidy, cppcheck, formatting, the rules of the house, units, manual pages
make format           what the formatting check of lint wants
make fuzz             every fuzzer for FUZZ_TIME seconds (600); fuzz-smoke: 10 seconds each
make hostile          a worker that was taken over against the master, for HOSTILE_TIME seconds (1800)
make rooms            the folders of the sources and what they stand on, from the includes; DOT=1: for Graphviz
make man              argand.conf(5) anew from the options that the program has
make bench            system calls, allocations, instructions; BENCH=DIR with bench.py: other servers too
make bench-loss       what reloads, upgrades and kills lose, beside five other servers; ROUNDS=3
make install          DESTDIR=, prefix= and configure's --sysconfdir etc. are honoured
make uninstall        takes it away again and leaves the configuration
make dist             argand-VERSION.tar.gz, which needs no autoconf
make clean            removes build/; distclean also what configure wrote

SANITIZE=address,undefined   with any of these: a second tree, build/san-address-undefined
B=DIR                        builds elsewhere
CC=clang                     another compiler
DEPS=no                      never installs packages
EOM
