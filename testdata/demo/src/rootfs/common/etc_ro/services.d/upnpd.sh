# from the SDK; this model has no upnpd
service_upnpd_start() {
	/usr/sbin/upnpd -i eth0 -p 49152 &
}
