service_ftpd_start() {
	ftpd -A -p 21 /mnt &
}
