package uefi

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// Types of signatures (UEFI 2.10, section 32.4.1).
var signatureTypes = map[string]string{
	"A5C059A1-94E4-4AA7-87B5-AB155C2BF072": "x509",
	"4AAFD29D-68DF-49EE-8AA9-347D375665A7": "pkcs7",
	"C1C41626-504C-4092-ACA9-41F936934328": "sha256",
	"826CA512-CF10-4AC9-B187-BE01496631BD": "sha1",
	"0B6E5233-A65C-44C9-9407-D9AB83BFC8BD": "sha224",
	"FF3E5307-9FD0-48C9-85F1-8AD56C701E01": "sha384",
	"093E0FAE-A6C4-4F50-9F1B-D41E2B89C19A": "sha512",
	"3C5766E8-269C-4E34-AA14-ED776E85B3B6": "rsa2048",
	"E2B36190-879B-4A3D-AD8D-F2E7BBA32784": "rsa2048-sha256",
	"67F8444F-8743-48F1-A328-1EAAB8736080": "rsa2048-sha1",
	"3BD2A492-96C0-4079-B420-FCF98EF103ED": "x509-sha256",
	"7076876E-80C2-4EE6-AAD2-28B349A6865B": "x509-sha384",
	"446DBF63-2502-4CDA-BCFA-2465D2B0FE9D": "x509-sha512",
}

const maxSignatures = 4 << 20 // bytes of a variable of signatures

// signature is one entry of a signature list.
type signature struct {
	kind  string
	owner guid
	data  []byte
}

// parseSignatures reads EFI_SIGNATURE_LIST structures that fill b.
func parseSignatures(b []byte) (list []signature, ok bool) {
	for len(b) > 0 {
		if len(b) < 28 {
			return nil, false
		}
		kind := signatureTypes[guidAt(b).String()]
		size, head, each := int64(le32(b[16:])), int64(le32(b[20:])), int64(le32(b[24:]))
		if kind == "" || size < 28 || size > int64(len(b)) || head > size-28 || each < 17 || (size-28-head)%each != 0 {
			return nil, false
		}
		for p := b[28+head : size]; len(p) > 0; p = p[each:] {
			list = append(list, signature{kind, guidAt(p), p[16:each]})
		}
		b = b[size:]
	}
	return list, len(list) > 0
}

// signatureEntries are the certificates of a variable of signatures as files,
// and its digests as a list.
func signatureEntries(name string, data unpack.Bytes) []unpack.Entry {
	if data.Size() < 28+17 || data.Size() > maxSignatures {
		return nil
	}
	b, err := unpack.ReadFull(data, 0, data.Size())
	if err != nil {
		return nil
	}
	list, ok := parseSignatures(b)
	if !ok {
		return nil
	}
	dir, _ := unpack.JoinName("", name)
	var entries []unpack.Entry
	digests := map[string]*strings.Builder{}
	add := func(file string, content []byte, owner string) {
		entries = append(entries, unpack.Entry{Path: dir + "/" + file, Mode: 0o600, Data: unpack.Slice(content), Xattrs: map[string]string{"uefi.owner": owner, "uefi.variable": name}})
	}
	for i, s := range list {
		if s.kind == "x509" || s.kind == "pkcs7" {
			add(fmt.Sprintf("%s-%d.%s", s.kind, i+1, map[string]string{"x509": "cer", "pkcs7": "p7b"}[s.kind]), s.data, s.owner.String())
			continue
		}
		if digests[s.kind] == nil {
			digests[s.kind] = &strings.Builder{}
		}
		digests[s.kind].WriteString(hex.EncodeToString(s.data) + "\n")
	}
	for kind, text := range digests {
		add(kind+".txt", []byte(text.String()), "")
	}
	return entries
}

func lower(g guid) string { return strings.ToLower(g.String()) }
