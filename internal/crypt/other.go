package crypt

import (
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf16"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/md4"
)

func parseBcrypt(s string) (*Hash, bool) {
	if len(s) != 60 || !inCryptAlphabet(s[7:]) {
		return nil, false
	}
	cost, err := strconv.Atoi(s[4:6])
	if err != nil || cost < 4 || cost > 31 {
		return nil, false
	}
	text := []byte("$2a" + s[3:])
	h := &Hash{Kind: "bcrypt", Text: s, Cost: 60 << cost}
	h.verify = func(_, password string) bool { return bcrypt.CompareHashAndPassword(text, []byte(password)) == nil }
	return h, true
}

// ParseWeb recognises what stands behind "user:" in an htpasswd file: crypt(3)
// kinds and {SHA}, {SSHA}.
func ParseWeb(s string) (*Hash, bool) {
	if h, ok := Parse(s); ok {
		return h, true
	}
	if text, ok := strings.CutPrefix(s, "{SHA}"); ok {
		if b, err := base64.StdEncoding.DecodeString(text); err == nil && len(b) == 20 {
			return &Hash{Kind: "sha1", Text: s, Cost: 1, verify: same(string(b), func(p string) string { v := sha1.Sum([]byte(p)); return string(v[:]) })}, true
		}
	}
	if text, ok := strings.CutPrefix(s, "{SSHA}"); ok {
		if b, err := base64.StdEncoding.DecodeString(text); err == nil && len(b) > 20 && len(b) <= 84 {
			salt := string(b[20:])
			return &Hash{Kind: "ssha", Text: s, Cost: 1, verify: same(string(b[:20]), func(p string) string { v := sha1.Sum([]byte(p + salt)); return string(v[:]) })}, true
		}
	}
	return nil, false
}

// ParseDigest recognises the third field of an htdigest line, MD5 of
// user:realm:password.
func ParseDigest(realm, sum string) (*Hash, bool) {
	b, err := hex.DecodeString(sum)
	if err != nil || len(b) != 16 {
		return nil, false
	}
	h := &Hash{Kind: "htdigest", Text: sum, Cost: 1}
	h.verify = func(user, password string) bool {
		v := md5.Sum([]byte(user + ":" + realm + ":" + password))
		return string(v[:]) == string(b)
	}
	return h, true
}

// ParsePlain recognises an unsalted hash in hexadecimal, as configurations have
// them: MD5 or NT (32 digits), SHA-1 (40), MySQL (* and 40 capitals).
func ParsePlain(s string) (*Hash, bool) {
	mysql := len(s) == 41 && s[0] == '*'
	b, err := hex.DecodeString(strings.TrimPrefix(s, "*"))
	if err != nil || s == "" || s[0] == '*' && !mysql {
		return nil, false
	}
	h := &Hash{Text: s, Cost: 1}
	want := string(b)
	switch {
	case mysql:
		h.Kind, h.verify = "mysql", same(want, func(p string) string {
			v := sha1.Sum([]byte(p))
			v = sha1.Sum(v[:])
			return string(v[:])
		})
	case len(b) == 20:
		h.Kind, h.verify = "sha1", same(want, func(p string) string { v := sha1.Sum([]byte(p)); return string(v[:]) })
	case len(b) == 16:
		h.Kind, h.verify = "md5", same(want, func(p string) string { v := md5.Sum([]byte(p)); return string(v[:]) })
	default:
		return nil, false
	}
	return h, true
}

// ParseNT recognises an NT hash (MD4 of UTF-16), as smbpasswd has it.
func ParseNT(s string) (*Hash, bool) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 16 {
		return nil, false
	}
	return &Hash{Kind: "nt", Text: s, Cost: 1, verify: same(string(b), ntHash)}, true
}

func ntHash(password string) string {
	h := md4.New()
	for _, u := range utf16.Encode([]rune(password)) {
		var b [2]byte
		binary.LittleEndian.PutUint16(b[:], u)
		h.Write(b[:])
	}
	return string(h.Sum(nil))
}

// ParseLM recognises a LAN Manager hash: two DES blocks of the password in
// capitals, seven characters each.
func ParseLM(s string) (*Hash, bool) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 16 {
		return nil, false
	}
	return &Hash{Kind: "lm", Text: s, Cost: 10, verify: same(string(b), lmHash)}, true
}

func lmHash(password string) string {
	var text [14]byte
	copy(text[:], strings.ToUpper(password))
	var out [16]byte
	for i := range 2 {
		var key uint64
		for bit := range 56 {
			set := text[i*7+bit/8] >> (7 - bit%8) & 1
			key |= uint64(set) << (63 - bit/7*8 - bit%7)
		}
		keys := desKeys(key)
		binary.BigEndian.PutUint64(out[i*8:], desRounds(0x4b47532140232425, &keys, 0, 1)) // "KGS!@#$%"
	}
	return string(out[:])
}
