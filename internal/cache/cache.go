// Package cache keeps what was worked out before, in a folder of the user's: one
// file for each key. A key is a digest of everything that the value depends on, so
// that nothing ever has to be declared out of date; what nobody asks for any more
// gives way when the folder gets large.
//
// Files rather than a database: a file that is renamed into place is whole or not
// there, whatever other processes do, and one that is damaged costs itself alone.
package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// magic begins each file; another number is another version's.
const magic = "doorward-cache 1\n"

// maxBytes is how large the folder may get.
const maxBytes = 256 << 20

// Cache is a folder of values. It is safe for concurrent use, by several
// processes too. A nil Cache holds nothing.
type Cache struct {
	dir  string
	max  int64
	warn func(text string)
}

// Open makes a cache of a folder, which need not exist. warn is told, in one line,
// of what is ignored and why.
func Open(dir string, warn func(text string)) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &Cache{dir, maxBytes, warn}, nil
}

var (
	errVersion = errors.New("it is of another version")
	errDamaged = errors.New("it is damaged")
)

// Get returns the value of a key; nil if there is none that can be relied on.
func (c *Cache) Get(key string) []byte {
	if c == nil {
		return nil
	}
	b, err := os.ReadFile(c.file(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var value []byte
	if err == nil {
		value, err = unwrap(b)
	}
	if err != nil {
		c.warn(fmt.Sprintf("the cache's %s is ignored: %v", c.file(key), err))
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(c.file(key), now, now) // it was of use: others give way first
	return value
}

// unwrap checks a file's head and digest.
func unwrap(b []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(b, []byte(magic))
	switch {
	case !ok && bytes.HasPrefix(b, []byte(magic[:len(magic)-2])):
		return nil, errVersion
	case !ok || len(rest) < sha256.Size:
		return nil, errDamaged
	}
	value := rest[sha256.Size:]
	if sum := sha256.Sum256(value); !bytes.Equal(sum[:], rest[:sha256.Size]) {
		return nil, errDamaged
	}
	return value, nil
}

// Put keeps a value. That it can't be kept is worth a line and no more.
func (c *Cache) Put(key string, value []byte) {
	if c == nil || int64(len(value)) > c.max/4 {
		return
	}
	if err := c.put(key, value); err != nil {
		c.warn(fmt.Sprintf("the cache can't be written: %v", err))
	}
	c.trim()
}

func (c *Cache) put(key string, value []byte) error {
	f, err := os.CreateTemp(c.dir, "new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	sum := sha256.Sum256(value)
	for _, b := range [][]byte{[]byte(magic), sum[:], value} {
		if err == nil {
			_, err = f.Write(b)
		}
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), c.file(key))
}

// trim removes what was used longest ago, leftovers of processes that ended early
// included, until a quarter of a full folder is free.
func (c *Cache) trim() {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	size := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
			size += info.Size()
		}
	}
	if size <= c.max {
		return
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range files {
		if size <= c.max/4*3 {
			return
		}
		if os.Remove(filepath.Join(c.dir, info.Name())) == nil {
			size -= info.Size()
		}
	}
}

func (c *Cache) file(key string) string { return filepath.Join(c.dir, key) }

// Key is made of everything that a value depends on.
type Key struct{ h hash.Hash }

// NewKey starts a key.
func NewKey() Key { return Key{sha256.New()} }

// Add takes a text by its name. Neither runs into its neighbours.
func (k Key) Add(name, text string) {
	fmt.Fprintf(k.h, "%d %s %d ", len(name), name, len(text))
	io.WriteString(k.h, text)
}

// String is the key itself, fit for Get and Put.
func (k Key) String() string { return hex.EncodeToString(k.h.Sum(nil)) }
