package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/doorward/doorward"
)

// BenchmarkDecide decides a product of 10,000 components under 100 rules; go run
// ./bench/decide prints the ratio to the bound.
func BenchmarkDecide(b *testing.B) {
	var text strings.Builder
	text.WriteString("schema: doorward/policy/v1\nname: bench\nlevels: [high]\nlists:\n  barred: {of: entities, entries: [M1, M3, M5]}\n  approved: {of: countries, entries: [XA, XB]}\nrules:\n")
	for r := range 99 {
		when := ""
		if r%10 == 0 {
			when = `, when: "part.type != 'x'"`
		}
		if r%2 == 0 {
			fmt.Fprintf(&text, "  - {id: r%d, title: t, then: refuse, origin: {axes: [development], in: [barred], owned: 50, of_parts: %d%s}}\n", r, 10+r%80, when)
		} else {
			fmt.Fprintf(&text, "  - {id: r%d, title: t, then: refuse, origin: {axes: [legal-seat], whose: [development], not_in: [approved], of_parts: %d%s}}\n", r, 10+r%80, when)
		}
	}
	text.WriteString("  - {id: otherwise, title: t, then: permit}\n")
	p, err := Load("bench.yaml", []byte(text.String()))
	if err != nil {
		b.Fatal(err)
	}
	rep := &doorward.Report{Subject: doorward.Subject{SHA256: "x"}}
	c := Case{At: "2026-11-25", Reports: []*doorward.Report{rep}}
	for i := range 10_000 {
		ref := fmt.Sprint("c", i)
		rep.Components = append(rep.Components, doorward.Component{BOMRef: ref, Name: ref})
		f := doorward.OriginFact{Subject: ref, Axis: doorward.Development, Entity: fmt.Sprint("M", i%50), Class: doorward.Claimed}
		f.SetID()
		c.Facts = append(c.Facts, f)
	}
	for m := range 50 {
		for _, axis := range []doorward.Axis{doorward.LegalSeat, doorward.UltimateOwner} {
			f := doorward.OriginFact{Subject: doorward.EntitySubject(fmt.Sprint("M", m)), Axis: axis, Country: "XA", Entity: fmt.Sprint("M", m), Class: doorward.Claimed}
			f.SetID()
			c.Facts = append(c.Facts, f)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decide(p, "high", c); err != nil {
			b.Fatal(err)
		}
	}
}
