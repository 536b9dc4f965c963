package crypt

import (
	"crypto/md5"
	"strings"
)

// parseMD5 reads $1$salt$hash and Apache's $apr1$salt$hash.
func parseMD5(s, id, rest string) (*Hash, bool) {
	salt, sum, ok := strings.Cut(rest, "$")
	if !ok || len(salt) > 8 || len(sum) != 22 || !inCryptAlphabet(sum) {
		return nil, false
	}
	kind, magic := "md5crypt", "$1$"
	if id == "apr1" {
		kind, magic = "apr1", "$apr1$"
	}
	return &Hash{Kind: kind, Text: s, Cost: 250, verify: same(sum, func(p string) string { return md5Crypt(p, salt, magic) })}, true
}

// md5Crypt is Poul-Henning Kamp's algorithm: a thousand rounds of MD5 over an
// irregular mix of password and salt.
func md5Crypt(password, salt, magic string) string {
	inner := md5.Sum([]byte(password + salt + password))
	h := md5.New()
	h.Write([]byte(password + magic + salt))
	for n := len(password); n > 0; n -= 16 {
		h.Write(inner[:min(n, 16)])
	}
	for n := len(password); n > 0; n >>= 1 {
		if n&1 == 1 {
			h.Write([]byte{0})
		} else {
			h.Write([]byte(password[:1]))
		}
	}
	sum := h.Sum(nil)
	for i := range 1000 {
		h.Reset()
		odd := i&1 == 1
		h.Write(pick(odd, []byte(password), sum))
		if i%3 != 0 {
			h.Write([]byte(salt))
		}
		if i%7 != 0 {
			h.Write([]byte(password))
		}
		h.Write(pick(odd, sum, []byte(password)))
		sum = h.Sum(sum[:0:0])
	}
	out := make([]byte, 0, 22)
	for i := range 5 {
		last := i + 12
		if i == 4 {
			last = 5
		}
		out = encode24(out, uint32(sum[i])<<16|uint32(sum[i+6])<<8|uint32(sum[last]), 4)
	}
	return string(encode24(out, uint32(sum[11]), 2))
}

func pick(first bool, a, b []byte) []byte {
	if first {
		return a
	}
	return b
}
