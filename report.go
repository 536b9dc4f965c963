package doorward

// ReportSchema is the value of a report's "schema" key.
const ReportSchema = "doorward/report/v1"

// Report is what an inspection says, and the shape of its JSON, version 1
// (docs/schema/report-v1.json). Readers ignore keys that they do not know.
type Report struct {
	Schema       string           `json:"schema"`
	Tool         Tool             `json:"tool"`
	Subject      Subject          `json:"subject"`
	Summary      Summary          `json:"summary"`
	Doors        []Door           `json:"doors"`
	Coverage     []Coverage       `json:"coverage"`
	Components   []Component      `json:"components"`
	Origins      []OriginFact     `json:"origins"`
	Entities     []Entity         `json:"entities,omitempty"` // whom the origin facts name
	Unread       []Unread         `json:"unread"`
	Declarations []DeclarationUse `json:"declarations"`
	Decision     *Decision        `json:"decision"`
	Layout       *Part            `json:"layout,omitempty"`
	Alterations  *Alterations     `json:"alterations,omitempty"` // nil without a package database
	Date         string           `json:"date,omitempty"`        // of --at; empty if times are left out
}

// Tool says what made the report.
type Tool struct {
	Version   string        `json:"version"`
	Detectors []DetectorRun `json:"detectors"`
	Seconds   float64       `json:"seconds,omitempty"`
}

// DetectorRun is how one detector fared.
type DetectorRun struct {
	Name    string  `json:"name"`
	Status  string  `json:"status"` // ran, failed, over-budget
	Error   string  `json:"error,omitempty"`
	Doors   int     `json:"doors"`
	Seconds float64 `json:"seconds,omitempty"`
}

// Subject is the artifact that was inspected.
type Subject struct {
	Name    string `json:"name"`
	SHA256  string `json:"sha256"`
	Size    int64  `json:"size"` // bytes
	Kind    string `json:"kind"` // firmware, package, container, directory, program, unknown
	Format  string `json:"format,omitempty"`
	Product string `json:"product,omitempty"` // what the artifact itself says that it is
	Version string `json:"version,omitempty"`
	Maker   string `json:"maker,omitempty"`
}

// Summary counts. Weight counts undeclared doors only (contradicting ones are
// undeclared too).
type Summary struct {
	Doors       int            `json:"doors"`
	Undeclared  int            `json:"undeclared"`
	Contradicts int            `json:"contradicts"`
	Weight      map[Weight]int `json:"weight"`
	Files       int            `json:"files"`
	ReadBytes   int64          `json:"read_bytes"`
	UnreadBytes int64          `json:"unread_bytes"`
}

// Coverage says, for one kind, what was looked at and how much, so that
// "found none" is said and not left to guess.
type Coverage struct {
	Kind      Kind     `json:"kind"`
	Detectors []string `json:"detectors"`
	LookedAt  string   `json:"looked_at"` // in words, with counts
	Found     int      `json:"found"`
}

// Unread is a part of the artifact that could not be read.
type Unread struct {
	Path    []string `json:"path"`
	Offset  int64    `json:"offset"` // bytes, within the part that Path names
	Size    int64    `json:"size"`   // bytes
	Reason  string   `json:"reason"` // encrypted, compressed, unknown, limit, damaged, unsupported
	Note    string   `json:"note,omitempty"`
	Entropy float64  `json:"entropy,omitempty"` // bits per byte

	Partition string `json:"partition,omitempty"` // of the flash, by its name
}

// Part is a piece of the layout picture: what lies within what.
type Part struct {
	Name    string  `json:"name"`   // the path step
	Format  string  `json:"format"` // squashfs, uimage, padding, unread ...
	Offset  int64   `json:"offset"` // bytes, within the enclosing part
	Size    int64   `json:"size"`   // bytes
	Files   int     `json:"files,omitempty"`
	Parts   []*Part `json:"parts,omitempty"`
	Unread  bool    `json:"unread,omitempty"`
	Entropy float64 `json:"entropy,omitempty"`

	Partition string `json:"partition,omitempty"` // of the flash that it lies in, by its name
}

// Component is an identified part of an artifact.
type Component struct {
	BOMRef  string            `json:"bom_ref"`
	Type    string            `json:"type,omitempty"` // CycloneDX: library, application, operating-system, firmware, ...
	Name    string            `json:"name"`
	Version string            `json:"version,omitempty"`
	PURL    string            `json:"purl,omitempty"`
	CPE     string            `json:"cpe,omitempty"`
	Maker   string            `json:"maker,omitempty"`
	SHA256  string            `json:"sha256,omitempty"`
	Where   []Where           `json:"where"`
	Found   string            `json:"found,omitempty"`  // by what: dpkg, opkg, apk, rpm, content, buildinfo
	Parent  string            `json:"parent,omitempty"` // bom_ref of the component it lies in
	Detail  map[string]string `json:"detail,omitempty"` // e.g. arch, libc, build-id, hardening
}

// DeclarationUse is one claim of a declaration and what became of it.
type DeclarationUse struct {
	Document string `json:"document"`
	SHA256   string `json:"sha256"`
	Pointer  string `json:"pointer"`
	Text     string `json:"text"`
	Matched  int    `json:"matched"`        // doors
	Note     string `json:"note,omitempty"` // mismatched, unbound, expired, conflict
}
