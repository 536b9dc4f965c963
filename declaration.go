package doorward

// Declaration is a document in which a maker states what its product does.
type Declaration struct {
	Document string // file name
	SHA256   string // of the document
	Format   string // cyclonedx, mud, spdx or tcg-platform-certificate
	Subject  DeclaredSubject
	Claims   []Claim
	SBOMs    []string // where the maker says that the SBOM is (RFC 9472)

	Origins    []OriginFact // subjects are ProductSubject, EntitySubject or the bom_ref of one of Components
	Components []Component  // of which the document says who is behind them
}

// DeclaredSubject is the product that a declaration names.
type DeclaredSubject struct {
	Name     string
	Versions []string // any of them may be the inspected one's
	SHA256   []string
}

// Says is what sort of statement a claim is.
type Says string

// The statements of a declaration.
const (
	SaysDoor     Says = "doorward:door"               // there is this door
	SaysNoDoor   Says = "doorward:no-door"            // there is no door of these kinds
	SaysNoHidden Says = "doorward:no-hidden-function" // no unwanted outflow, manipulation or injection of data
)

// Claim is one statement of a declaration.
type Claim struct {
	Pointer string // JSON pointer in the document
	Text    string // as the maker wrote it
	Says    Says
	Kinds   []Kind     // the one kind of a door; the kinds that are denied
	Pairs   []Pair     // all must match; without purpose and until
	Within  *Component // only doors in this component; nil for the whole product
	Purpose string
	Until   string // YYYY-MM-DD, the last day on which it holds
	Note    string // what the reader has to say of it
}

// Pair is a key of a claim and the value that a door must have. Of a MUD file
// the value of port may be a range (1000-2000), that of host a network
// (192.0.2.0/24) or LocalNetworks.
type Pair struct {
	Key   string
	Value string
}

// LocalNetworks, as the host of a claim, stands for any address of the
// networks that the product is attached to (RFC 8520, section 3.10).
const LocalNetworks = "local-networks"

// HasGlob says that the path of a claim has a wildcard that no backslash
// escapes.
func HasGlob(path string) bool {
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '\\':
			i++
		case '*', '?', '[':
			return true
		}
	}
	return false
}

// ToState is the purpose that a drafted declaration gives to every door, for the
// maker to replace. Until then the line declares nothing.
const ToState = "to be stated by the maker"
