package doorward

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Kind says what sort of access path a door is.
type Kind string

// The kinds of doors.
const (
	KindAccount     Kind = "account"     // a login with a usable or fixed credential
	KindKey         Kind = "key"         // an embedded private key, authorised key, shared secret, trusted certificate
	KindService     Kind = "service"     // a network listener that the product starts
	KindTrigger     Kind = "trigger"     // an input or signal that unlocks functionality
	KindDebug       Kind = "debug"       // a debug, test or diagnostic interface
	KindUpdate      Kind = "update"      // a channel by which others can change the product
	KindPrivilege   Kind = "privilege"   // setuid, sudo rule, capability, writable start-up file
	KindSensor      Kind = "sensor"      // code that captures camera, microphone, screen, location
	KindDestination Kind = "destination" // a fixed or observed outbound endpoint
	KindTransfer    Kind = "transfer"    // observed data leaving
	KindLogic       Kind = "logic"       // hardware logic that wakes on a rare condition, or leaks
	KindTracker     Kind = "tracker"     // a radio beacon that makes the product traceable
)

// Kinds lists every kind, in the order in which reports show them.
var Kinds = []Kind{
	KindAccount, KindKey, KindService, KindTrigger, KindDebug, KindUpdate,
	KindPrivilege, KindSensor, KindDestination, KindTransfer, KindLogic, KindTracker,
}

// Reach says from where a door can be used.
type Reach string

// From far to near.
const (
	Remote   Reach = "remote"
	Adjacent Reach = "adjacent"
	Local    Reach = "local"
	Physical Reach = "physical"
)

// Stage is one of the four stages of hidden access.
type Stage string

// The stages, in the order in which they happen.
const (
	Signal   Stage = "signal"   // what wakes it
	Access   Stage = "access"   // what it lets in
	Collect  Stage = "collect"  // what it takes
	Transmit Stage = "transmit" // how it sends
)

// Certainty says how strong the evidence is.
type Certainty string

// From strong to weak. A hint is never above medium weight.
const (
	Shown  Certainty = "shown"  // the evidence alone proves it
	Likely Certainty = "likely" // needs an assumption, named in the evidence's note
	Hint   Certainty = "hint"
)

// Status is what the declarations say of a door.
type Status string

// Contradicts means that a declaration states that there is no such door; it
// counts as undeclared.
const (
	Declared    Status = "declared"
	Undeclared  Status = "undeclared"
	Contradicts Status = "contradicts"
)

// Door is an access path of a product.
type Door struct {
	ID         string       `json:"id"`
	Kind       Kind         `json:"kind"`
	Title      string       `json:"title"` // one line, for a person
	Weight     Weight       `json:"weight"`
	Reach      Reach        `json:"reach"`
	Stages     []Stage      `json:"stages"`
	Certainty  Certainty    `json:"certainty"`
	Status     Status       `json:"status"`
	DeclaredBy *DeclaredBy  `json:"declared_by"`
	Denied     *DeclaredBy  `json:"denied_by,omitempty"`      // the claim that it contradicts
	AlsoDenied []DeclaredBy `json:"also_denied_by,omitempty"` // further ones
	Component  string       `json:"component,omitempty"`      // bom-ref of the innermost component that holds it
	Where      []Where      `json:"where"`                    // the most telling place first
	Evidence   []Evidence   `json:"evidence"`
	Check      string       `json:"check,omitempty"` // how to check it by hand, one or two sentences
	References []string     `json:"references,omitempty"`
	Detail     Detail       `json:"detail"`
	Detector   string       `json:"detector,omitempty"` // who found it
	Mark       *Mark        `json:"mark,omitempty"`     // what a reviewer said of it

	// Secrets are the strings of this door (passwords, hashes, tokens, key
	// blocks) that reports mask wherever they stand in it.
	Secrets []string `json:"-"`
}

// Where is a place in a product.
type Where struct {
	// Path leads there: the subject's name, then for each step a path inside a
	// file system, READER@0xOFFSET for a carved region, or READER:NAME for a
	// named part.
	Path     []string `json:"path"`
	SHA256   string   `json:"sha256,omitempty"` // of the innermost file's bytes
	Offset   *int64   `json:"offset,omitempty"` // in bytes, within the innermost part
	Address  string   `json:"address,omitempty"`
	Function string   `json:"function,omitempty"`
}

// Evidence is what shows that a door exists.
type Evidence struct {
	What   string `json:"what"`             // the text or bytes found
	Note   string `json:"note,omitempty"`   // why it matters
	Path   string `json:"path,omitempty"`   // file inside the product, if it is not that of where[0]
	Line   int    `json:"line,omitempty"`   // 1-based, for text
	Offset *int64 `json:"offset,omitempty"` // in bytes
}

// Detail holds the facts of a door by the keys of its kind (docs/report.md).
// Values are strings, integers, booleans or lists of strings. An unknown value
// is absent, not empty.
type Detail map[string]any

// Text returns the value of key as declarations and identities compare it.
func (d Detail) Text(key string) string {
	switch v := d[key].(type) {
	case nil:
		return ""
	case []string:
		return strings.Join(v, " ")
	case []any: // a list that was read from JSON
		words := make([]string, len(v))
		for i, x := range v {
			words[i] = fmt.Sprint(x)
		}
		return strings.Join(words, " ")
	case float64: // a number that was read from JSON
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// DeclaredBy names the narrowest claim that matched a door.
type DeclaredBy struct {
	Document string `json:"document"`
	Pointer  string `json:"pointer"` // JSON pointer within it
	Claim    string `json:"claim,omitempty"`
	Purpose  string `json:"purpose,omitempty"`
}

// Mark is a reviewer's judgement of a door; it survives new versions since it
// is matched by the door's id.
type Mark struct {
	State  string `json:"state"` // accepted or false-alarm
	Reason string `json:"reason"`
	Date   string `json:"date"` // YYYY-MM-DD
	By     string `json:"by,omitempty"`
}

// IdentityKeys are the keys of detail that tell one door of a kind from
// another. A declaration must give at least one of them.
var IdentityKeys = map[Kind][]string{
	KindAccount:     {"user"},
	KindKey:         {"fingerprint", "path"},
	KindService:     {"port", "program"},
	KindTrigger:     {"value-sha256", "program", "function"},
	KindDebug:       {"device", "path", "what"},
	KindUpdate:      {"host", "path"},
	KindPrivilege:   {"path"},
	KindSensor:      {"device", "program"},
	KindDestination: {"host"},
	KindTransfer:    {"device", "peer", "port"},
	KindLogic:       {"gates"},
	KindTracker:     {"radio", "id"},
}

// SetID computes the door's id: stable over versions of a product, since it
// leaves out the subject's name, regions and addresses.
func (d *Door) SetID() {
	parts := []string{string(d.Kind), d.InnerPath()}
	for _, key := range IdentityKeys[d.Kind] {
		parts = append(parts, d.identity(key))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	d.ID = "door-" + hex.EncodeToString(sum[:8])
}

func (d *Door) identity(key string) string {
	if key == "value-sha256" {
		return ValueSHA256(d)
	}
	return d.Detail.Text(key)
}

// InnerPath is the door's first place as a path inside the product: file
// system steps only, joined by "!" where one lies within another.
func (d *Door) InnerPath() string {
	if len(d.Where) == 0 {
		return ""
	}
	return d.Where[0].Inner()
}

// Inner is the path without the subject's name and without regions and parts.
func (w Where) Inner() string {
	if len(w.Path) == 0 {
		return ""
	}
	var files []string
	for _, step := range w.Path[1:] {
		if !IsRegionStep(step) {
			files = append(files, step)
		}
	}
	return strings.Join(files, "!")
}

// IsRegionStep tells READER@0xOFFSET and READER:NAME from a path in a file
// system. A file's name may look like one; then only ids lose a step.
func IsRegionStep(step string) bool {
	for i, c := range step {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
		case c == ':' && i > 0:
			return true
		case c == '@' && i > 0:
			return strings.HasPrefix(step[i:], "@0x")
		default:
			return false
		}
	}
	return false
}

// At gives a place with an offset.
func (w Where) At(offset int64) Where {
	w.Path = slices.Clone(w.Path)
	w.Offset = &offset
	return w
}

// ValueSHA256 is the digest of a trigger's value, in hex; "" without a value.
// A report whose secrets are masked keeps it as detail.value_sha256.
func ValueSHA256(d *Door) string {
	if sum := d.Detail.Text("value_sha256"); sum != "" {
		return sum
	}
	v := d.Detail.Text("value")
	if v == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(v))
	return hex.EncodeToString(sum[:])
}
