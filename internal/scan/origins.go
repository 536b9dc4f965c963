package scan

import (
	"context"
	"slices"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/inventory"
	"github.com/doorward/doorward/internal/origin"
	"github.com/doorward/doorward/internal/product"
)

// origins fills in who is behind the product and its components, as far as these
// and the declarations that are of this product tell.
func origins(ctx context.Context, p *product.Product, r *doorward.Report, found []doorward.OriginFact, declarations []*doorward.Declaration) {
	in := &origin.Input{
		Product: p, Subject: r.Subject, Components: r.Components, Doors: r.Doors,
		Owner: func(f *product.File) string { return inventory.Owner(p, f) },
	}
	list, runs := origin.Gather(ctx, in)
	declared, parts := origin.Declared(declarations, r.Components)
	r.Components = append(r.Components, parts...)
	r.Origins = origin.Settle(slices.Concat(list, found, declared), r.Components)
	r.Entities = origin.Entities(r.Origins)
	r.Tool.Detectors = append(r.Tool.Detectors, runs...)
}
