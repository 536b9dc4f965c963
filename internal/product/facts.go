package product

import (
	"sync"

	"github.com/doorward/doorward/internal/unpack"
)

// maxBytes is how much of one file detectors get to see at once.
const maxBytes = 64 << 20

// Bytes returns the file's content, up to 64 MiB; what could be read of damaged
// content. It must not be changed.
func (f *File) Bytes() []byte {
	if f.Content.Data == nil {
		return nil
	}
	if s, ok := f.Content.Data.(unpack.Slice); ok {
		return s[:min(len(s), maxBytes)]
	}
	return f.product.texts.get(f.Content)
}

// Near returns the file's bytes around an offset, and where they start: what
// Bytes has, without reading the whole file for them if that is cheaper.
func (f *File) Near(at, before, after int64) (b []byte, from int64) {
	from, to := max(0, at-before), min(at+after, maxBytes, f.Content.Size)
	if f.Content.Data == nil || at < 0 || from >= to {
		return nil, from
	}
	all := f.product.texts.peek(f.Content)
	if all == nil && unpack.Cheap(f.Content.Data) {
		return unpack.ReadSome(f.Content.Data, from, to-from), from
	}
	if all == nil {
		all = f.Bytes()
	}
	if from >= int64(len(all)) {
		return nil, from
	}
	return all[from:min(to, int64(len(all)))], from
}

// MaxText is the size up to which a file is read as text.
const MaxText = 4 << 20

// Text returns the content of a text or script file; "" for anything else and
// for text over 4 MiB.
func (f *File) Text() string {
	if !f.Type.IsText() || f.Size > MaxText {
		return ""
	}
	return string(f.Bytes())
}

// textCache keeps recently decoded content, up to cacheBytes.
type textCache struct {
	mu    sync.Mutex
	bytes int64
	items map[*unpack.Content]*cached
	clock int64
}

type cached struct {
	b    []byte
	used int64
}

const cacheBytes = 48 << 20

func newTextCache() *textCache { return &textCache{items: map[*unpack.Content]*cached{}} }

func (t *textCache) get(c *unpack.Content) []byte {
	t.mu.Lock()
	t.clock++
	if item := t.items[c]; item != nil {
		item.used = t.clock
		t.mu.Unlock()
		return item.b
	}
	t.mu.Unlock()
	b, err := unpack.ReadAll(unpack.Window(c.Data, 0, maxBytes), maxBytes)
	if err != nil {
		b = b[:len(b):len(b)] // what was decoded before the damage
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.items[c] = &cached{b, t.clock}
	t.bytes += int64(len(b))
	for t.bytes > cacheBytes && len(t.items) > 1 {
		t.dropOldest()
	}
	return b
}

// peek returns content that is here already; nil if it is not.
func (t *textCache) peek(c *unpack.Content) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if item := t.items[c]; item != nil {
		return item.b
	}
	return nil
}

func (t *textCache) dropOldest() {
	var oldest *unpack.Content
	for c, item := range t.items {
		if oldest == nil || item.used < t.items[oldest].used {
			oldest = c
		}
	}
	t.bytes -= int64(len(t.items[oldest].b))
	delete(t.items, oldest)
}

type fact struct {
	once  sync.Once
	value any
}

// Fact returns what compute says of the product, computed once for all that ask
// with the same key, whose type should be the asking package's own.
func Fact[T any](p *Product, key any, compute func() T) T {
	p.mu.Lock()
	f := p.facts[key]
	if f == nil {
		f = &fact{}
		p.facts[key] = f
	}
	p.mu.Unlock()
	f.once.Do(func() { f.value = compute() })
	return f.value.(T)
}
