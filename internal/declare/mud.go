package declare

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/doorward/doorward"
)

// mud reads a MUD file (RFC 8520). From-device entries are destinations; a
// to-device entry is a service if it names a destination port and is not the
// way back of a connection that the device opens. Addresses of layer 2 and
// entries without an address (ICMP to anybody) declare no door.
func (r *reader) mud(root *value) error {
	r.decl.Format = "mud"
	m := root.get("ietf-mud:mud")
	if n, ok := m.get("mud-version").number(); !ok || n != 1 {
		return r.errorAt(m.start, "a MUD file of version 1 has \"mud-version\": 1")
	}
	r.decl.Subject.Name = firstText(m.get("model-name"), m.get("ietf-mud:model-name"), m.get("systeminfo"))
	for _, key := range []string{"firmware-rev", "software-rev"} {
		if v := m.get(key).text(); v != "" {
			r.decl.Subject.Versions = append(r.decl.Subject.Versions, v)
		}
	}
	r.transparency(m)
	// RFC 8520 names the lists acls; drafts and many real files access-lists.
	lists := root.get("ietf-access-control-list:acls", "acl")
	if lists == nil {
		lists = root.get("ietf-access-control-list:access-lists", "acl")
	}
	byName := map[string]*value{}
	for _, acl := range lists.list() {
		byName[acl.get("name").text()] = acl
	}
	for _, from := range []bool{true, false} {
		key := "to-device-policy"
		if from {
			key = "from-device-policy"
		}
		for _, ref := range m.get(key, "access-lists", "access-list").list() {
			name := ref.get("name").text()
			acl := byName[name]
			if acl == nil {
				return r.errorAt(ref.start, "%s names the access list %q, which is not in the file", key, name)
			}
			for _, ace := range acl.get("aces", "ace").list() {
				r.ace(ace, from)
			}
		}
	}
	return nil
}

func firstText(values ...*value) string {
	for _, v := range values {
		if s := v.text(); s != "" {
			return s
		}
	}
	return ""
}

// transparency reads where the SBOM is (RFC 9472).
func (r *reader) transparency(m *value) {
	t := m.get("ietf-mud-transparency:transparency")
	if t == nil {
		t = m.get("transparency")
	}
	for _, s := range t.get("sboms").list() {
		if url := s.get("sbom-url").text(); url != "" {
			r.decl.SBOMs = append(r.decl.SBOMs, url)
		}
	}
	if way := t.get("sbom-local-well-known").text(); way != "" {
		r.decl.SBOMs = append(r.decl.SBOMs, way+"://DEVICE/.well-known/sbom")
	}
	if contact := t.get("sbom-contact-info").text(); contact != "" {
		r.decl.SBOMs = append(r.decl.SBOMs, contact)
	}
}

// ace reads one entry of an access list.
func (r *reader) ace(ace *value, from bool) {
	if ace.get("actions", "forwarding").text() != "accept" {
		return
	}
	e := entry{matches: ace.get("matches"), from: from}
	e.read()
	c := doorward.Claim{Pointer: ace.pointer, Says: doorward.SaysDoor, Text: e.words()}
	if e.from {
		c.Kinds = []doorward.Kind{doorward.KindDestination}
		if e.peer == "" || e.initiated == "to-device" || e.sourcePort != "" && e.port == "" {
			c.Note = "declares no destination: the way back of a connection to the device, or no address is named"
			c.Kinds = nil
		} else {
			c.Pairs = pairs("host", e.peer, "port", e.port)
		}
	} else {
		c.Kinds = []doorward.Kind{doorward.KindService}
		if e.port == "" || e.initiated == "from-device" {
			c.Note = "declares no service: the way back of a connection that the device opens, or no port of the device is named"
			c.Kinds = nil
		} else {
			c.Pairs = pairs("proto", e.proto, "port", e.port)
		}
	}
	r.decl.Claims = append(r.decl.Claims, c)
}

func pairs(keysAndValues ...string) []doorward.Pair {
	var list []doorward.Pair
	for i := 0; i < len(keysAndValues); i += 2 {
		if keysAndValues[i+1] != "" {
			list = append(list, doorward.Pair{Key: keysAndValues[i], Value: keysAndValues[i+1]})
		}
	}
	return list
}

// entry is what an access list entry matches.
type entry struct {
	matches    *value
	from       bool
	peer       string // host name, network, LocalNetworks, or a class of RFC 8520
	proto      string
	port       string // destination port or range
	sourcePort string
	initiated  string // from-device or to-device
}

var protocols = map[int64]string{1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}

func (e *entry) read() {
	side := "source"
	name := "ietf-acldns:src-dnsname"
	if e.from {
		side, name = "destination", "ietf-acldns:dst-dnsname"
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		ip := e.matches.get(family)
		if n, ok := ip.get("protocol").number(); ok {
			e.proto = protocols[n]
		}
		e.peer = firstNonEmpty(e.peer, strings.ToLower(ip.get(name).text()), ip.get(side+"-"+family+"-network").text())
	}
	for _, proto := range []string{"tcp", "udp"} {
		t := e.matches.get(proto)
		if t == nil {
			continue
		}
		e.proto = proto
		e.port = portRange(t.get("destination-port"))
		e.sourcePort = portRange(t.get("source-port"))
		e.initiated = t.get("ietf-mud:direction-initiated").text()
	}
	if e.peer == "" {
		e.peer = mudClass(e.matches.get("ietf-mud:mud"))
	}
}

func firstNonEmpty(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// mudClass is the peer that an entry names by its role (RFC 8520, section 3).
func mudClass(m *value) string {
	if m == nil {
		return ""
	}
	for _, mm := range m.members {
		switch mm.key {
		case "local-networks", "same-manufacturer", "my-controller", "model", "manufacturer":
			// All of these stand in the networks of the product's owner.
			return doorward.LocalNetworks
		case "controller":
			if strings.HasPrefix(mm.value.text(), "urn:ietf:params:mud:") {
				return doorward.LocalNetworks
			}
			return strings.ToLower(mm.value.text())
		}
	}
	return ""
}

// portRange reads an operator and its port (RFC 8519, section 4.2) as a port or
// a range low-high; "" if there is none that can be said so.
func portRange(p *value) string {
	if p == nil {
		return ""
	}
	port, hasPort := p.get("port").number()
	low, hasLow := p.get("lower-port").number()
	high, hasHigh := p.get("upper-port").number()
	switch op := p.get("operator").text(); {
	case hasLow && hasHigh:
		return fmt.Sprintf("%d-%d", low, high)
	case hasPort && (op == "eq" || op == ""):
		return strconv.FormatInt(port, 10)
	case hasPort && op == "lte":
		return fmt.Sprintf("0-%d", port)
	case hasPort && op == "gte":
		return fmt.Sprintf("%d-65535", port)
	case hasLow:
		return strconv.FormatInt(low, 10)
	}
	return ""
}

// words says an entry in words, for reports.
func (e *entry) words() string {
	dir := "to-device"
	if e.from {
		dir = "from-device"
	}
	text := dir
	for _, p := range pairs("proto", e.proto, "peer", e.peer, "port", e.port, "source-port", e.sourcePort, "direction-initiated", e.initiated) {
		text += " " + p.Key + "=" + p.Value
	}
	return text
}
