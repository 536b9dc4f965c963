package firmware

import (
	"crypto/dsa"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"strings"
)

// wire reads the strings and numbers of SSH (RFC 4251 section 5).
type wire struct {
	b   []byte
	bad bool
}

func (w *wire) uint32() uint32 {
	if len(w.b) < 4 {
		w.bad = true
		return 0
	}
	v := binary.BigEndian.Uint32(w.b)
	w.b = w.b[4:]
	return v
}

func (w *wire) string() []byte {
	n := w.uint32()
	if w.bad || uint64(n) > uint64(len(w.b)) {
		w.bad = true
		return nil
	}
	s := w.b[:n]
	w.b = w.b[n:]
	return s
}

// number reads a positive number of at most 16384 bits.
func (w *wire) number() *big.Int {
	s := w.string()
	if len(s) == 0 || len(s) > 2049 || s[0]&0x80 != 0 {
		w.bad = true
		return new(big.Int)
	}
	return new(big.Int).SetBytes(s)
}

// sshBlob builds a public blob of strings and numbers.
func sshBlob(parts ...any) []byte {
	var out []byte
	for _, p := range parts {
		var b []byte
		switch p := p.(type) {
		case string:
			b = []byte(p)
		case []byte:
			b = p
		case *big.Int:
			if b = p.Bytes(); len(b) > 0 && b[0]&0x80 != 0 {
				b = append([]byte{0}, b...)
			}
		}
		out = binary.BigEndian.AppendUint32(out, uint32(len(b)))
		out = append(out, b...)
	}
	return out
}

// sshPublic is the public blob of a key (RFC 4253 section 6.6, RFC 5656, RFC
// 8709); nil for a kind that SSH has not.
func sshPublic(pub any) []byte {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return sshBlob("ssh-rsa", big.NewInt(int64(k.E)), k.N)
	case *dsa.PublicKey:
		return sshBlob("ssh-dss", k.P, k.Q, k.G, k.Y)
	case *ecdsa.PublicKey:
		curve := map[elliptic.Curve]string{elliptic.P256(): "nistp256", elliptic.P384(): "nistp384", elliptic.P521(): "nistp521"}[k.Curve]
		point, err := k.Bytes()
		if curve == "" || err != nil {
			return nil
		}
		return sshBlob("ecdsa-sha2-"+curve, curve, point)
	case ed25519.PublicKey:
		return sshBlob("ssh-ed25519", []byte(k))
	}
	return nil
}

// sshKeyTypes are how private keys of dropbear begin, as patterns.
var dropbearHeads = []string{"\x00\x00\x00\x07ssh-rsa", "\x00\x00\x00\x07ssh-dss", "\x00\x00\x00\x13ecdsa-sha2-nistp", "\x00\x00\x00\x0bssh-ed25519"}

// dropbearKey reads a private key in dropbear's own format: the public blob's
// fields, then the private ones, proven by their arithmetic. It returns the
// public blob and the length of the whole.
func dropbearKey(b []byte) (blob []byte, algorithm string, size int) {
	w := &wire{b: b[:min(len(b), 16<<10)]}
	start := len(w.b)
	switch kind := string(w.string()); kind {
	case "ssh-rsa":
		e, n := w.number(), w.number()
		d, p, q := w.number(), w.number(), w.number()
		if w.bad || n.BitLen() < 256 || d.Sign() == 0 || new(big.Int).Mul(p, q).Cmp(n) != 0 {
			return nil, "", 0
		}
		blob, algorithm = sshBlob(kind, e, n), rsaName(n)
	case "ssh-dss":
		p, q, g, y := w.number(), w.number(), w.number(), w.number()
		x := w.number()
		if w.bad || p.BitLen() < 256 || x.Sign() == 0 || g.Cmp(p) >= 0 || new(big.Int).Exp(g, x, p).Cmp(y) != 0 {
			return nil, "", 0
		}
		blob, algorithm = sshBlob(kind, p, q, g, y), "DSA"
	case "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521":
		curve, point := w.string(), w.string()
		d := w.number()
		if w.bad || "ecdsa-sha2-"+string(curve) != kind || !onCurve(string(curve), point, d) {
			return nil, "", 0
		}
		blob, algorithm = sshBlob(kind, curve, point), "ECDSA "+string(curve)
	case "ssh-ed25519":
		pair := w.string()
		if w.bad || len(pair) != 64 {
			return nil, "", 0
		}
		pub := ed25519.NewKeyFromSeed(pair[:32]).Public().(ed25519.PublicKey)
		if string(pub) != string(pair[32:]) {
			return nil, "", 0
		}
		blob, algorithm = sshBlob(kind, []byte(pub)), "Ed25519"
	default:
		return nil, "", 0
	}
	return blob, algorithm, start - len(w.b)
}

func onCurve(name string, point []byte, d *big.Int) bool {
	curve := map[string]elliptic.Curve{"nistp256": elliptic.P256(), "nistp384": elliptic.P384(), "nistp521": elliptic.P521()}[name]
	if curve == nil || d.Sign() == 0 {
		return false
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(d.Bytes()) > size {
		return false
	}
	key, err := ecdsa.ParseRawPrivateKey(curve, d.FillBytes(make([]byte, size)))
	if err != nil {
		return false
	}
	pub, err := key.PublicKey.Bytes()
	return err == nil && string(pub) == string(point)
}

// opensshKey reads the envelope of OpenSSH's format (PROTOCOL.key): the public
// blob lies in clear even if the key is encrypted.
func opensshKey(b []byte) (blob []byte, encrypted, ok bool) {
	rest, found := strings.CutPrefix(string(b), "openssh-key-v1\x00")
	if !found {
		return nil, false, false
	}
	w := &wire{b: []byte(rest)}
	cipher := string(w.string())
	w.string() // key derivation
	w.string() // its options
	if w.uint32() != 1 {
		return nil, false, false
	}
	blob = w.string()
	return blob, cipher != "none", !w.bad && len(blob) > 8
}

// puttyKey reads PuTTY's format, versions 2 and 3.
func puttyKey(text string) (blob []byte, encrypted, ok bool) {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, line := range lines {
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "Encryption":
			encrypted = value != "none"
		case "Public-Lines":
			n := number(value)
			if n <= 0 || n > 200 || i+1+n > len(lines) {
				return nil, false, false
			}
			blob, err := base64.StdEncoding.DecodeString(strings.Join(lines[i+1:i+1+n], ""))
			return blob, encrypted, err == nil && sshBlobType(blob) != "" && strings.Contains(text, "Private-Lines: ")
		}
	}
	return nil, false, false
}

// sshBlobType names the kind of a well-formed public blob.
func sshBlobType(blob []byte) string {
	w := &wire{b: blob}
	kind := string(w.string())
	body := w.string()
	if w.bad || len(body) == 0 {
		return ""
	}
	switch {
	case kind == "ssh-rsa" || kind == "ssh-dss" || kind == "ssh-ed25519" || kind == "ssh-ed448":
		return kind
	case strings.HasPrefix(kind, "ecdsa-sha2-") || strings.HasPrefix(kind, "sk-"):
		return kind
	}
	return ""
}

// authorizedKey is a line of authorized_keys: options, a kind, a blob, a comment.
type authorizedKey struct {
	blob             []byte
	options, comment string
}

func parseAuthorized(line string) (k authorizedKey, ok bool) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' || len(line) > 16<<10 {
		return k, false
	}
	for _, kind := range []string{"ssh-rsa ", "ssh-dss ", "ssh-ed25519 ", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"} {
		at := strings.Index(line, kind)
		if at < 0 || at > 0 && line[at-1] != ' ' && line[at-1] != '\t' {
			continue
		}
		words := strings.Fields(line[at:])
		if len(words) < 2 {
			continue
		}
		blob, err := base64.StdEncoding.DecodeString(words[1])
		if err != nil || sshBlobType(blob) != words[0] {
			continue
		}
		return authorizedKey{blob, strings.TrimSpace(line[:at]), strings.Join(words[2:], " ")}, true
	}
	return k, false
}
