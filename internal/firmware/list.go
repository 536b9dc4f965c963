// Package firmware finds doors in the files of a product: accounts, keys,
// services, debug interfaces, update channels, privileges, destinations and
// sensors. Each detector stands in one file, beside testdata/<detector>/.
package firmware

import (
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
)

// Detector is a detector over a product's files.
type Detector = detect.Detector[*product.Product]

// All lists the detectors, in the order of reports.
var All = []*Detector{
	Account,
	Debug,
	Key,
	Privilege,
	Destination,
	Sensor,
	Service,
	Update,
	BootFirmware,
}
