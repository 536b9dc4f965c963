package firmware

import (
	"crypto/dsa"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
)

// secretKey is a private key that was read.
type secretKey struct {
	public    any // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey, *dsa.PublicKey
	algorithm string
}

func rsaName(n *big.Int) string { return fmt.Sprintf("RSA %d", n.BitLen()) }

// parsePrivate reads a private key in DER: PKCS #1, PKCS #8 or SEC 1. The
// standard library refuses keys that are short or odd; firmware has both.
func parsePrivate(der []byte) (secretKey, bool) {
	if k, ok := parseRSA(der); ok {
		return k, true
	}
	if k, ok := parseDSA(der); ok {
		return k, true
	}
	if k, err := x509.ParseECPrivateKey(der); err == nil {
		return secretKey{&k.PublicKey, "ECDSA " + k.Curve.Params().Name}, true
	}
	var p8 struct {
		Version   int
		Algorithm struct {
			OID    asn1.ObjectIdentifier
			Params asn1.RawValue `asn1:"optional"`
		}
		Key []byte
	}
	if _, err := asn1.Unmarshal(der, &p8); err != nil {
		return secretKey{}, false
	}
	if k, ok := parseRSA(p8.Key); ok {
		return k, true
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return secretKey{}, false
	}
	switch k := k.(type) {
	case *ecdsa.PrivateKey:
		return secretKey{&k.PublicKey, "ECDSA " + k.Curve.Params().Name}, true
	case ed25519.PrivateKey:
		return secretKey{k.Public(), "Ed25519"}, true
	}
	return secretKey{nil, "private key"}, true
}

// parseRSA reads PKCS #1 (RFC 8017 appendix A.1.2) and proves it by n = pq.
func parseRSA(der []byte) (secretKey, bool) {
	var k struct {
		Version       int
		N, E, D, P, Q *big.Int
		DP, DQ, QInv  *big.Int      `asn1:"optional"`
		Rest          asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(der, &k); err != nil || k.Version > 1 || k.N == nil || k.P == nil || k.Q == nil {
		return secretKey{}, false
	}
	if k.N.BitLen() < 256 || k.N.BitLen() > 16384 || !k.E.IsInt64() || k.E.Int64() < 3 || k.E.Int64() > 1<<31-1 || new(big.Int).Mul(k.P, k.Q).Cmp(k.N) != 0 {
		return secretKey{}, false
	}
	return secretKey{&rsa.PublicKey{N: k.N, E: int(k.E.Int64())}, rsaName(k.N)}, true
}

// parseDSA reads the traditional form of OpenSSL: 0, p, q, g, y, x.
func parseDSA(der []byte) (secretKey, bool) {
	var k struct {
		Version       int
		P, Q, G, Y, X *big.Int
	}
	if _, err := asn1.Unmarshal(der, &k); err != nil || k.Version != 0 || k.P.BitLen() < 256 || k.P.BitLen() > 8192 || k.G.Cmp(k.P) >= 0 || k.X.Sign() <= 0 || k.G.Sign() <= 0 {
		return secretKey{}, false
	}
	if new(big.Int).Exp(k.G, k.X, k.P).Cmp(k.Y) != 0 {
		return secretKey{}, false
	}
	return secretKey{&dsa.PublicKey{Parameters: dsa.Parameters{P: k.P, Q: k.Q, G: k.G}, Y: k.Y}, "DSA"}, true
}

// subjectPublicKey is the SubjectPublicKeyInfo of a public key in DER.
func subjectPublicKey(pub any) []byte {
	if k, ok := pub.(*dsa.PublicKey); ok {
		return dsaPublic(k)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil
	}
	return der
}

func dsaPublic(k *dsa.PublicKey) []byte {
	params, err1 := asn1.Marshal(struct{ P, Q, G *big.Int }{k.P, k.Q, k.G})
	y, err2 := asn1.Marshal(k.Y)
	der, err3 := asn1.Marshal(struct {
		Algorithm struct {
			OID    asn1.ObjectIdentifier
			Params asn1.RawValue
		}
		Key asn1.BitString
	}{struct {
		OID    asn1.ObjectIdentifier
		Params asn1.RawValue
	}{asn1.ObjectIdentifier{1, 2, 840, 10040, 4, 1}, asn1.RawValue{FullBytes: params}}, asn1.BitString{Bytes: y, BitLength: len(y) * 8}})
	if err1 != nil || err2 != nil || err3 != nil {
		return nil
	}
	return der
}

// derInners are bytes that stand inside private keys in DER, with how far behind
// the start of the enclosing sequence's content they are: 0, the version.
var derInners = []string{
	"\x02\x01\x00\x02\x82", "\x02\x01\x00\x02\x81", "\x02\x01\x00\x02\x41\x00", // PKCS #1: version 0, a long modulus
	"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", // PKCS #8, RSA
	"\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01",         // PKCS #8, elliptic curve
	"\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20",         // PKCS #8, Ed25519
	"\x02\x01\x01\x04\x20", "\x02\x01\x01\x04\x30", // SEC 1
}

// derAround finds the DER sequence whose content starts at an offset.
func derAround(b []byte, at int64) (start int64, der []byte) {
	for _, head := range []int64{4, 3, 2} {
		from := at - head
		if from < 0 || b[from] != 0x30 {
			continue
		}
		var length int64
		switch {
		case head == 2 && b[from+1] < 0x80:
			length = int64(b[from+1])
		case head == 3 && b[from+1] == 0x81:
			length = int64(b[from+2])
		case head == 4 && b[from+1] == 0x82:
			length = int64(b[from+2])<<8 | int64(b[from+3])
		default:
			continue
		}
		if at+length <= int64(len(b)) {
			return from, b[from : at+length]
		}
	}
	return 0, nil
}
