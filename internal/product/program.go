package product

import (
	"sync"

	"github.com/doorward/doorward/internal/executable"
	"github.com/doorward/doorward/internal/unpack"
)

type programKey struct{}

type programs struct {
	mu     sync.Mutex
	byData map[*unpack.Content]*program
}

type program struct {
	once sync.Once
	info *executable.Info
}

// Program returns what an ELF, PE or Mach-O file says of itself (libraries,
// imports, hardening), parsed once for equal content, in the pass over the bytes
// unless they are too many; nil for any other file.
func (f *File) Program() *executable.Info {
	if !f.Type.Executable() {
		return nil
	}
	if ix := f.index(); ix.parsed {
		return ix.program
	}
	all := Fact(f.product, programKey{}, func() *programs {
		return &programs{byData: map[*unpack.Content]*program{}}
	})
	all.mu.Lock()
	p := all.byData[f.Content]
	if p == nil {
		p = &program{}
		all.byData[f.Content] = p
	}
	all.mu.Unlock()
	p.once.Do(func() { p.info, _ = executable.Parse(f.Bytes()) })
	return p.info
}
