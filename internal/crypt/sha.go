package crypt

import (
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strconv"
	"strings"
)

// parseSHA reads $5$ and $6$: [rounds=N$]salt$hash (Ulrich Drepper's
// specification, version 0.6).
func parseSHA(s, id, rest string) (*Hash, bool) {
	rounds := 5000
	if after, ok := strings.CutPrefix(rest, "rounds="); ok {
		number, tail, ok := strings.Cut(after, "$")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || n < 0 {
			return nil, false
		}
		rounds, rest = min(max(n, 1000), 999_999_999), tail
	}
	salt, sum, ok := strings.Cut(rest, "$")
	if !ok || !inCryptAlphabet(sum) {
		return nil, false
	}
	salt = salt[:min(len(salt), 16)]
	h := &Hash{Kind: "sha256crypt", Text: s, Cost: max(rounds*2/5, 1)}
	make, order, length := sha256.New, sha256Order, 43
	if id == "6" {
		h.Kind, h.Cost = "sha512crypt", max(rounds*3/5, 1)
		make, order, length = sha512.New, sha512Order, 86
	}
	if len(sum) != length {
		return nil, false
	}
	h.verify = same(sum, func(p string) string { return shaCrypt(make(), p, salt, rounds, order) })
	return h, true
}

// The order in which the bytes of the sum are written, three by three.
var sha256Order = []int{
	0, 10, 20, 21, 1, 11, 12, 22, 2, 3, 13, 23, 24, 4, 14, 15, 25, 5, 6, 16, 26, 27, 7, 17, 18, 28, 8, 9, 19, 29, -1, 31, 30,
}

var sha512Order = []int{
	0, 21, 42, 22, 43, 1, 44, 2, 23, 3, 24, 45, 25, 46, 4, 47, 5, 26, 6, 27, 48, 28, 49, 7, 50, 8, 29, 9, 30, 51, 31, 52, 10,
	53, 11, 32, 12, 33, 54, 34, 55, 13, 56, 14, 35, 15, 36, 57, 37, 58, 16, 59, 17, 38, 18, 39, 60, 40, 61, 19, 62, 20, 41,
	-1, -1, 63,
}

func shaCrypt(h hash.Hash, password, salt string, rounds int, order []int) string {
	pw, sa := []byte(password), []byte(salt)
	b := sumOf(h, pw, sa, pw)
	h.Reset()
	h.Write(pw)
	h.Write(sa)
	h.Write(stretch(b, len(pw)))
	for n := len(pw); n > 0; n >>= 1 {
		h.Write(pick(n&1 == 1, b, pw))
	}
	a := h.Sum(nil)
	p := repeated(h, pw, len(pw))
	s := repeated(h, sa, 16+int(a[0]))
	for i := range rounds {
		h.Reset()
		odd := i&1 == 1
		h.Write(pick(odd, p, a))
		if i%3 != 0 {
			h.Write(s)
		}
		if i%7 != 0 {
			h.Write(p)
		}
		h.Write(pick(odd, a, p))
		a = h.Sum(a[:0])
	}
	return encodeSHA(a, order)
}

func encodeSHA(a []byte, order []int) string {
	var out []byte
	at := func(i int) uint32 {
		if i < 0 {
			return 0
		}
		return uint32(a[i])
	}
	for i := 0; i+2 < len(order); i += 3 {
		n := 4
		if order[i] < 0 {
			n = 3
			if order[i+1] < 0 {
				n = 2
			}
		}
		out = encode24(out, at(order[i])<<16|at(order[i+1])<<8|at(order[i+2]), n)
	}
	return string(out)
}

func sumOf(h hash.Hash, parts ...[]byte) []byte {
	h.Reset()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// sumRepeated is the sum of n copies of text.
func sumRepeated(h hash.Hash, text []byte, n int) []byte {
	h.Reset()
	for range n {
		h.Write(text)
	}
	return h.Sum(nil)
}

// repeated is the sum of n copies of text, stretched to the text's length.
func repeated(h hash.Hash, text []byte, n int) []byte {
	return stretch(sumRepeated(h, text, n), len(text))
}

// stretch repeats b up to n bytes.
func stretch(b []byte, n int) []byte {
	out := make([]byte, 0, n)
	for len(out) < n {
		out = append(out, b[:min(len(b), n-len(out))]...)
	}
	return out
}
