// Package rootca knows the certificates of public authorities, which say nothing
// of the product that carries them.
package rootca

import (
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
)

//go:embed data/rootcas.txt
var text string

type table struct {
	keys   map[string]bool // SHA-256 of SubjectPublicKeyInfo
	names  map[string]bool // of those with a key
	makers []string        // beginnings of organisations
}

var roots = sync.OnceValue(func() *table {
	t := &table{keys: map[string]bool{}, names: map[string]bool{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		head, name, _ := strings.Cut(line, " ")
		if head == "name" {
			t.makers = append(t.makers, strings.ToLower(name))
			continue
		}
		t.keys[head] = true
		t.names[name] = true
		if maker, _, ok := strings.Cut(name, " / "); ok {
			t.makers = append(t.makers, strings.ToLower(maker))
		}
	}
	return t
})

// Has says that a certificate is of a public root's key.
func Has(c *x509.Certificate) bool {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return roots().keys[hex.EncodeToString(sum[:])]
}

// Names says that a public root has this Name.
func Names(name string) bool { return roots().names[name] }

// Name is a subject as "organisation / common name".
func Name(c *x509.Certificate) string {
	name := c.Subject.CommonName
	if name == "" && len(c.Subject.OrganizationalUnit) > 0 {
		name = c.Subject.OrganizationalUnit[0]
	}
	if len(c.Subject.Organization) > 0 {
		name = c.Subject.Organization[0] + " / " + name
	}
	return strings.Join(strings.Fields(name), " ")
}

// IsMaker says that a Name is of an authority that public lists had. Only a
// whole word at the start counts.
func IsMaker(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(roots().makers, func(m string) bool {
		rest, ok := strings.CutPrefix(name, m)
		return ok && (rest == "" || !(rest[0] >= 'a' && rest[0] <= 'z' || rest[0] >= '0' && rest[0] <= '9'))
	})
}
