package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// CycloneDX attestations (specification 1.7, declarations and definitions).
type (
	cdxDeclarations struct {
		Assessors    []cdxAssessor    `json:"assessors"`
		Attestations []cdxAttestation `json:"attestations"`
		Claims       []cdxClaim       `json:"claims"`
		Evidence     []cdxProof       `json:"evidence"`
	}
	cdxAssessor struct {
		BOMRef       string `json:"bom-ref"`
		ThirdParty   bool   `json:"thirdParty"`
		Organization cdxOrg `json:"organization"`
	}
	cdxAttestation struct {
		Summary  string       `json:"summary"`
		Assessor string       `json:"assessor"`
		Map      []cdxAnswers `json:"map"`
	}
	cdxAnswers struct {
		Requirement string         `json:"requirement"`
		Claims      []string       `json:"claims"`
		Conformance cdxConformance `json:"conformance"`
	}
	cdxConformance struct {
		Score     int    `json:"score"`
		Rationale string `json:"rationale"`
	}
	cdxClaim struct {
		BOMRef          string   `json:"bom-ref"`
		Target          string   `json:"target"`
		Predicate       string   `json:"predicate"`
		Reasoning       string   `json:"reasoning"`
		CounterEvidence []string `json:"counterEvidence"`
	}
	cdxProof struct {
		BOMRef       string    `json:"bom-ref"`
		PropertyName string    `json:"propertyName"`
		Description  string    `json:"description"`
		Data         []cdxData `json:"data,omitempty"`
		Created      string    `json:"created,omitempty"`
	}
	cdxData struct {
		Name     string      `json:"name"`
		Contents cdxContents `json:"contents"`
	}
	cdxContents struct {
		Attachment cdxAttachment `json:"attachment"`
	}
	cdxAttachment struct {
		ContentType string `json:"contentType"`
		Content     string `json:"content"`
	}
	cdxDefinitions struct {
		Standards []cdxStandard `json:"standards"`
	}
	cdxStandard struct {
		BOMRef       string           `json:"bom-ref"`
		Name         string           `json:"name"`
		Version      string           `json:"version"`
		Description  string           `json:"description"`
		Owner        string           `json:"owner"`
		Requirements []cdxRequirement `json:"requirements"`
	}
	cdxRequirement struct {
		BOMRef     string `json:"bom-ref"`
		Identifier string `json:"identifier"`
		Title      string `json:"title"`
		Text       string `json:"text"`
	}
)

// cdxRequirements are what makers state of doors that are not there, by the
// words of docs/declare.md.
var cdxRequirements = []cdxRequirement{
	{"doorward-requirement-no-hidden-function", string(doorward.SaysNoHidden), "No hidden function",
		"Nothing in the product lets data flow out, manipulates it or lets it be injected without the owner's wish."},
	{"doorward-requirement-no-door", string(doorward.SaysNoDoor), "No door of a kind",
		"The product has no door of the kinds that the maker names."},
}

// contradictions gathers the claims that doors contradict.
type contradictions struct {
	cdxDeclarations
	product, date string
	at            map[string]int // the claim of a document and a pointer
}

// cdxContradicted gives the maker's claims that doors contradict, with these as
// counter-evidence, and says that the requirements behind them are not met; nil
// if there are none.
func cdxContradicted(r *doorward.Report, product string) (*cdxDeclarations, *cdxDefinitions) {
	c := &contradictions{product: product, at: map[string]int{}}
	if r.Date != "" {
		c.date = r.Date + "T00:00:00Z"
	}
	doors := map[string]bool{}
	for i := range r.Doors {
		d := &r.Doors[i]
		if d.Denied == nil || doors[d.ID] {
			continue
		}
		doors[d.ID] = true
		proof := c.proof(d)
		c.contradict(d.Denied, proof)
		for j := range d.AlsoDenied {
			c.contradict(&d.AlsoDenied[j], proof)
		}
	}
	if len(c.Claims) == 0 {
		return nil, nil
	}
	return c.attest()
}

// proof makes a door a piece of evidence that a person can check by hand.
func (c *contradictions) proof(d *doorward.Door) string {
	p := cdxProof{
		BOMRef: "doorward-evidence-" + d.ID, PropertyName: "doorward:report:door", Created: c.date,
		Description: fmt.Sprintf("%s %s, %s: %s", d.Weight, d.Kind, d.Certainty, plain(d.Title)),
	}
	for _, w := range d.Where {
		p.Data = append(p.Data, textData("where", placeText(w)))
	}
	for _, e := range d.Evidence {
		p.Data = append(p.Data, textData(firstOf(plain(e.Note), "found"), plain(e.What)))
	}
	c.Evidence = append(c.Evidence, p)
	return p.BOMRef
}

func textData(name, text string) cdxData {
	return cdxData{name, cdxContents{cdxAttachment{"text/plain", text}}}
}

// placeText is a place in words.
func placeText(w doorward.Where) string {
	var steps []string
	for _, s := range w.Path {
		steps = append(steps, plain(s))
	}
	text := strings.Join(steps, " > ")
	if w.Offset != nil {
		text += fmt.Sprintf(", offset %d", *w.Offset)
	}
	for _, x := range [][2]string{{"address", w.Address}, {"function", w.Function}, {"SHA-256", w.SHA256}} {
		if x[1] != "" {
			text += ", " + x[0] + " " + plain(x[1])
		}
	}
	return text
}

func (c *contradictions) contradict(by *doorward.DeclaredBy, proof string) {
	key := by.Document + "\x00" + by.Pointer
	n, ok := c.at[key]
	if !ok {
		n = len(c.Claims)
		c.at[key] = n
		c.Claims = append(c.Claims, cdxClaim{
			BOMRef: fmt.Sprintf("doorward-claim-%d", n+1), Target: c.product, Predicate: plain(by.Claim),
			Reasoning: "stated in " + plain(by.Document) + " at " + plain(by.Pointer),
		})
	}
	if !slices.Contains(c.Claims[n].CounterEvidence, proof) {
		c.Claims[n].CounterEvidence = append(c.Claims[n].CounterEvidence, proof)
	}
}

// attest maps the requirements to the claims that do not hold.
func (c *contradictions) attest() (*cdxDeclarations, *cdxDefinitions) {
	const assessor = "doorward-assessor"
	c.Assessors = []cdxAssessor{{assessor, true, cdxOrg{Name: "Doorward"}}}
	a := cdxAttestation{Summary: "Doors were found that contradict " + count(len(c.Claims), "claim", "claims") + " of the maker.", Assessor: assessor}
	standard := cdxStandard{
		BOMRef: "doorward-standard", Name: "Statements on doors", Version: "1", Owner: "Doorward",
		Description: "What a maker can state of doors that its product does not have.",
	}
	for _, req := range cdxRequirements {
		var claims []string
		doors := map[string]bool{}
		for _, claim := range c.Claims {
			if says, _, _ := strings.Cut(claim.Predicate, " "); says == req.Identifier {
				claims = append(claims, claim.BOMRef)
				for _, proof := range claim.CounterEvidence {
					doors[proof] = true
				}
			}
		}
		if len(claims) == 0 {
			continue
		}
		standard.Requirements = append(standard.Requirements, req)
		a.Map = append(a.Map, cdxAnswers{req.BOMRef, claims, cdxConformance{0, "contradicted by " + count(len(doors), "undeclared door", "undeclared doors")}})
	}
	c.Attestations = []cdxAttestation{a}
	return &c.cdxDeclarations, &cdxDefinitions{[]cdxStandard{standard}}
}
