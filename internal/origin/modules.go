package origin

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/executable"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/signature"
	"github.com/doorward/doorward/internal/unpack"
)

const moduleMark = "~Module signature appended~\n"

// Modules reads who signed the kernel's modules.
var Modules = &Gatherer{
	Name:     "origin-modules",
	Doc:      "Reads whose key signed kernel modules. The certificate is with the kernel, so that the signature is not checked.",
	Patterns: []string{moduleMark},
	Requires: []string{"executable"},
	Run:      runModules,
}

func runModules(ctx context.Context, in *Input, out *detect.Sink) error {
	done := map[string]bool{} // modules of one component have one signer: that is how kernels are built
	for _, f := range in.Product.Files {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f.Deleted() || !f.Type.Executable() || !f.Has(moduleMark) {
			continue
		}
		if info := f.Program(); info == nil || info.Kind != executable.KernelModule {
			continue
		}
		subject := in.ref(f)
		if done[subject] {
			continue
		}
		done[subject] = true
		module(in, out, f, subject)
	}
	return nil
}

// module reads the end of a module: the signature, struct module_signature (12
// bytes, the last four its length), the mark (include/linux/module_signature.h).
func module(_ *Input, out *detect.Sink, f *product.File, subject string) {
	const tail = int64(12 + len(moduleMark))
	b, err := unpack.ReadAll(unpack.Window(f.Content.Data, max(0, f.Size-maxModuleSignature), min(f.Size, maxModuleSignature)), maxModuleSignature)
	if err != nil || !bytes.HasSuffix(b, []byte(moduleMark)) || int64(len(b)) < tail {
		return
	}
	head := b[int64(len(b))-tail:]
	size := int64(binary.BigEndian.Uint32(head[8:]))
	if head[2] != 2 || size > int64(len(b))-tail { // PKEY_ID_PKCS7
		return
	}
	s, err := signature.Parse(b[int64(len(b))-tail-size:])
	if err != nil {
		return
	}
	for _, signer := range s.Signers {
		var rdn pkix.RDNSequence
		if _, err := asn1.Unmarshal(signer.Issuer, &rdn); err != nil {
			continue
		}
		var issuer pkix.Name
		issuer.FillFromRDNSequence(&rdn)
		name := issuer.CommonName
		if len(issuer.Organization) > 0 {
			name = issuer.Organization[0]
		}
		if !named(name) {
			continue
		}
		fact := doorward.OriginFact{
			Subject: subject, Axis: doorward.SigningKey, Entity: name, Basis: "issuer of the key that signed a kernel module (not checked)", AssertedBy: "the module",
			Method: "module-signature", Class: doorward.Claimed, Evidence: issuer.String(), Where: first(f.Where()),
		}
		out.Origin(fact)
		if len(issuer.Country) > 0 {
			seat(out, name, issuer.Country[0], "country in the issuer's name of a kernel module's signature (not checked)", fact)
		}
	}
}

// maxModuleSignature is how much of a module's end is read, in bytes.
const maxModuleSignature = 16 << 10
