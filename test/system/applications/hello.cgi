#!/bin/sh
# A CGI script: the environment, the body's digest, a status of its own, a redirect, a complaint.
case $PATH_INFO in
/status) printf 'Status: 404 Not Here\nContent-Type: text/plain\n\nnothing\n' ;;
/redirect) printf 'Location: http://example.org/\n\n' ;;
/local) printf 'Location: /a.txt\n\n' ;;
/complain) echo 'a complaint of the script' >&2; printf 'Content-Type: text/plain\r\n\r\nsaid\n' ;;
/slow) printf 'Content-Type: text/plain\n\nfirst\n'; sleep 1; echo second ;;
/sleep) sleep 60 ;;
/digest) printf 'Content-Type: text/plain\n\n'; sha256sum | cut -d' ' -f1 ;;
/none) exit 3 ;;
*) printf 'Content-Type: text/plain\n\n'; env | sort; pwd ;;
esac
