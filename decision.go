package doorward

// DecisionSchema is the value of a decision's "schema" key.
const DecisionSchema = "doorward/decision/v1"

// Result is what a decision comes to.
type Result string

// The results, from yes to no. Refuse and Undetermined rank equal: neither lets
// a product in.
const (
	Admit        Result = "admit"
	Conditional  Result = "conditional" // admitted, if conditions are kept
	Undetermined Result = "undetermined"
	Refuse       Result = "refuse"
)

// Rank orders results by how far they let a product in: admit is 2, conditional
// 1, the others 0.
func (r Result) Rank() int {
	switch r {
	case Admit:
		return 2
	case Conditional:
		return 1
	}
	return 0
}

// Decision is what the organisation's rules say of the product at one level.
// The same inputs give the same bytes.
type Decision struct {
	Schema       string             `json:"schema,omitempty"` // where it stands alone
	Level        string             `json:"level"`
	Result       Result             `json:"result"`
	At           string             `json:"at,omitempty"` // the day on which lists, facts and exceptions were judged
	Policy       string             `json:"policy,omitempty"`
	PolicySHA256 string             `json:"policy_sha256"`
	Subjects     []DecisionSubject  `json:"subjects,omitempty"`
	Inputs       []DecisionInput    `json:"inputs,omitempty"`
	Parameters   map[string]string  `json:"parameters,omitempty"` // what the one who decided stated
	Reasons      []Reason           `json:"reasons"`
	Conditions   []string           `json:"conditions,omitempty"` // what must be kept, in words
	WouldChange  []string           `json:"would_change"`         // the smallest set of facts that would change the result
	Exceptions   []ExceptionUse     `json:"exceptions,omitempty"`
	Rules        map[string]Outcome `json:"rules,omitempty"` // every rule that holds at this level
}

// DecisionSubject is an artifact of the product that was decided on.
type DecisionSubject struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// DecisionInput is a file that the decision was made of.
type DecisionInput struct {
	Role   string `json:"role"` // policy, report, facts, declaration, exception, key
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // of the file's bytes
}

// Outcome is what a rule came to.
type Outcome string

// A rule applies, does not apply, or can't be told.
const (
	Applies   Outcome = "applies"
	NotMet    Outcome = "does not apply"
	NotKnown  Outcome = "not known"
	Suspended Outcome = "not in force"
)

// Reason is one rule that decided.
type Reason struct {
	Rule   string   `json:"rule"`
	Effect string   `json:"effect,omitempty"` // refuse, condition, permit
	Known  Outcome  `json:"outcome,omitempty"`
	Text   string   `json:"text"`
	Facts  []string `json:"facts"` // ids of facts and doors, and the questions that no fact answers
	Source string   `json:"source,omitempty"`
}

// ExceptionUse is an exception that was shown to a decision, and what became of
// it.
type ExceptionUse struct {
	ID       string   `json:"id"`
	State    string   `json:"state"` // used, expired, unmatched, refused
	Why      string   `json:"why,omitempty"`
	Until    string   `json:"until"`
	Covers   []string `json:"covers,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Approver string   `json:"approver,omitempty"`
}

// Exception lets findings pass for one product, at one level, under one policy,
// until a day. Two keys stand behind it, and they are not the same.
type Exception struct {
	ID           string   `json:"id"`       // exception-… of its statement
	Products     []string `json:"products"` // SHA-256 of every artifact of the product
	Findings     []string `json:"findings"` // ids of doors, or rule:ID
	PolicySHA256 string   `json:"policy_sha256"`
	Level        string   `json:"level"`
	Reason       string   `json:"reason"`
	Issued       string   `json:"issued"` // YYYY-MM-DD
	Until        string   `json:"until"`  // YYYY-MM-DD, the last day

	// The keys whose signatures over it were checked, as fingerprints
	// (sha256:HEX of the SubjectPublicKeyInfo); "" if there is none.
	Requester string `json:"requester"`
	Approver  string `json:"approver"`
}
