// Package crypt checks passwords against stored hashes: the kinds of crypt(3),
// and those that web servers, Samba and databases keep. It exists to try a
// short table of published default passwords against what a product ships, so
// a hash knows what one try costs.
package crypt

import (
	"crypto/subtle"
	"strings"
)

// Hash is a stored password.
type Hash struct {
	Kind string // des, bsdi, md5crypt, apr1, bcrypt, sha256crypt, sha512crypt, yescrypt, ...
	Text string // as stored

	// Cost is about how many microseconds of a processor one try takes; 0 if
	// the kind is recognised but cannot be computed here (yescrypt, scrypt).
	Cost int

	verify func(user, password string) bool
}

// Can says that the hash can be tried.
func (h *Hash) Can() bool { return h.verify != nil }

// Verify says that password gives the hash. user matters to kinds that mix it
// in (htdigest).
func (h *Hash) Verify(user, password string) bool {
	return h.verify != nil && h.verify(user, password)
}

// same compares a computed text with the stored one.
func same(text string, compute func(password string) string) func(string, string) bool {
	return func(_, password string) bool {
		return subtle.ConstantTimeCompare([]byte(compute(password)), []byte(text)) == 1
	}
}

// Parse recognises what stands in the password field of passwd or shadow: the
// kinds of crypt(3). It is strict on lengths and alphabets: a locked field (*,
// !, x), a placeholder or a plain word is no hash.
func Parse(s string) (*Hash, bool) {
	switch {
	case len(s) < 13 || len(s) > 384:
		return nil, false
	case s[0] == '$':
		return parseModular(s)
	case s[0] == '_':
		return parseBSDi(s)
	case len(s) == 13 && inCryptAlphabet(s) && looksDES(s):
		return &Hash{Kind: "des", Text: s, Cost: 120, verify: same(s, func(p string) string { return desCrypt(p, s[:2]) })}, true
	}
	return nil, false
}

// looksDES tells a hash from a word of 13 letters: 66 bits of output are
// written in 11 characters, so the last has its two low bits clear, and among
// eleven random characters there are hardly only small letters.
func looksDES(s string) bool {
	if strings.IndexByte(alphabet, s[12])&3 != 0 {
		return false
	}
	upper, other := 0, 0
	for _, c := range []byte(s[2:]) {
		switch {
		case c >= 'A' && c <= 'Z':
			upper++
		case c < 'a' || c > 'z':
			other++
		}
	}
	return upper > 0 || other > 1 && other < 11
}

func parseModular(s string) (*Hash, bool) {
	id, rest, ok := strings.Cut(s[1:], "$")
	if !ok || rest == "" || strings.ContainsAny(s, " \t\"'`:;\\") {
		return nil, false
	}
	switch id {
	case "1", "apr1":
		return parseMD5(s, id, rest)
	case "5", "6":
		return parseSHA(s, id, rest)
	case "2", "2a", "2b", "2x", "2y":
		return parseBcrypt(s)
	case "y", "gy", "7", "sm3":
		return parseOpaque(s, id)
	}
	return nil, false
}

// parseOpaque recognises kinds for which there is no sound library to compute
// them.
func parseOpaque(s, id string) (*Hash, bool) {
	kind := map[string]string{"y": "yescrypt", "gy": "gost-yescrypt", "7": "scrypt", "sm3": "sm3crypt"}[id]
	last := s[strings.LastIndexByte(s, '$')+1:]
	if len(last) != 43 || !inCryptAlphabet(last) {
		return nil, false
	}
	return &Hash{Kind: kind, Text: s}, true
}

// alphabet is that of crypt(3): values 0 to 63.
const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func inCryptAlphabet(s string) bool {
	for i := 0; i < len(s); i++ {
		if strings.IndexByte(alphabet, s[i]) < 0 {
			return false
		}
	}
	return true
}

// encode24 appends n characters of v, lowest six bits first.
func encode24(out []byte, v uint32, n int) []byte {
	for range n {
		out = append(out, alphabet[v&63])
		v >>= 6
	}
	return out
}
