package origin

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"path"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/rootca"
	"github.com/doorward/doorward/internal/signature"
)

const certificateMark = "-----BEGIN CERTIFICATE-----"

// Certificates reads whom certificates are of that the product trusts or uses:
// those that sign updates and what boots, and those of servers.
var Certificates = &Gatherer{
	Name: "origin-certificates",
	Doc: "Reads the organisation in certificates that by their name or their extensions sign updates or what boots (secure boot's keys), or are those of the " +
		"maker's servers or the product's own. Public authorities, bundles, tests and what certificates are made of by default are left alone.",
	Patterns: []string{certificateMark},
	Run:      runCertificates,
}

func runCertificates(_ context.Context, in *Input, out *detect.Sink) error {
	for _, f := range in.Product.Files {
		if f.Deleted() {
			continue
		}
		list := certificatesOf(f)
		if len(list) == 0 || len(list) > maxChain {
			continue // a bundle says whom everybody trusts
		}
		for _, c := range list {
			certificate(in, out, f, c)
		}
	}
	return nil
}

// maxChain is how many certificates a file has that is about one of them.
const maxChain = 4

// secureBootRoles are the variables of secure boot, and what their keys may do.
var secureBootRoles = map[string]string{
	"PK": "may change all other keys", "KEK": "may change what is trusted", "db": "may sign what boots",
	"PKDefault": "is what a reset brings back", "KEKDefault": "is what a reset brings back", "dbDefault": "is what a reset brings back",
}

func certificatesOf(f *product.File) []*x509.Certificate {
	var list []*x509.Certificate
	switch ext := path.Ext(strings.ToLower(f.Path)); {
	case f.Type.IsText():
		if n := len(f.Hits(certificateMark)); n == 0 || n > maxChain {
			return nil
		}
		for rest := []byte(f.Text()); len(list) <= maxChain; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if block.Type == "CERTIFICATE" {
				if c, err := x509.ParseCertificate(block.Bytes); err == nil {
					list = append(list, c)
				}
			}
		}
	case f.Size < 64<<10 && (ext == ".der" || ext == ".cer" || ext == ".crt" || ext == ".cert"):
		if c, err := x509.ParseCertificate(f.Bytes()); err == nil {
			list = append(list, c)
		}
	}
	return list
}

var (
	leftAlone    = regexp.MustCompile(`(?i)(^|/)(tests?|testdata|examples?|demos?|docs?|samples?|man)/|ssl/certs/|ca-certificates|cacerts?/|mozilla/|(^|/)node_modules/`)
	signingNames = regexp.MustCompile(`(?i)(^|[^a-z])(ota|updates?|updater|upgrades?|fwupdate|fwu|firmware|sign|signing|signer|codesign|rauc|swupdate|mender|verity|secureboot)([^a-z]|$)`)
	serverNames  = regexp.MustCompile(`(?i)(^|[^a-z])(server|https?|httpd|uhttpd|lighttpd|nginx|web|tls|ssl)([^a-z]|$)`)
	trustNames   = regexp.MustCompile(`(?i)(^|[^a-z])(ca|cacert|root|rootca|trust|trusted|anchor|chain)([^a-z]|$)`)
)

// certificate reports what one certificate says.
func certificate(in *Input, out *detect.Sink, f *product.File, c *x509.Certificate) {
	role := path.Base(path.Dir(f.Path))
	boots := secureBootRoles[role] != "" && strings.HasSuffix(f.Path, ".cer")
	if !boots && (rootca.Has(c) || rootca.IsMaker(rootca.Name(c)) || leftAlone.MatchString(f.Path)) {
		return
	}
	by := signature.ByOf(c)
	if !named(by.Organization) {
		return
	}
	fact := doorward.OriginFact{
		Subject: in.ref(f), Entity: by.Organization, AssertedBy: "the certificate's issuer " + by.Issuer, Method: "certificate", Class: doorward.Claimed,
		Evidence: certificateText(by), Where: first(f.Where()),
	}
	name := path.Base(path.Dir(f.Path)) + "/" + f.Base()
	switch {
	case boots:
		fact.Subject, fact.Axis = doorward.ProductSubject, doorward.SigningKey
		fact.Basis = "certificate in secure boot's " + role + ", whose key " + secureBootRoles[role]
	case uses(c, x509.ExtKeyUsageCodeSigning):
		fact.Axis, fact.Basis = doorward.SigningKey, "certificate for code signing"
	case signingNames.MatchString(name) && !uses(c, x509.ExtKeyUsageServerAuth):
		fact.Axis, fact.Basis = doorward.SigningKey, "certificate that by its name is for updates"
	case c.IsCA && trustNames.MatchString(name):
		fact.Axis, fact.Basis = doorward.Operation, "authority of its own that the product trusts"
	case (uses(c, x509.ExtKeyUsageServerAuth) || serverNames.MatchString(name)) && hasKey(f):
		fact.Axis, fact.Basis = doorward.Operation, "certificate that the product serves"
	default:
		return
	}
	out.Origin(fact)
	seat(out, by.Organization, by.Country, "country in a certificate's subject (not anchored)", fact)
}

func uses(c *x509.Certificate, usage x509.ExtKeyUsage) bool {
	for _, u := range c.ExtKeyUsage {
		if u == usage {
			return true
		}
	}
	return false
}

// hasKey says that a private key stands in the file or beside it.
func hasKey(f *product.File) bool {
	if strings.Contains(f.Text(), "PRIVATE KEY-----") {
		return true
	}
	if f.Volume == nil {
		return false
	}
	base := strings.TrimSuffix(f.Path, path.Ext(f.Path))
	return f.Volume.File(base+".key") != nil || f.Volume.File(path.Join(path.Dir(f.Path), "key.pem")) != nil || f.Volume.File(base+"-key.pem") != nil
}
