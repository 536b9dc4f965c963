package unpack

import "sync"

// blockCache keeps decoded blocks by key, the recently used ones up to a
// number of bytes. It is safe for concurrent use: a block that several ask for
// is decoded once, and nobody else waits meanwhile.
type blockCache struct {
	limit int64
	mu    sync.Mutex
	held  int64
	known map[int64]*cachedBlock
	ring  cachedBlock // its next is the most recently used block, its prev the least
}

type cachedBlock struct {
	key        int64
	data       []byte
	after      int64 // whatever the decoder wants to know besides: the next block's place
	err        error
	done       chan struct{} // closed when it is decoded
	prev, next *cachedBlock
}

func newBlockCache(limit int64) *blockCache {
	c := &blockCache{limit: limit, known: map[int64]*cachedBlock{}}
	c.ring.prev, c.ring.next = &c.ring, &c.ring
	return c
}

// get returns the block of a key, decoding it if it is not there. If somebody
// else decodes it just now, idle (if not nil) is called before waiting. The
// data must not be changed.
func (c *blockCache) get(key int64, decode func(key int64) (data []byte, after int64, err error), idle func()) (*cachedBlock, error) {
	b, mine := c.claim(key)
	if mine {
		c.fill(b, decode)
		return b, b.err
	}
	select {
	case <-b.done:
	default:
		if idle != nil {
			idle()
		}
		<-b.done
	}
	return b, b.err
}

// ahead decodes a block that nobody has asked for yet. It returns false, at
// once, if it is there or being decoded.
func (c *blockCache) ahead(key int64, decode func(key int64) ([]byte, int64, error)) bool {
	c.mu.Lock()
	known := c.known[key] != nil
	c.mu.Unlock()
	if known {
		return false
	}
	b, mine := c.claim(key)
	if mine {
		c.fill(b, decode)
	}
	return mine
}

// claim finds a block or makes one that the caller has to fill.
func (c *blockCache) claim(key int64) (b *cachedBlock, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b = c.known[key]; b != nil {
		if b.prev != nil {
			b.unlink()
			c.link(b)
		}
		return b, false
	}
	b = &cachedBlock{key: key, done: make(chan struct{})}
	c.known[key] = b
	return b, true
}

// fill decodes a claimed block. Blocks that fail are kept too, so that damage
// costs no more than the rest; a decoder that panics leaves an error to those
// who wait.
func (c *blockCache) fill(b *cachedBlock, decode func(key int64) ([]byte, int64, error)) {
	b.err = errNotDecoded
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.link(b)
		c.held += b.weight()
		for c.held > c.limit && c.ring.prev != b {
			old := c.ring.prev
			old.unlink()
			delete(c.known, old.key)
			c.held -= old.weight()
		}
		close(b.done)
	}()
	b.data, b.after, b.err = decode(b.key)
}

func (b *cachedBlock) weight() int64 { return int64(cap(b.data)) + 128 }

func (c *blockCache) link(b *cachedBlock) {
	b.prev, b.next = &c.ring, c.ring.next
	b.prev.next, b.next.prev = b, b
}

func (b *cachedBlock) unlink() {
	b.prev.next, b.next.prev = b.next, b.prev
	b.prev, b.next = nil, nil
}
