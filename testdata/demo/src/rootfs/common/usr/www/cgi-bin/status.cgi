#!/bin/sh
if [ -z "$QV_SESSION" ] || [ "$HTTP_COOKIE" != "session=$QV_SESSION" ]; then
	echo "Content-Type: text/plain"; echo; echo "log in first"
	exit 0
fi
echo "Content-Type: text/plain"; echo
cat /usr/share/version
cat /proc/uptime
