package unpack

import "sync"

// BlockCache keeps decoded blocks by key, the recently used ones up to a
// number of bytes. It is safe for concurrent use: a block that several ask for
// is decoded once, and nobody else waits meanwhile.
type BlockCache struct {
	limit int64
	mu    sync.Mutex
	held  int64
	known map[int64]*Block
	ring  Block // its next is the most recently used block, its prev the least
}

// Block is a decoded block of a BlockCache.
type Block struct {
	key        int64
	Data       []byte
	After      int64 // whatever the decoder wants to know besides: the next block's place
	err        error
	done       chan struct{} // closed when it is decoded
	prev, next *Block
}

// NewBlockCache makes a cache that holds up to limit bytes.
func NewBlockCache(limit int64) *BlockCache {
	c := &BlockCache{limit: limit, known: map[int64]*Block{}}
	c.ring.prev, c.ring.next = &c.ring, &c.ring
	return c
}

// Get returns the block of a key, decoding it if it is not there. If somebody
// else decodes it just now, idle (if not nil) is called before waiting. The
// data must not be changed.
func (c *BlockCache) Get(key int64, decode func(key int64) (data []byte, after int64, err error), idle func()) (*Block, error) {
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

// Ahead decodes a block that nobody has asked for yet. It returns false, at
// once, if it is there or being decoded.
func (c *BlockCache) Ahead(key int64, decode func(key int64) ([]byte, int64, error)) bool {
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
func (c *BlockCache) claim(key int64) (b *Block, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b = c.known[key]; b != nil {
		if b.prev != nil {
			b.unlink()
			c.link(b)
		}
		return b, false
	}
	b = &Block{key: key, done: make(chan struct{})}
	c.known[key] = b
	return b, true
}

// fill decodes a claimed block. Blocks that fail are kept too, so that damage
// costs no more than the rest; a decoder that panics leaves an error to those
// who wait.
func (c *BlockCache) fill(b *Block, decode func(key int64) ([]byte, int64, error)) {
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
	b.Data, b.After, b.err = decode(b.key)
}

func (b *Block) weight() int64 { return int64(cap(b.Data)) + 128 }

func (c *BlockCache) link(b *Block) {
	b.prev, b.next = &c.ring, c.ring.next
	b.prev.next, b.next.prev = b, b
}

func (b *Block) unlink() {
	b.prev.next, b.next.prev = b.next, b.prev
	b.prev, b.next = nil, nil
}
