package origin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/signature"
	"github.com/doorward/doorward/internal/unpack"
)

const copyrightMark = "opyright "

// Programs reads what programs say of who made them.
var Programs = &Gatherer{
	Name: "origin-programs",
	Doc: "Reads copyright lines, the company in a PE file's version information, its Authenticode signature (checked with the certificate that it brings), " +
		"and the distribution in an ELF file's package note. A compiler's mark says who made the compiler, and is left alone.",
	Patterns: []string{copyrightMark},
	Requires: []string{"executable"},
	Run:      runPrograms,
}

func runPrograms(ctx context.Context, in *Input, out *detect.Sink) error {
	budget := &quotes{left: maxQuotes, by: map[string][]string{}}
	for _, f := range in.Product.Files {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f.Deleted() || !f.Type.Executable() {
			continue
		}
		info := f.Program()
		if info == nil {
			continue
		}
		signed := signers(in, out, f, info.SignedBy)
		if named(info.Company) {
			fact := doorward.OriginFact{
				Subject: in.ref(f), Axis: doorward.Development, Entity: info.Company, Basis: "CompanyName in the version information", AssertedBy: "the program",
				Method: "pe-version", Class: doorward.Claimed, Evidence: info.Company, Where: first(f.Where()),
			}
			if signed != "" {
				fact.Class, fact.AssertedBy = doorward.Signed, signed
				fact.Basis += ", which the checked signature covers (its certificate is not anchored)"
			}
			out.Origin(fact)
		}
		for _, n := range info.Notes {
			if n.Owner == "FDO" && n.Type == packageNote {
				packageOf(in, out, f, n.Data)
			}
		}
		copyrights(in, out, f, budget)
	}
	return nil
}

// signers reports who signed a PE file, and returns the name of one whose
// signature was checked.
func signers(in *Input, out *detect.Sink, f *product.File, list []signature.By) string {
	checked := ""
	for _, by := range list {
		name := by.Organization
		if name == "" {
			name = by.CommonName
		}
		if !named(name) {
			continue
		}
		fact := doorward.OriginFact{
			Subject: in.ref(f), Axis: doorward.SigningKey, Entity: name, AssertedBy: name, Method: "authenticode", Class: doorward.Signed,
			Basis:    "Authenticode signature, checked with the certificate that it brings (not anchored)",
			Evidence: certificateText(by), Where: first(f.Where()),
		}
		if by.Err != nil {
			fact.Class, fact.Basis = doorward.Claimed, "Authenticode signature that does not hold: "+by.Err.Error()
		} else if checked == "" {
			checked = name
		}
		out.Origin(fact)
		fact.Class, fact.AssertedBy = doorward.Claimed, "the certificate's issuer "+by.Issuer
		seat(out, name, by.Country, "country in the signer's certificate (not anchored)", fact)
	}
	return checked
}

func certificateText(by signature.By) string {
	text := "CN=" + by.CommonName
	if by.Organization != "" {
		text += ", O=" + by.Organization
	}
	if by.Country != "" {
		text += ", C=" + by.Country
	}
	if by.Issuer != "" {
		text += "; issued by " + by.Issuer
	}
	return text
}

// packageNote is the type of the note with the package that an ELF file is of
// (systemd's Package Metadata for Executable Files).
const packageNote = 0xcafe1a7e

func packageOf(in *Input, out *detect.Sink, f *product.File, data []byte) {
	text := bytes.TrimRight(data, "\x00")
	var note struct{ Type, OS, Vendor, Name, Version string }
	if json.Unmarshal(text, &note) != nil {
		return
	}
	entity := note.Vendor
	if entity == "" {
		entity = note.OS
	}
	if !named(entity) {
		return
	}
	out.Origin(doorward.OriginFact{
		Subject: in.ref(f), Axis: doorward.Build, Entity: entity, Basis: "package note of the program: the distribution that it was built for", AssertedBy: "the program",
		Method: "elf-note", Class: doorward.Claimed, Evidence: string(text), Where: first(f.Where()),
	})
}

// copyrightLine is a notice with a year; the name ends at what can't be part of
// one.
var copyrightLine = regexp.MustCompile(`^opyright[ :]+(?:\([cC]\) ?|\xc2?\xa9 ?|&copy; ?)?(?:[12][0-9]{3}(?:\s?(?:-|–|,|and)\s?(?:[12][0-9]{3}|[0-9]{2}|present|now))*),?\s+(?:by )?([A-Z][^\x00-\x1f\x7f<>()\[\]{};:%"|*]*)`)

// nameEnds are where a notice goes on after the name.
var nameEnds = regexp.MustCompile(`(?i)(\.\s*$|,?\s+all rights? res|\s+-\s|\s+and others|\s+et al|, and |\s+and\s+(the\s+)?[a-z.]+ |,\s+[A-Z](?:$|[^.])|,?\s+[12][0-9]{3}\b|\s+https?:|\s+[a-z0-9._-]+@|/|\s{2,}|\s+licen[sc]e)`)

// sentence is where a sentence ends, and no initial.
var sentence = regexp.MustCompile(`[\pL)]{2}\.\s+[A-Z]`)

// unfinished names were cut by the end of a line.
var unfinished = regexp.MustCompile(`(?i)\b(of|the|and|for|by)$`)

// legalTail are the words behind a comma that are still part of a name.
var legalTail = regexp.MustCompile(`(?i)^,\s*(inc|ltd|llc|llp|corp|gmbh|s\.?a|co|b\.?v|plc|pty|s\.?r\.?l)\b\.?(,?\s*ltd\b\.?)?`)

// holder cuts the name of the holder out of what follows the years.
func holder(text string) string {
	rest, kept := text, ""
	if at := sentence.FindStringIndex(rest); at != nil {
		rest = rest[:strings.IndexByte(rest[at[0]:], '.')+at[0]+1]
	}
	for {
		at := nameEnds.FindStringIndex(rest)
		if at == nil {
			kept += rest
			break
		}
		kept += rest[:at[0]]
		rest = rest[at[0]:]
		tail := legalTail.FindString(rest)
		if tail == "" {
			break
		}
		kept, rest = kept+tail, rest[len(tail):]
	}
	kept = strings.TrimSpace(strings.TrimRight(strings.TrimSpace(kept), ",-"))
	if !strings.HasSuffix(kept, "Inc.") && !strings.HasSuffix(kept, "Ltd.") && !strings.HasSuffix(kept, "Corp.") && !strings.HasSuffix(kept, "Co.") {
		kept = strings.TrimRight(kept, ".")
	}
	return kept
}

// quotes bounds what is read for the sake of a quotation.
type quotes struct {
	left int
	by   map[string][]string // keys of holders, by subject
}

// The most notices that are read in all, of one program, and kept of one subject.
const maxQuotes, maxNotices, maxHolders = 4000, 24, 50

// copyrights reports who says in a program to have written a part of it.
func copyrights(in *Input, out *detect.Sink, f *product.File, q *quotes) {
	hits := f.Hits(copyrightMark)
	if len(hits) == 0 || f.Content.Data == nil {
		return
	}
	subject := in.ref(f)
	for _, at := range hits[:min(len(hits), maxNotices)] {
		if q.left == 0 || len(q.by[subject]) >= maxHolders {
			return
		}
		q.left--
		b, _ := unpack.ReadAll(unpack.Window(f.Content.Data, at, min(200, f.Size-at)), 200)
		m := copyrightLine.FindSubmatch(b)
		if m == nil {
			continue
		}
		name := holder(string(m[1]))
		if len(name) > 60 || !named(name) || unfinished.MatchString(name) || !strings.ContainsAny(name, "abcdefghijklmnopqrstuvwxyz") && len(name) < 3 || slices.Contains(q.by[subject], doorward.EntityKey(name)) {
			continue
		}
		q.by[subject] = append(q.by[subject], doorward.EntityKey(name))
		line, _, _ := bytes.Cut(b[:len(m[0])], []byte{0})
		out.Origin(doorward.OriginFact{
			Subject: subject, Axis: doorward.Development, Entity: name, Share: &doorward.Share{Max: 100}, Basis: "copyright line in a program: of a part at least",
			AssertedBy: "the program", Method: "copyright-line", Class: doorward.Claimed, Evidence: fmt.Sprintf("C%s", bytes.ToValidUTF8(line, []byte("?"))), Where: first(f.WhereAt(at - 1)),
		})
	}
}
