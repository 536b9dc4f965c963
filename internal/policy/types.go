package policy

import (
	"fmt"
	"time"

	"github.com/doorward/doorward"
)

// Schema is the value of a policy's "schema" key.
const Schema = "doorward/policy/v1"

// Date is a day, YYYY-MM-DD; "" is none.
type Date string

// Policy is an organisation's rules, and the shape of their YAML
// (docs/schema/policy-v1.json, docs/policy.md).
type Policy struct {
	Schema     string               `yaml:"schema"`
	Name       string               `yaml:"name"`
	Title      string               `yaml:"title"`
	Text       string               `yaml:"text"`
	Source     *Source              `yaml:"source"`
	Levels     []string             `yaml:"levels"` // data levels, lowest first
	Parameters map[string]Parameter `yaml:"parameters"`
	Essential  *Essential           `yaml:"essential"`
	Lists      map[string]*List     `yaml:"lists"`
	Rules      []*Rule              `yaml:"rules"`
	Exceptions *ExceptionRules      `yaml:"exceptions"`
	Keys       *Keys                `yaml:"keys"`

	sha256 string // of the file's bytes
}

// Source is where a rule or a list comes from.
type Source struct {
	Title     string `yaml:"title"`
	Publisher string `yaml:"publisher"`
	Section   string `yaml:"section"`
	URL       string `yaml:"url"`
	Date      Date   `yaml:"date"`   // of the version that was used
	SHA256    string `yaml:"sha256"` // of the document that was used
}

// Parameter is something on the product or its use that no inspection can find
// and the person who decides has to state (--set NAME=VALUE). What is not stated
// is not known.
type Parameter struct {
	Text   string   `yaml:"text"`
	Values []string `yaml:"values"` // empty: anything
}

// Essential says which components a rule means by "essential", besides the
// product as a whole.
type Essential struct {
	Types []string `yaml:"types"` // CycloneDX component types
	Names []string `yaml:"names"` // shell globs
}

// Period is when something holds.
type Period struct {
	Effective Date   `yaml:"effective"` // the first day
	Until     Date   `yaml:"until"`     // the last day
	Suspended []Span `yaml:"suspended"`
}

// Span is from one day to another, both included.
type Span struct {
	From   Date   `yaml:"from"`
	To     Date   `yaml:"to"`
	Reason string `yaml:"reason"`
}

// holds says that the period covers a day.
func (p Period) holds(at Date) bool {
	if p.Effective != "" && at < p.Effective || p.Until != "" && at > p.Until {
		return false
	}
	for _, s := range p.Suspended {
		if at >= s.From && (s.To == "" || at <= s.To) {
			return false
		}
	}
	return true
}

// List is a set of entities or countries that rules name.
type List struct {
	Title     string  `yaml:"title"`
	Of        string  `yaml:"of"` // entities or countries
	Source    *Source `yaml:"source"`
	Expires   Date    `yaml:"expires"` // from the day after on it must not be used: it has to be refreshed
	Entries   []Entry `yaml:"entries"`
	Effective Date    `yaml:"effective"`
	Until     Date    `yaml:"until"`
	Suspended []Span  `yaml:"suspended"`

	name string
	keys map[string][]int // entries by their keys
}

// Entry is one of a list: an entity under all its names, or a country.
type Entry struct {
	Name      string            `yaml:"name"`
	Aliases   []string          `yaml:"aliases"`
	IDs       map[string]string `yaml:"ids"` // lei, cage, duns ...
	Source    *Source           `yaml:"source"`
	Effective Date              `yaml:"effective"`
	Until     Date              `yaml:"until"`
	Suspended []Span            `yaml:"suspended"`
}

func (e *Entry) setName(s string) { e.Name = s }

// Effects of a rule.
const (
	Refuse    = "refuse"
	Condition = "condition"
	Permit    = "permit"
)

// Rule applies if all conditions that it names hold: it then refuses, permits,
// or permits under a condition. A rule without conditions always applies.
type Rule struct {
	ID        string   `yaml:"id"`
	Title     string   `yaml:"title"` // why, in words for a manager
	Text      string   `yaml:"text"`  // what to do
	Source    *Source  `yaml:"source"`
	Then      string   `yaml:"then"`
	From      string   `yaml:"from"`   // the lowest level at which it holds
	Levels    []string `yaml:"levels"` // or the levels, one by one
	Effective Date     `yaml:"effective"`
	Until     Date     `yaml:"until"`
	Suspended []Span   `yaml:"suspended"`

	Origin      *OriginCondition      `yaml:"origin"`
	Doors       *DoorCondition        `yaml:"doors"`
	Unread      *UnreadCondition      `yaml:"unread"`
	Declaration *DeclarationCondition `yaml:"declaration"`
	Components  *ComponentCondition   `yaml:"components"`
	When        string                `yaml:"when"` // CEL, on the product

	when *expression
}

// Which parts an origin condition looks at.
const (
	PartsAny        = "any"            // the product and all components
	PartsComponents = "components"     // all components
	PartsTop        = "top"            // the product as a whole
	PartsEssential  = "essential"      // the product and what Policy.Essential names
	PartsAccess     = "access-bearing" // those in which doors of weight low or above were found
)

var allParts = []string{PartsAny, PartsComponents, PartsTop, PartsEssential, PartsAccess}

// OriginCondition holds if parts come from, or do not come from, what lists
// name.
type OriginCondition struct {
	Axes     []doorward.Axis        `yaml:"axes"`
	Whose    []doorward.Axis        `yaml:"whose"` // of seats and owners: of the entities that do what
	Parts    string                 `yaml:"parts"`
	In       []string               `yaml:"in"`     // lists: holds for what is on one of them
	NotIn    []string               `yaml:"not_in"` // lists: holds for what is on none of them
	Known    bool                   `yaml:"known"`  // never holds, but is undetermined where the answer is not known
	Evidence doorward.EvidenceClass `yaml:"evidence"`
	Share    float64                `yaml:"share"`    // percent of a part from which on it counts; 0: any
	Owned    float64                `yaml:"owned"`    // percent from which on an entity counts as its owner
	OfParts  float64                `yaml:"of_parts"` // percent of the parts from which on it holds; 0: any
	When     string                 `yaml:"when"`     // CEL, on part: which parts are meant
	when     *expression
	lists    []*List
}

// DoorCondition holds if there are doors of this sort.
type DoorCondition struct {
	Kinds     []doorward.Kind      `yaml:"kinds"`
	Weight    doorward.Weight      `yaml:"weight"` // or above
	Reach     []doorward.Reach     `yaml:"reach"`
	Status    []doorward.Status    `yaml:"status"` // empty: undeclared and contradicts
	Certainty []doorward.Certainty `yaml:"certainty"`
	Stages    []doorward.Stage     `yaml:"stages"` // all of them
	MoreThan  int                  `yaml:"more_than"`
	When      string               `yaml:"when"` // CEL, on door
	when      *expression
}

// UnreadCondition holds if more than a share of the bytes could not be read.
type UnreadCondition struct {
	Over float64 `yaml:"over"` // percent
}

// DeclarationCondition holds if the maker's declaration is not there, or no key
// of Keys.Makers signed it.
type DeclarationCondition struct {
	Missing  bool `yaml:"missing"`
	Unsigned bool `yaml:"unsigned"`
}

// ComponentCondition holds if more than a share of the components lacks
// something.
type ComponentCondition struct {
	Without []string `yaml:"without"` // version, maker, purl, sha256
	Over    float64  `yaml:"over"`    // percent
}

// ExceptionRules say whether and how long exceptions hold under this policy.
type ExceptionRules struct {
	Allowed bool `yaml:"allowed"`
	MaxDays int  `yaml:"max_days"`
}

// Keys lists whom the organisation trusts, by key fingerprint (sha256: of the
// SubjectPublicKeyInfo).
type Keys struct {
	Approvers  []string `yaml:"approvers"`
	Requesters []string `yaml:"requesters"` // empty: anybody
	Makers     []string `yaml:"makers"`
	Deciders   []string `yaml:"deciders"`
}

// SHA256 is the digest of the policy's file.
func (p *Policy) SHA256() string { return p.sha256 }

func parseDate(d Date) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		return t, fmt.Errorf("%q is no date: write it as 2026-01-31", d)
	}
	return t, nil
}
