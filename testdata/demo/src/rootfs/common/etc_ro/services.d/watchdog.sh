service_watchdog_start() {
	wget -q -O /dev/null http://127.0.0.1/index.html && echo 1 > /dev/watchdog
}
