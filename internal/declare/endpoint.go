package declare

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/doorward/doorward"
)

// wellKnown gives the port and the transport of an endpoint's scheme.
var wellKnown = map[string]struct{ port, proto string }{
	"http": {"80", "tcp"}, "https": {"443", "tcp"}, "ws": {"80", "tcp"}, "wss": {"443", "tcp"},
	"ssh": {"22", "tcp"}, "sftp": {"22", "tcp"}, "telnet": {"23", "tcp"}, "ftp": {"21", "tcp"}, "ftps": {"990", "tcp"},
	"mqtt": {"1883", "tcp"}, "mqtts": {"8883", "tcp"}, "rtsp": {"554", "tcp"}, "rtsps": {"322", "tcp"},
	"coap": {"5683", "udp"}, "coaps": {"5684", "udp"}, "ldap": {"389", "tcp"}, "ldaps": {"636", "tcp"},
	"dns": {"53", "udp"}, "ntp": {"123", "udp"}, "snmp": {"161", "udp"}, "tftp": {"69", "udp"}, "syslog": {"514", "udp"},
	"tcp": {"", "tcp"}, "udp": {"", "udp"}, "tls": {"", "tcp"}, "quic": {"443", "udp"},
}

// endpointClaim makes a claim of a service's endpoint: a listener if its
// address is unspecified (tcp://0.0.0.0:22), else a destination. A bare path
// (/api/v1) says too little.
func endpointClaim(endpoint, service string) (doorward.Claim, bool) {
	c := doorward.Claim{Says: doorward.SaysDoor, Text: endpoint}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return c, false
	}
	known := wellKnown[strings.ToLower(u.Scheme)]
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = known.port
	}
	if isListener(host) {
		if port == "" {
			return c, false
		}
		proto := known.proto
		if proto == "" {
			proto = "tcp"
		}
		c.Kinds = []doorward.Kind{doorward.KindService}
		c.Pairs = []doorward.Pair{{Key: "proto", Value: proto}, {Key: "port", Value: port}}
		if service != "" {
			c.Pairs = append(c.Pairs, doorward.Pair{Key: "program", Value: service})
		}
		return c, true
	}
	c.Kinds = []doorward.Kind{doorward.KindDestination}
	c.Pairs = []doorward.Pair{{Key: "host", Value: host}}
	if port != "" {
		c.Pairs = append(c.Pairs, doorward.Pair{Key: "port", Value: port})
	}
	return c, true
}

func isListener(host string) bool {
	if host == "" || host == "*" || host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsUnspecified() || ip.IsLoopback())
}
