package declare

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/doorward/doorward"
)

// DraftMUD writes a MUD file (RFC 8520) of the destinations, update hosts and
// services of a report, for the maker to complete: at least mud-url must be
// replaced. left are the doors of these kinds that a MUD file cannot name.
func DraftMUD(r *doorward.Report) (document []byte, left []doorward.Door) {
	m := mudDraft{seen: map[string]bool{}}
	for i := range r.Doors {
		if !m.door(&r.Doors[i]) {
			left = append(left, r.Doors[i])
		}
	}
	type object = map[string]any
	var lists []any
	policy := func(direction string, aces [2][]any) object {
		refs := []any{}
		for i, family := range families {
			if len(aces[i]) == 0 {
				continue
			}
			name := direction + "-" + family
			refs = append(refs, object{"name": name})
			lists = append(lists, object{"name": name, "type": family + "-acl-type", "aces": object{"ace": aces[i]}})
		}
		return object{"access-lists": object{"access-list": refs}}
	}
	date := firstNonEmpty(r.Date, "1970-01-01")
	mud := object{
		"mud-version": 1, "mud-url": "https://maker.invalid/to-be-stated.json", "last-update": date + "T00:00:00Z", "cache-validity": 48, "is-supported": true,
		"systeminfo":         shorten(firstNonEmpty(r.Subject.Product, r.Subject.Name), 60),
		"from-device-policy": policy("from", m.from), "to-device-policy": policy("to", m.to),
	}
	for key, text := range map[string]string{"mfg-name": r.Subject.Maker, "model-name": r.Subject.Product, "firmware-rev": r.Subject.Version} {
		if text != "" {
			mud[key] = text
		}
	}
	if lists == nil {
		lists = []any{}
	}
	return writeJSON(object{"ietf-mud:mud": mud, "ietf-access-control-list:acls": object{"acl": lists}}), left
}

var families = []string{"ipv4", "ipv6"}

func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

// mudDraft gathers access list entries, by family.
type mudDraft struct {
	from, to [2][]any
	seen     map[string]bool
}

// door adds the entries of a door; false if it ought to have some and none can
// be made.
func (m *mudDraft) door(d *doorward.Door) bool {
	host := string([]rune(d.Detail.Text("host")))
	port, err := strconv.ParseUint(d.Detail.Text("port"), 10, 16)
	hasPort := err == nil
	proto := d.Detail.Text("proto")
	switch d.Kind {
	case doorward.KindDestination, doorward.KindUpdate:
		if host == "" {
			return d.Kind == doorward.KindUpdate // such as a memory card: no traffic
		}
		m.destination(host, port, hasPort)
	case doorward.KindService:
		if !hasPort || proto != "tcp" && proto != "udp" {
			return false
		}
		m.service(proto, port)
	}
	return true
}

func (m *mudDraft) destination(host string, port uint64, hasPort bool) {
	there, back := map[string]any{}, map[string]any{}
	family := 0
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Is6() {
			family = 1
		}
		network := netip.PrefixFrom(ip.WithZone(""), ip.BitLen()).String()
		there["destination-"+families[family]+"-network"] = network
		back["source-"+families[family]+"-network"] = network
	} else {
		there["ietf-acldns:dst-dnsname"] = host
		back["ietf-acldns:src-dnsname"] = host
	}
	matches := map[string]any{families[family]: there}
	if !hasPort {
		m.add(&m.from[family], "from", matches)
		return
	}
	there["protocol"], back["protocol"] = 6, 6
	matches["tcp"] = map[string]any{"destination-port": equal(port), "ietf-mud:direction-initiated": "from-device"}
	m.add(&m.from[family], "from", matches)
	m.add(&m.to[family], "to", map[string]any{families[family]: back, "tcp": map[string]any{"source-port": equal(port), "ietf-mud:direction-initiated": "from-device"}})
}

func (m *mudDraft) service(proto string, port uint64) {
	number := map[string]int{"tcp": 6, "udp": 17}[proto]
	for i, family := range families {
		there, back := map[string]any{"destination-port": equal(port)}, map[string]any{"source-port": equal(port)}
		if proto == "tcp" {
			there["ietf-mud:direction-initiated"], back["ietf-mud:direction-initiated"] = "to-device", "to-device"
		}
		ip := map[string]any{"protocol": number}
		m.add(&m.to[i], "to", map[string]any{family: ip, proto: there})
		m.add(&m.from[i], "from", map[string]any{family: ip, proto: back})
	}
}

func equal(port uint64) map[string]any { return map[string]any{"operator": "eq", "port": port} }

func (m *mudDraft) add(list *[]any, direction string, matches map[string]any) {
	key := direction + fmt.Sprint(matches)
	if m.seen[key] {
		return
	}
	m.seen[key] = true
	*list = append(*list, map[string]any{
		"name": fmt.Sprintf("%s-%d", direction, len(m.seen)), "matches": matches, "actions": map[string]any{"forwarding": "accept"},
	})
}
