package doorward

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// OriginFact is one statement on who designed, made, maintains or owns
// something, and where: what was found, who says so, and how much that is worth.
// Facts that contradict each other are all kept.
type OriginFact struct {
	ID      string `json:"id,omitempty"` // fact-… of SetID
	Subject string `json:"subject"`      // bom_ref of a component, ProductSubject, or EntitySubject
	Axis    Axis   `json:"axis"`
	Stage   Axis   `json:"stage,omitempty"` // see Axis

	// What is stated: a country (ISO 3166-1 alpha-2; UnknownCountry if the
	// source says that it is not known), an entity by name, or both.
	Country string `json:"country,omitempty"`
	Entity  string `json:"entity,omitempty"`
	Share   *Share `json:"share,omitempty"` // of the subject that this is true of; nil for the whole

	Basis      string        `json:"basis"`                 // what shows it, in words: "dpkg field Maintainer"
	AssertedBy string        `json:"asserted_by,omitempty"` // who says so
	Method     string        `json:"method,omitempty"`      // how it was read: package-database, certificate, oui, declaration, registry ...
	Class      EvidenceClass `json:"class"`
	Evidence   string        `json:"evidence,omitempty"`        // the text or bytes found
	SHA256     string        `json:"evidence_sha256,omitempty"` // of the document that holds it
	Pointer    string        `json:"pointer,omitempty"`         // within it
	ValidFrom  string        `json:"valid_from,omitempty"`      // YYYY-MM-DD
	ValidTo    string        `json:"valid_to,omitempty"`        // YYYY-MM-DD, the last day
	Where      []Where       `json:"where,omitempty"`
}

// Share is an interval of percent: what is known of a share.
type Share struct {
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

// UnknownCountry is ISO 3166-1's user-assigned code for "not known".
const UnknownCountry = "ZZ"

// ProductSubject is the subject of facts on the product as a whole.
const ProductSubject = "product"

// EntitySubject is the subject of facts on an organisation or a person.
func EntitySubject(name string) string { return "entity:" + EntityKey(name) }

// Axis is one of the questions that "origin" stands for. Regimes ask different
// ones, so that answers are kept apart.
//
// Activities are about a component or the product: who does it, and where.
// Their facts have no stage. Seats and owners are about an entity: the subject
// of such a fact is EntitySubject, and it has no stage either. A rule that asks
// for the seat or owner "of the developer" names the activity as the stage.
type Axis string

// Activities, and then what is asked of the entities that carry them out.
const (
	Design      Axis = "design"
	Development Axis = "development"
	Build       Axis = "build"
	Fabrication Axis = "fabrication"
	Packaging   Axis = "packaging-test"
	Assembly    Axis = "assembly"
	Maintenance Axis = "maintenance"
	Hosting     Axis = "hosting"
	Operation   Axis = "operation"
	SigningKey  Axis = "signing-key" // whose key signs updates
	Importer    Axis = "importer"

	LegalSeat     Axis = "legal-seat"
	ExecutiveSeat Axis = "executive-seat"
	UltimateOwner Axis = "ultimate-owner"
)

// Activities lists the axes on components and products.
var Activities = []Axis{Design, Development, Build, Fabrication, Packaging, Assembly, Maintenance, Hosting, Operation, SigningKey, Importer}

// EntityAxes lists the axes on entities.
var EntityAxes = []Axis{LegalSeat, ExecutiveSeat, UltimateOwner}

// OfEntity says that facts on this axis have an entity as their subject.
func (a Axis) OfEntity() bool { return slices.Contains(EntityAxes, a) }

// Known says that there is such an axis.
func (a Axis) Known() bool { return a.OfEntity() || slices.Contains(Activities, a) }

// EvidenceClass says how much an origin fact is worth.
type EvidenceClass string

// From weak to strong.
const (
	Inferred EvidenceClass = "inferred" // from an identifier, such as a MAC prefix
	Claimed  EvidenceClass = "claimed"  // an unsigned claim
	Signed   EvidenceClass = "signed"   // a claim whose signature was checked
	Attested EvidenceClass = "attested" // by a third party, whose signature was checked
	Measured EvidenceClass = "measured" // here
)

// EvidenceClasses lists the classes, weakest first.
var EvidenceClasses = []EvidenceClass{Inferred, Claimed, Signed, Attested, Measured}

// Rank orders classes: inferred is 0; -1 is no class.
func (c EvidenceClass) Rank() int { return slices.Index(EvidenceClasses, c) }

// SetID computes the fact's id of what it states and where it was read.
func (f *OriginFact) SetID() {
	share := ""
	if f.Share != nil {
		share = fmt.Sprintf("%g-%g", f.Share.Min, f.Share.Max)
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{
		f.Subject, string(f.Axis), string(f.Stage), f.Country, f.Entity, share, f.Basis, f.AssertedBy, f.Method,
		string(f.Class), f.Evidence, f.SHA256, f.Pointer, f.ValidFrom, f.ValidTo,
	}, "\x00")))
	f.ID = "fact-" + hex.EncodeToString(sum[:8])
}

// Entity is an organisation or a person under all its names. Its seats and
// owners are facts (OriginFact), not fields.
type Entity struct {
	Name    string            `json:"name"`
	Aliases []string          `json:"aliases,omitempty"`
	Former  []string          `json:"former,omitempty"` // former names
	IDs     map[string]string `json:"ids,omitempty"`    // lei, cage, duns, cik, domain ...
	Source  string            `json:"source,omitempty"`
	// Review lists names that are nearly this one's: they decide nothing, a
	// person has to look.
	Review []string `json:"review,omitempty"`
}

// Names are all names of an entity.
func (e Entity) Names() []string {
	return slices.Concat([]string{e.Name}, e.Aliases, e.Former)
}

// legalForms say how an organisation is constituted, not who it is.
var legalForms = map[string]bool{
	"inc": true, "incorporated": true, "corp": true, "corporation": true, "co": true, "company": true, "ltd": true, "limited": true,
	"llc": true, "llp": true, "lp": true, "plc": true, "gmbh": true, "ag": true, "kg": true, "mbh": true, "se": true, "sa": true, "sas": true,
	"sarl": true, "srl": true, "spa": true, "bv": true, "nv": true, "ab": true, "as": true, "asa": true, "oy": true, "oyj": true, "aps": true,
	"kk": true, "pty": true, "pte": true, "sdn": true, "bhd": true, "ooo": true, "oao": true, "pao": true, "jsc": true, "zrt": true, "kft": true, "sro": true, "spzoo": true,
}

// EntityKey is a name as two sources would agree on it: lower case, without
// accents, punctuation and, at its end, the legal form. Equal keys are the same
// entity; nearly equal ones are not.
func EntityKey(name string) string {
	words := strings.FieldsFunc(strings.Map(plainLetter, strings.ToLower(name)), unicode.IsSpace)
	words = joinInitials(words)
	n := len(words)
	for n > 1 && legalForms[words[n-1]] {
		n--
	}
	return strings.Join(words[:n], "-")
}

// joinInitials makes one word of letters that stood with dots between them: S. A.
func joinInitials(words []string) []string {
	var out []string
	for i := 0; i < len(words); {
		j := i
		for j < len(words) && len(words[j]) == 1 && words[j] != "&" {
			j++
		}
		if j > i+1 {
			out = append(out, strings.Join(words[i:j], ""))
			i = j
			continue
		}
		out = append(out, words[i])
		i++
	}
	return out
}

// plainLetter maps letters with marks to plain ones, and what is neither letter
// nor digit to a space. Apostrophes and marks that stand alone join.
func plainLetter(c rune) rune {
	switch {
	case c == '\'' || c == '’' || unicode.IsMark(c):
		return -1
	case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		return c
	case c >= 0x80 && (unicode.IsLetter(c) || unicode.IsDigit(c)):
		if plain, ok := unmarked[c]; ok {
			return plain
		}
		return c
	}
	return ' '
}

// unmarked has the letters of European names that carry marks.
var unmarked = func() map[rune]rune {
	m := map[rune]rune{}
	for plain, marked := range map[rune]string{
		'a': "àáâãäåāăą", 'c': "çćč", 'd': "ďđ", 'e': "èéêëēėęě", 'g': "ğ", 'i': "ìíîïīįı", 'l': "łĺľ", 'n': "ñńň",
		'o': "òóôõöøōő", 'r': "ŕř", 's': "śşšß", 't': "ťţ", 'u': "ùúûüūůűų", 'y': "ýÿ", 'z': "žźż",
	} {
		for _, c := range marked {
			m[c] = plain
		}
	}
	return m
}()
