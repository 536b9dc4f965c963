package scan

import (
	"context"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/inventory"
	"github.com/doorward/doorward/internal/origin"
	"github.com/doorward/doorward/internal/product"
)

// origins fills in who is behind the product and its components, as far as these
// tell.
func origins(ctx context.Context, p *product.Product, r *doorward.Report, found []doorward.OriginFact) {
	in := &origin.Input{
		Product: p, Subject: r.Subject, Components: r.Components, Doors: r.Doors,
		Owner: func(f *product.File) string { return inventory.Owner(p, f) },
	}
	list, runs := origin.Gather(ctx, in)
	r.Origins = origin.Settle(append(list, found...), r.Components)
	r.Entities = origin.Entities(r.Origins)
	r.Tool.Detectors = append(r.Tool.Detectors, runs...)
}
