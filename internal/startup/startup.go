package startup

import (
	"slices"

	"github.com/doorward/doorward/internal/product"
)

type factKey struct{}

// Of returns what happens when the product starts, evaluated once.
func Of(p *product.Product) *Log {
	return product.Fact(p, factKey{}, func() *Log { return evaluate(p) })
}

// evaluate looks at every volume that has something to start. A volume that
// stands in several places of the artifact is looked at once.
func evaluate(p *product.Product) *Log {
	log := &Log{Settings: map[string]string{}, filled: map[*product.Volume]*fills{}}
	readSettings(p, log)
	for _, v := range p.Volumes {
		if !startable(v) {
			continue
		}
		e := newEngine(v, log)
		e.volume()
		log.filled[v] = e.fills()
		if e.steps <= 0 {
			e.limit("the boot scripts take more than %d steps to follow: what comes behind them was not looked at", maxSteps)
		}
	}
	return log
}

// startable says that a volume has programs or scripts that something may start.
func startable(v *product.Volume) bool {
	if v.IsRoot() {
		return true
	}
	for _, p := range []string{"etc/init.d", "etc/rc.d", "etc/inittab", "etc/rc.local", "etc/cron.d", "etc/crontabs", "init.rc", "control", "rpm-header", "usr/lib/systemd", "lib/systemd", "etc/systemd"} {
		if v.Tree.Entry(p) != nil {
			return true
		}
	}
	return false
}

// Source returns where the content at a path of a running system comes from: the
// file itself, or the one that a boot script copies or links there (/etc ->
// /tmp/etc, filled from /etc_ro at boot). Nil if nothing does.
func (l *Log) Source(v *product.Volume, path string) *product.File {
	if f := l.filled[v]; f != nil {
		return f.source(path)
	}
	return v.File(path)
}

// RunPath returns the paths under which a file is seen when the system runs: its
// own and those to which boot scripts copy or link it.
func (l *Log) RunPath(f *product.File) []string {
	own := "/" + f.Path
	if f.Volume == nil {
		return []string{own}
	}
	list := []string{own}
	if fl := l.filled[f.Volume]; fl != nil {
		for _, p := range fl.runPaths(own) {
			if !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	return list
}
