package doorward

// ComparisonSchema is the value of a comparison's "schema" key.
const ComparisonSchema = "doorward/comparison/v1"

// Comparison is what differs between a reference and what was received, and
// the shape of its JSON, version 1 (docs/schema/comparison-v1.json).
type Comparison struct {
	Schema     string            `json:"schema"`
	Tool       Tool              `json:"tool"`
	Reference  Subject           `json:"reference"`
	Received   Subject           `json:"received"`
	Summary    ComparisonSummary `json:"summary"`
	Doors      []DoorChange      `json:"doors"`
	Components []ComponentChange `json:"components"`
	Files      []FileChange      `json:"files"`
	Unread     []Unread          `json:"unread"` // of what was received
	Layout     *Part             `json:"layout,omitempty"`
	Date       string            `json:"date,omitempty"`
}

// Difference says what happened to a thing between the reference and the received.
type Difference string

// The differences.
const (
	Added   Difference = "added"
	Removed Difference = "removed"
	Changed Difference = "changed"
)

// Differences lists them in the order in which they are reported.
var Differences = []Difference{Added, Changed, Removed}

// ComparisonSummary counts changes; those that did not change are not in it.
type ComparisonSummary struct {
	Doors       map[Difference]int `json:"doors"`
	Components  map[Difference]int `json:"components"`
	Files       map[Difference]int `json:"files"`
	Weight      map[Weight]int     `json:"weight"`       // of undeclared doors that were added or became worse
	UnreadBytes int64              `json:"unread_bytes"` // of what was received
	Unchanged   int                `json:"unchanged"`    // doors
}

// DoorChange is a door that was added, removed or changed. Door is as received,
// of a removed one as it was.
type DoorChange struct {
	Change Difference `json:"change"`
	Door   Door       `json:"door"`
	Was    *Door      `json:"was,omitempty"`
	What   []string   `json:"what,omitempty"`  // what changed, in words
	Worse  bool       `json:"worse,omitempty"` // heavier than before, nearer to everybody, or no longer declared
}

// ComponentChange is a component that was added, removed or changed.
type ComponentChange struct {
	Change    Difference `json:"change"`
	Component Component  `json:"component"`
	Was       *Component `json:"was,omitempty"`
	What      []string   `json:"what,omitempty"`
}

// FileChange is a file that was added, removed or changed.
type FileChange struct {
	Change Difference `json:"change"`
	Path   string     `json:"path"` // inside the product, without regions
	SHA256 string     `json:"sha256,omitempty"`
	Size   int64      `json:"size"`          // bytes
	Was    string     `json:"was,omitempty"` // the digest before
	What   []string   `json:"what,omitempty"`
}
