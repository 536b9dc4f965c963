package origin

import (
	"context"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
)

// macMarks are names of settings that hold a MAC address.
var macMarks = []string{"ethaddr", "macaddr", "mac_addr", "hwaddr", "MACADDR", "MAC_ADDR", "HWADDR", "macAddr"}

// Hardware reads to whom the MAC addresses in settings are registered.
var Hardware = &Gatherer{
	Name: "origin-hardware",
	Doc: "Looks up MAC addresses of settings in the IEEE's registry (a shipped table). It says who registered the address block: that maker answers for the design of a network " +
		"interface; not where anything was made. Local and made-up addresses are left alone.",
	Patterns: macMarks,
	Run:      runHardware,
}

func runHardware(_ context.Context, in *Input, out *detect.Sink) error {
	for _, f := range in.Product.Files {
		if f.Deleted() || !f.Type.IsText() || f.Size > maxSettings || leftAlone.MatchString(f.Path) {
			continue
		}
		for _, mark := range macMarks {
			if f.Has(mark) {
				addresses(in, out, f)
				break
			}
		}
	}
	return nil
}

// maxSettings is the size up to which a file counts as settings, in bytes.
const maxSettings = 1 << 20

var macSetting = regexp.MustCompile(`(?i)[a-z0-9_.]*(?:ethaddr|mac_?addr(?:ess)?|hwaddr)[a-z0-9_]*["']?\s*[=: ]\s*["']?((?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2})\b`)

func addresses(in *Input, out *detect.Sink, f *product.File) {
	text := f.Text()
	for _, m := range macSetting.FindAllStringSubmatchIndex(text, maxNotices) {
		if start := strings.LastIndexByte(text[:m[0]], '\n') + 1; strings.HasPrefix(strings.TrimSpace(text[start:m[0]]), "#") {
			continue
		}
		r, ok := RegistrantOf(text[m[2]:m[3]])
		if !ok {
			continue
		}
		fact := doorward.OriginFact{
			Subject: in.ref(f), Axis: doorward.Design, Entity: r.Name, Share: &doorward.Share{Max: 100}, AssertedBy: "IEEE Registration Authority", Method: "oui", Class: doorward.Inferred,
			Basis:    "registrant of a MAC address's block, of a network interface (not where it was made; " + registrantSource() + ")",
			Evidence: text[m[0]:m[1]], Where: first(f.WhereAt(int64(m[2]))),
		}
		out.Origin(fact)
		seat(out, r.Name, r.Country, "country of the registrant's address in the IEEE's registry ("+registrantSource()+")", fact)
	}
}
