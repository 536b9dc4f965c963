package origin

import (
	"context"
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
)

// Hosts reads who operates the servers that the product gets its updates from,
// as far as the domain's name tells, and in which country fixed addresses are
// registered.
var Hosts = &Gatherer{
	Name: "origin-hosts",
	Doc: "Takes the registered domain of every update server as the name of who operates it, and for fixed IPv4 addresses the country in which the address block is " +
		"registered (a shipped table). Both are inferred.",
	Run: runHosts,
}

// MethodDomain is the method of facts whose entity is known by a domain alone.
const MethodDomain = "domain"

func runHosts(_ context.Context, in *Input, out *detect.Sink) error {
	for i := range in.Doors {
		d := &in.Doors[i]
		host := d.Detail.Text("host")
		if host == "" || d.Kind != doorward.KindUpdate && d.Kind != doorward.KindDestination || d.Certainty == doorward.Hint {
			continue
		}
		fact := doorward.OriginFact{
			Subject: d.Component, AssertedBy: "the product", Class: doorward.Inferred, Evidence: host, Pointer: d.ID, Where: first(d.Where),
		}
		if fact.Subject == "" {
			fact.Subject = doorward.ProductSubject
		}
		if ip, err := netip.ParseAddr(host); err == nil {
			if fact.Country = AddressCountry(ip); fact.Country != "" {
				fact.Axis, fact.Method = doorward.Hosting, "ip-table"
				fact.Basis = "country in which the address block of a fixed " + string(d.Kind) + " is registered (" + addressSource() + ")"
				out.Origin(fact)
			}
			continue
		}
		if domain := registered(host); domain != "" && d.Kind == doorward.KindUpdate {
			fact.Axis, fact.Method, fact.Entity = doorward.Operation, MethodDomain, domain
			fact.Basis = "domain of an update server: whoever holds it; the name says nothing of a country"
			out.Origin(fact)
		}
	}
	return nil
}

// registered is the part of a host's name that someone registered.
func registered(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !strings.Contains(host, ".") || strings.ContainsAny(host, "$*%{}<> _/") {
		return ""
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return ""
	}
	suffix, known := publicsuffix.PublicSuffix(domain)
	if !known && !strings.Contains(suffix, ".") {
		return "" // lan, local, corp
	}
	return domain
}
