package inventory

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// gather computes the sums that are needed to judge, in the order in which the
// files lie in the image, so that nothing is decoded twice. Equal content is
// read once; its SHA-256 is known.
func (c *comparing) gather() {
	byContent := map[*unpack.Content][]*claim{}
	var contents []*unpack.Content
	list := slices.Clone(c.order)
	slices.SortStableFunc(list, func(a, b *claim) int { return int(max(-1, min(1, a.entry.Order-b.entry.Order))) })
	for _, k := range list {
		switch {
		case k.file == nil:
			k.err = !k.isLink() && k.entry.Mode.IsRegular()
			continue
		case !whole(k.file):
			k.err = true
			continue
		}
		if byContent[k.file.Content] == nil {
			contents = append(contents, k.file.Content)
		}
		byContent[k.file.Content] = append(byContent[k.file.Content], k)
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := int(next.Add(1)) - 1; i < len(contents); i = int(next.Add(1)) - 1 {
				sumContent(contents[i], byContent[contents[i]])
			}
		}()
	}
	wait.Wait()
}

// whole says that all bytes of a file could be read.
func whole(f *product.File) bool {
	c := f.Content
	return c.SHA256 != "" && c.Data != nil && c.Data.Size() == c.Size
}

// sumContent fills in the sums of one content for all that claim something of it.
func sumContent(c *unpack.Content, claims []*claim) {
	sums := map[string]hash.Hash{}
	found := map[string]string{"sha256": c.SHA256}
	var all []io.Writer
	for _, k := range claims {
		for _, s := range k.says {
			if s.algorithm != "sha256" && sums[s.algorithm] == nil {
				sums[s.algorithm] = newHash(s.algorithm)
				all = append(all, sums[s.algorithm])
			}
		}
	}
	var err error
	if len(all) > 0 {
		_, err = io.CopyBuffer(io.MultiWriter(all...), io.NewSectionReader(c.Data, 0, c.Size), make([]byte, 256<<10))
	}
	for a, h := range sums {
		found[a] = hex.EncodeToString(h.Sum(nil))
	}
	for _, k := range claims {
		k.found, k.err = found, err != nil
	}
}

func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "md5":
		return md5.New()
	case "sha1":
		return sha1.New()
	case "sha384":
		return sha512.New384()
	case "sha512":
		return sha512.New()
	}
	return sha256.New()
}

// linkSum is the sum that apk gives a symbolic link: that of its target's name.
func linkSum(algorithm, target string) string {
	h := newHash(algorithm)
	io.WriteString(h, target)
	return hex.EncodeToString(h.Sum(nil))
}
