package report

import (
	"crypto/sha256"
	_ "embed" // the page's template, style and script
	"encoding/base64"
	"fmt"
	"html/template"
	"io"

	"github.com/doorward/doorward"
)

//go:embed page/page.html
var pageHTML string

//go:embed page/page.css
var pageCSS string

//go:embed page/page.js
var pageJS string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// page is what the template shows. All its texts are plain: control characters
// and marks that turn the direction of writing are escapes; the template
// escapes the rest.
type page struct {
	CSP         string
	CSS         template.CSS
	JS          template.JS
	Version     string
	Name        string
	Kind        string
	Says        string
	Facts       []string
	Count       int
	Say         string
	Contradicts string
	Weights     []filter
	Warnings    []string
	Decisions   []decisionView // one a level
	HasDoors    bool           // it is about a report, not about decisions alone
	Map         *mapView
	Filters     [][]filter
	Groups      []group
	Next        []string
	Tables      []table
}

type filter struct {
	Field, Value, Dot string
	N                 int
}

type group struct {
	Title string
	Doors []doorView
}

type table struct {
	Title string
	N     string
	Head  []head
	Rows  [][]cell
}

type head struct {
	Text string
	Num  bool
}

type cell struct{ Text, Small, Class string }

// writeHTML writes one file that asks nothing of any other place: its policy
// allows the one style and the one script that it holds, by their digests, so
// that nothing else runs even if an artifact's text got through as markup.
func writeHTML(w io.Writer, r *doorward.Report) error {
	p := pageOf(r)
	p.seal()
	return pageTemplate.Execute(w, p)
}

// seal puts style and script in and computes the policy that allows them.
func (p *page) seal() {
	css := pageCSS
	if p.Map != nil {
		css += p.Map.css()
	}
	p.CSS, p.JS = template.CSS(css), template.JS(pageJS)
	p.CSP = fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; base-uri 'none'; form-action 'none'", digest(css), digest(pageJS))
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func pageOf(r *doorward.Report) *page {
	s := r.Subject
	p := &page{
		Version: plain(r.Tool.Version), Name: plain(firstOf(s.Name, "no name")), Kind: plain(s.Kind), Says: plain(subjectSays(s)),
		Count: r.Summary.Undeclared, Next: nextSteps(r),
	}
	if r.Decision != nil {
		p.Decisions = []decisionView{viewDecision(r.Decision, About{Reports: []*doorward.Report{r}})}
	}
	p.Facts = subjectFacts(r)
	p.verdict(r)
	p.HasDoors = true
	parts := newPartFinder(r)
	p.Map = parts.view(r)
	p.doors(r, parts)
	p.Filters = filters(r)
	p.tables(r)
	return p
}

func subjectFacts(r *doorward.Report) []string {
	var facts []string
	s := r.Subject
	if s.Format != "" && s.Format != s.Kind {
		facts = append(facts, plain(s.Format))
	}
	facts = append(facts, size(s.Size))
	if r.Summary.Files > 0 {
		facts = append(facts, count(r.Summary.Files, "file", "files"))
	}
	if s.SHA256 != "" {
		facts = append(facts, "SHA-256 "+plain(s.SHA256))
	}
	if r.Date != "" {
		facts = append(facts, plain(r.Date))
	}
	return append(facts, "Doorward "+plain(r.Tool.Version))
}

func (p *page) verdict(r *doorward.Report) {
	s := r.Summary
	switch {
	case s.Doors == 0:
		p.Say = "No door was found"
	case s.Undeclared == 0:
		p.Say = fmt.Sprintf("undeclared: %s declared", count(s.Doors, "the one door is", "doors, all"))
	default:
		p.Say = fmt.Sprintf("of %s undeclared", undeclaredOf(s))
		for _, w := range doorward.Weights {
			if n := s.Weight[w]; n > 0 {
				p.Weights = append(p.Weights, filter{Value: string(w), N: n})
			}
		}
	}
	if s.Contradicts > 0 {
		p.Contradicts = count(s.Contradicts, "of them contradicts", "of them contradict") + " what the maker declares"
	}
	if s.UnreadBytes > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%s could not be read and may hold further doors: see below.", size(s.UnreadBytes)))
	}
	if says := altered(r.Alterations); says != "" {
		p.Warnings = append(p.Warnings, says+": see below.")
	}
	for _, d := range r.Tool.Detectors {
		if d.Status != "ran" && d.Status != "" {
			p.Warnings = append(p.Warnings, plain(fmt.Sprintf("The detector %s did not finish and may have missed doors (%s).", d.Name, d.Error)))
		}
	}
}

// filters are the chips by which doors can be chosen, those of each field that
// occur.
func filters(r *doorward.Report) [][]filter {
	n := map[string]int{}
	for i := range r.Doors {
		d := completeDoor(r.Doors[i])
		n["s"+string(d.Status)]++
		n["w"+string(d.Weight)]++
		n["k"+string(d.Kind)]++
	}
	var groups [][]filter
	add := func(field string, values []string, dot bool) {
		var list []filter
		for _, v := range values {
			if n[field+v] > 0 {
				f := filter{Field: field, Value: v, N: n[field+v]}
				if dot {
					f.Dot = v
				}
				list = append(list, f)
			}
		}
		if list != nil {
			groups = append(groups, list)
		}
	}
	add("s", []string{"contradicts", "undeclared", "declared"}, true)
	add("w", texts(doorward.Weights), false)
	add("k", texts(doorward.Kinds), false)
	return groups
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = string(x)
	}
	return out
}
