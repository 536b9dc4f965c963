package main

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/policy"
)

// makers is how many makers there are in all; half of them are listed.
const makers = 2000

// policyText writes a policy with so many rules; the list has every second maker
// below listed.
func policyText(rules, listed int) []byte {
	var b strings.Builder
	b.WriteString("schema: doorward/policy/v1\nname: bench\nlevels: [low, high]\nlists:\n  approved: {of: countries, entries: [XA, XB, XC]}\n  barred:\n    of: entities\n    entries:\n")
	for m := 1; m < makers; m += 2 {
		if m < listed {
			fmt.Fprintf(&b, "      - Maker %d Ltd\n", m)
		}
	}
	b.WriteString("rules:\n")
	axes := []string{"development", "build", "maintenance"}
	for r := range rules - 1 {
		axis := axes[r%len(axes)]
		when := ""
		if r%10 == 0 {
			when = fmt.Sprintf(`, when: "part.type != 'x%d' && size(part.name) > 2"`, r)
		}
		switch r % 4 {
		case 0, 1:
			fmt.Fprintf(&b, "  - {id: r%d, title: t, then: refuse, origin: {axes: [%s], in: [barred], owned: 50, of_parts: %d%s}}\n", r, axis, 10+r%80, when)
		case 2:
			fmt.Fprintf(&b, "  - {id: r%d, title: t, then: refuse, origin: {axes: [%s], not_in: [approved], of_parts: %d%s}}\n", r, axis, 10+r%80, when)
		case 3:
			fmt.Fprintf(&b, "  - {id: r%d, title: t, then: refuse, origin: {axes: [legal-seat], whose: [%s], not_in: [approved], of_parts: %d%s}}\n", r, axis, 10+r%80, when)
		}
	}
	b.WriteString("  - {id: otherwise, title: t, then: permit}\n")
	return []byte(b.String())
}

// product makes product n with so many components, each with a fact on each axis;
// the makers of a product are neighbours, so that a change of a tenth of them
// touches about a tenth of the products.
func product(n, components int) policy.Case {
	r := &doorward.Report{Subject: doorward.Subject{Name: fmt.Sprint("product", n), SHA256: fmt.Sprintf("%064x", n)}, Summary: doorward.Summary{ReadBytes: 1}}
	c := policy.Case{At: "2026-11-25", Reports: []*doorward.Report{r}}
	seen := map[int]bool{}
	for i := range components {
		ref := fmt.Sprintf("pkg:generic/part%d@1", i)
		r.Components = append(r.Components, doorward.Component{BOMRef: ref, Name: fmt.Sprint("part", i), Version: "1", Type: "library"})
		for k, axis := range []doorward.Axis{doorward.Development, doorward.Build, doorward.Maintenance} {
			m := (n*7 + (i*3+k)%max(components/200, 2)) % makers
			c.Facts = append(c.Facts, stated(ref, axis, m))
			if !seen[m] {
				seen[m] = true
				c.Facts = append(c.Facts, about(m)...)
			}
		}
	}
	return c
}

func maker(m int) string { return fmt.Sprintf("Maker %d Ltd", m) }

func stated(ref string, axis doorward.Axis, m int) doorward.OriginFact {
	f := doorward.OriginFact{Subject: ref, Axis: axis, Entity: maker(m), Country: fmt.Sprintf("X%c", 'A'+m%5), Class: doorward.Claimed, Basis: "bench", AssertedBy: "bench"}
	f.SetID()
	return f
}

// about is the seat of a maker and who owns it: itself, or the next one.
func about(m int) []doorward.OriginFact {
	seat := doorward.OriginFact{Subject: doorward.EntitySubject(maker(m)), Axis: doorward.LegalSeat, Country: fmt.Sprintf("X%c", 'A'+m%4), Class: doorward.Claimed, Basis: "bench"}
	owner := doorward.OriginFact{Subject: doorward.EntitySubject(maker(m)), Axis: doorward.UltimateOwner, Entity: maker(m), Class: doorward.Claimed, Basis: "bench"}
	seat.SetID()
	owner.SetID()
	return []doorward.OriginFact{seat, owner}
}

// peak is the most memory that the process had resident, in bytes.
func peak() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss << 10
}

// cpu is the processor time that the process has taken.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
