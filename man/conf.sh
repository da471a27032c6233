#!/bin/sh
# Prints argand.conf(5): the written part with the option reference of the program in its place.
#     man/conf.sh [ARGAND] >man/argand.conf.5
set -eu
here=$(dirname "$0")
argand=${1:-$here/../build/argand}
reference=$("$argand" options --mdoc)
sed -n '1,/@OPTIONS@/p' "$here/argand.conf.5.in" | sed '1d;$d'
printf '%s\n' "$reference"
sed '1,/@OPTIONS@/d' "$here/argand.conf.5.in"
