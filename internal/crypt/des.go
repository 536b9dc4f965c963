package crypt

import "strings"

// The tables of DES (FIPS 46-3), bits numbered from 1, the most significant.
var (
	desIP = []byte{
		58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48, 40, 32, 24, 16, 8,
		57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3, 61, 53, 45, 37, 29, 21, 13, 5, 63, 55, 47, 39, 31, 23, 15, 7,
	}
	desFP = []byte{
		40, 8, 48, 16, 56, 24, 64, 32, 39, 7, 47, 15, 55, 23, 63, 31, 38, 6, 46, 14, 54, 22, 62, 30, 37, 5, 45, 13, 53, 21, 61, 29,
		36, 4, 44, 12, 52, 20, 60, 28, 35, 3, 43, 11, 51, 19, 59, 27, 34, 2, 42, 10, 50, 18, 58, 26, 33, 1, 41, 9, 49, 17, 57, 25,
	}
	desP   = []byte{16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25}
	desPC1 = []byte{
		57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
		63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
	}
	desPC2 = []byte{
		14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
		41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
	}
	desS = [8][64]byte{
		{14, 4, 13, 1, 2, 15, 11, 8, 3, 10, 6, 12, 5, 9, 0, 7, 0, 15, 7, 4, 14, 2, 13, 1, 10, 6, 12, 11, 9, 5, 3, 8, 4, 1, 14, 8, 13, 6, 2, 11, 15, 12, 9, 7, 3, 10, 5, 0, 15, 12, 8, 2, 4, 9, 1, 7, 5, 11, 3, 14, 10, 0, 6, 13},
		{15, 1, 8, 14, 6, 11, 3, 4, 9, 7, 2, 13, 12, 0, 5, 10, 3, 13, 4, 7, 15, 2, 8, 14, 12, 0, 1, 10, 6, 9, 11, 5, 0, 14, 7, 11, 10, 4, 13, 1, 5, 8, 12, 6, 9, 3, 2, 15, 13, 8, 10, 1, 3, 15, 4, 2, 11, 6, 7, 12, 0, 5, 14, 9},
		{10, 0, 9, 14, 6, 3, 15, 5, 1, 13, 12, 7, 11, 4, 2, 8, 13, 7, 0, 9, 3, 4, 6, 10, 2, 8, 5, 14, 12, 11, 15, 1, 13, 6, 4, 9, 8, 15, 3, 0, 11, 1, 2, 12, 5, 10, 14, 7, 1, 10, 13, 0, 6, 9, 8, 7, 4, 15, 14, 3, 11, 5, 2, 12},
		{7, 13, 14, 3, 0, 6, 9, 10, 1, 2, 8, 5, 11, 12, 4, 15, 13, 8, 11, 5, 6, 15, 0, 3, 4, 7, 2, 12, 1, 10, 14, 9, 10, 6, 9, 0, 12, 11, 7, 13, 15, 1, 3, 14, 5, 2, 8, 4, 3, 15, 0, 6, 10, 1, 13, 8, 9, 4, 5, 11, 12, 7, 2, 14},
		{2, 12, 4, 1, 7, 10, 11, 6, 8, 5, 3, 15, 13, 0, 14, 9, 14, 11, 2, 12, 4, 7, 13, 1, 5, 0, 15, 10, 3, 9, 8, 6, 4, 2, 1, 11, 10, 13, 7, 8, 15, 9, 12, 5, 6, 3, 0, 14, 11, 8, 12, 7, 1, 14, 2, 13, 6, 15, 0, 9, 10, 4, 5, 3},
		{12, 1, 10, 15, 9, 2, 6, 8, 0, 13, 3, 4, 14, 7, 5, 11, 10, 15, 4, 2, 7, 12, 9, 5, 6, 1, 13, 14, 0, 11, 3, 8, 9, 14, 15, 5, 2, 8, 12, 3, 7, 0, 4, 10, 1, 13, 11, 6, 4, 3, 2, 12, 9, 5, 15, 10, 11, 14, 1, 7, 6, 0, 8, 13},
		{4, 11, 2, 14, 15, 0, 8, 13, 3, 12, 9, 7, 5, 10, 6, 1, 13, 0, 11, 7, 4, 9, 1, 10, 14, 3, 5, 12, 2, 15, 8, 6, 1, 4, 11, 13, 12, 3, 7, 14, 10, 15, 6, 8, 0, 5, 9, 2, 6, 11, 13, 8, 1, 4, 10, 7, 9, 5, 0, 15, 14, 2, 3, 12},
		{13, 2, 8, 4, 6, 15, 11, 1, 10, 9, 3, 14, 5, 0, 12, 7, 1, 15, 13, 8, 10, 3, 7, 4, 12, 5, 6, 11, 0, 14, 9, 2, 7, 11, 4, 1, 9, 12, 14, 2, 0, 6, 10, 13, 15, 3, 5, 8, 2, 1, 14, 7, 4, 10, 8, 13, 15, 12, 9, 0, 3, 5, 6, 11},
	}
	desShifts = []int{1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1}
)

// permute picks bits of an in-bit value by a table.
func permute(v uint64, in int, table []byte) uint64 {
	var out uint64
	for _, bit := range table {
		out = out<<1 | v>>(in-int(bit))&1
	}
	return out
}

// desSP joins each S-box with the permutation behind it.
var desSP = func() (t [8][64]uint32) {
	for box := range 8 {
		for in := range 64 {
			row, col := in>>4&2|in&1, in>>1&15
			t[box][in] = uint32(permute(uint64(desS[box][row*16+col])<<(28-4*box), 32, desP))
		}
	}
	return
}()

// desKeys is the key schedule of a 64-bit key.
func desKeys(key uint64) (keys [16]uint64) {
	v := permute(key, 64, desPC1)
	c, d := uint32(v>>28), uint32(v&0xfffffff)
	for i, n := range desShifts {
		c = (c<<n | c>>(28-n)) & 0xfffffff
		d = (d<<n | d>>(28-n)) & 0xfffffff
		keys[i] = permute(uint64(c)<<28|uint64(d), 56, desPC2)
	}
	return
}

// desRounds encrypts a block count times. The salt swaps bits of the expanded
// half: bit i of it those i places from the top of the two 24-bit halves.
func desRounds(block uint64, keys *[16]uint64, salt uint32, count int) uint64 {
	v := permute(block, 64, desIP)
	l, r := uint32(v>>32), uint32(v)
	for range count {
		for i := range 16 {
			l, r = r, l^desRound(r, keys[i], salt)
		}
		l, r = r, l
	}
	return permute(uint64(l)<<32|uint64(r), 64, desFP)
}

func desRound(r uint32, key uint64, salt uint32) uint32 {
	wide := uint64(r)<<1 | uint64(r)>>31 | uint64(r&1)<<33 // bit 32 before bit 1, bit 1 after bit 32
	var e uint64
	for box := range 8 {
		e = e<<6 | wide>>(28-4*box)&63
	}
	swap := (e>>24 ^ e) & uint64(salt)
	e ^= swap<<24 | swap
	e ^= key
	var out uint32
	for box := range 8 {
		out |= desSP[box][e>>(42-6*box)&63]
	}
	return out
}

// reverse24 turns a salt, whose lowest bit comes first, into the order of the
// expanded half.
func reverse24(v uint32) (out uint32) {
	for range 24 {
		out = out<<1 | v&1
		v >>= 1
	}
	return
}

// desKey packs up to eight characters, seven bits each.
func desKey(password string) (key uint64) {
	for i := range 8 {
		key <<= 8
		if i < len(password) {
			key |= uint64(password[i]<<1) & 0xff
		}
	}
	return
}

func encodeDES(v uint64) string {
	var out []byte
	for i := range 11 {
		shift := 58 - 6*i
		if shift >= 0 {
			out = append(out, alphabet[v>>shift&63])
		} else {
			out = append(out, alphabet[v<<-shift&63])
		}
	}
	return string(out)
}

func decode64(s string) (v uint32) {
	for i := len(s) - 1; i >= 0; i-- {
		v = v<<6 | uint32(strings.IndexByte(alphabet, s[i]))
	}
	return
}

// desCrypt is the traditional crypt(3): 25 rounds of DES over zero.
func desCrypt(password, salt string) string {
	keys := desKeys(desKey(password))
	return salt + encodeDES(desRounds(0, &keys, reverse24(decode64(salt)), 25))
}

// parseBSDi reads _CCCCSSSSHHHHHHHHHHH: count, salt, hash.
func parseBSDi(s string) (*Hash, bool) {
	if len(s) != 20 || !inCryptAlphabet(s[1:]) || strings.IndexByte(alphabet, s[19])&3 != 0 {
		return nil, false
	}
	count := int(decode64(s[1:5]))
	if count == 0 {
		return nil, false
	}
	return &Hash{Kind: "bsdi", Text: s, Cost: max(count*5, 1), verify: same(s, func(p string) string { return bsdiCrypt(p, s[:9], count) })}, true
}

func bsdiCrypt(password, setting string, count int) string {
	key := desKey(password)
	for len(password) > 8 {
		password = password[8:]
		keys := desKeys(key)
		key = desRounds(key, &keys, 0, 1) ^ desKey(password)
	}
	keys := desKeys(key)
	return setting + encodeDES(desRounds(0, &keys, reverse24(decode64(setting[5:9])), count))
}
