package startup

import "github.com/doorward/doorward/internal/product"

type factKey struct{}

// Of returns what happens when the product starts, evaluated once.
func Of(p *product.Product) *Log {
	return product.Fact(p, factKey{}, func() *Log { return evaluate(p) })
}

func evaluate(p *product.Product) *Log {
	return &Log{Settings: map[string]string{}, filled: map[*product.Volume][]fill{}}
}

// Source returns where the content at a path of a running system comes from: the
// file itself, or the one that a boot script copies or links there (/etc ->
// /tmp/etc, filled from /etc_ro at boot). Nil if nothing does.
func (l *Log) Source(v *product.Volume, path string) *product.File {
	return v.File(path)
}

// RunPath returns the paths under which a file is seen when the system runs: its
// own and those to which boot scripts copy or link it.
func (l *Log) RunPath(f *product.File) []string {
	return []string{"/" + f.Path}
}
