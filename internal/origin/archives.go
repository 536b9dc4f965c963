package origin

import (
	"context"
	"path"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/signature"
)

// Archives reads who signed JAR and APK archives in the way of JAR files.
var Archives = &Gatherer{
	Name: "origin-archives",
	Doc: "Reads who signed a JAR or APK file (META-INF/*.RSA). That the signature fits the list of digests is checked, the digests of the files are not, so that " +
		"it is a claim. The published test key of Android is left alone.",
	Run: runArchives,
}

func runArchives(_ context.Context, in *Input, out *detect.Sink) error {
	for _, v := range in.Product.Volumes {
		for _, ext := range []string{"RSA", "EC", "DSA"} {
			for _, f := range v.Glob("META-INF/*." + ext) {
				if !f.Deleted() && f.Size < 64<<10 {
					archive(in, out, v, f)
				}
			}
		}
	}
	return nil
}

func archive(in *Input, out *detect.Sink, v *product.Volume, f *product.File) {
	s, err := signature.Parse(f.Bytes())
	if err != nil {
		return
	}
	list := v.File(strings.TrimSuffix(f.Path, path.Ext(f.Path)) + ".SF")
	if list == nil {
		return
	}
	for _, signer := range s.Signers {
		c := s.Certificate(signer)
		if c == nil || s.Check(signer, list.Bytes()) != nil {
			continue
		}
		by := signature.ByOf(c)
		name := by.Organization
		if name == "" {
			name = by.CommonName
		}
		if !named(name) || strings.HasPrefix(name, "Android") && by.Issuer == by.CommonName {
			continue
		}
		fact := doorward.OriginFact{
			Subject: in.ref(f), Axis: doorward.SigningKey, Entity: name, AssertedBy: name, Method: "jar-signature", Class: doorward.Claimed,
			Basis: "signature of the archive's list of digests (the certificate is not anchored)", Evidence: certificateText(by), Where: first(f.Where()),
		}
		out.Origin(fact)
		fact.AssertedBy = "the certificate's issuer " + by.Issuer
		seat(out, name, by.Country, "country in the signer's certificate (not anchored)", fact)
	}
}
