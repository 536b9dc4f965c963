package report

import (
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// writeSARIF writes SARIF 2.1.0 (OASIS): a rule per kind, a result per door. A
// declared door and one that a reviewer accepted are suppressed results.
func writeSARIF(w io.Writer, r *doorward.Report) error {
	return encode(w, sarifLog{
		Schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json", Version: "2.1.0",
		Runs: []sarifRun{sarifOf(r, nil)},
	})
}

type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Properties  map[string]any    `json:"properties,omitempty"` // the decision, if there is one
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Artifacts   []sarifArtifact   `json:"artifacts,omitempty"`
		Results     []sarifResult     `json:"results"`
		Taxonomies  []sarifComponent  `json:"taxonomies,omitempty"`
		ColumnKind  string            `json:"columnKind"`
	}
	sarifTool struct {
		Driver sarifComponent `json:"driver"`
	}
	sarifComponent struct {
		Name         string      `json:"name"`
		Organization string      `json:"organization,omitempty"`
		Version      string      `json:"version,omitempty"`
		Rules        []sarifRule `json:"rules,omitempty"`
		Taxa         []sarifRule `json:"taxa,omitempty"`
	}
	sarifRule struct {
		ID         string         `json:"id"`
		Name       string         `json:"name,omitempty"`
		Short      *sarifText     `json:"shortDescription,omitempty"`
		Full       *sarifText     `json:"fullDescription,omitempty"`
		Properties map[string]any `json:"properties,omitempty"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
	}
	sarifArtifact struct {
		Location sarifURI          `json:"location"`
		Length   int64             `json:"length"`
		Hashes   map[string]string `json:"hashes,omitempty"`
	}
	sarifURI struct {
		URI string `json:"uri"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Rank         float64            `json:"rank"`
		Message      sarifText          `json:"message"`
		Baseline     string             `json:"baselineState,omitempty"`
		Locations    []sarifLocation    `json:"locations"`
		Related      []sarifLocation    `json:"relatedLocations,omitempty"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
		Taxa         []sarifReference   `json:"taxa,omitempty"`
		Properties   map[string]any     `json:"properties"`
	}
	sarifReference struct {
		ID            string         `json:"id"`
		ToolComponent map[string]any `json:"toolComponent"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
	sarifLocation struct {
		ID       int            `json:"id,omitempty"`
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
		Message  *sarifText     `json:"message,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifURI     `json:"artifactLocation"`
		Region   *sarifRegion `json:"region,omitempty"`
	}
	sarifRegion struct {
		StartLine  int    `json:"startLine,omitempty"`
		ByteOffset *int64 `json:"byteOffset,omitempty"`
		ByteLength *int64 `json:"byteLength,omitempty"`
	}
	sarifLogical struct {
		Name          string `json:"name,omitempty"`
		QualifiedName string `json:"fullyQualifiedName"`
		Kind          string `json:"kind"`
	}
)

// sarifOf makes a run of a report; baseline gives the baseline state of a door,
// if the report is held against another.
func sarifOf(r *doorward.Report, baseline func(d *doorward.Door) string) sarifRun {
	run := sarifRun{
		Tool:        sarifTool{sarifComponent{Name: "Doorward", Version: plain(r.Tool.Version), Rules: sarifRules()}},
		Invocations: []sarifInvocation{sarifInvoked(r)},
		Results:     []sarifResult{}, ColumnKind: "unicodeCodePoints",
	}
	if r.Decision != nil {
		run.Properties = map[string]any{"decision": completeDecision(r.Decision)}
	}
	if r.Subject.Name != "" {
		a := sarifArtifact{Location: sarifURI{fileURI(r.Subject.Name)}, Length: r.Subject.Size}
		if r.Subject.SHA256 != "" {
			a.Hashes = map[string]string{"sha-256": r.Subject.SHA256}
		}
		run.Artifacts = []sarifArtifact{a}
	}
	var weaknesses []sarifRule
	for i := range r.Doors {
		result := sarifDoor(&r.Doors[i])
		if baseline != nil {
			result.Baseline = baseline(&r.Doors[i])
		}
		run.Results = append(run.Results, result)
		for _, t := range result.Taxa {
			if !slices.ContainsFunc(weaknesses, func(w sarifRule) bool { return w.ID == t.ID }) {
				weaknesses = append(weaknesses, sarifRule{ID: t.ID})
			}
		}
	}
	if weaknesses != nil {
		slices.SortFunc(weaknesses, func(a, b sarifRule) int { return strings.Compare(a.ID, b.ID) })
		run.Taxonomies = []sarifComponent{{Name: "CWE", Organization: "MITRE", Taxa: weaknesses}}
	}
	return run
}

// meaning says in words what each kind of door is.
var meaning = map[doorward.Kind]string{
	doorward.KindAccount:     "A login with a usable or fixed credential",
	doorward.KindKey:         "An embedded private key, authorised key, shared secret or trusted certificate",
	doorward.KindService:     "A network listener that the product starts",
	doorward.KindTrigger:     "An input or signal that unlocks functionality",
	doorward.KindDebug:       "A debug, test or diagnostic interface",
	doorward.KindUpdate:      "A channel by which others can change the product",
	doorward.KindPrivilege:   "A way to more rights on the product: setuid, sudo rule, capability, writable start-up file",
	doorward.KindSensor:      "Code or an event that captures camera, microphone, screen or location",
	doorward.KindDestination: "A fixed or observed outbound endpoint",
	doorward.KindTransfer:    "Observed data leaving",
	doorward.KindLogic:       "Hardware logic that wakes on a rare condition, or leaks",
	doorward.KindTracker:     "A radio beacon that makes the product traceable",
}

func sarifRules() []sarifRule {
	var rules []sarifRule
	for _, k := range doorward.Kinds {
		rules = append(rules, sarifRule{
			ID: string(k), Name: strings.ToUpper(string(k[0])) + string(k[1:]),
			Short: &sarifText{meaning[k] + "."},
			Full:  &sarifText{meaning[k] + ". A door is an access path: any means by which someone can get into the product, or data can get out of it. Ask the maker what it is for."},
		})
	}
	return rules
}

// sarifInvoked tells detectors that failed and parts that were not read.
func sarifInvoked(r *doorward.Report) sarifInvocation {
	v := sarifInvocation{Successful: true}
	for _, d := range r.Tool.Detectors {
		if d.Status != "ran" && d.Status != "" {
			v.Successful = false
			v.Notifications = append(v.Notifications, sarifNotification{Level: "error", Message: message("detector " + d.Name + " " + d.Status + ": " + d.Error)})
		}
	}
	for _, u := range r.Unread {
		n := sarifNotification{Level: "warning", Message: message("not read: " + u.Reason + ", " + size(u.Size) + ". " + u.Note)}
		if len(u.Path) > 0 {
			n.Locations = []sarifLocation{locate(doorward.Where{Path: u.Path})}
		}
		v.Notifications = append(v.Notifications, n)
	}
	return v
}

// message makes a text safe as a SARIF message: [text](link) would be a link.
func message(s string) sarifText {
	return sarifText{strings.ReplaceAll(plainLines(s), "](", `]\(`)}
}

func plainLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = plain(lines[i])
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// fileURI writes a path as a relative URI reference.
func fileURI(path string) string {
	u := (&url.URL{Path: strings.ToValidUTF8(path, "\uFFFD")}).EscapedPath()
	if strings.HasPrefix(u, "/") || strings.Contains(strings.Split(u, "/")[0], ":") {
		return "./" + strings.TrimLeft(u, "/")
	}
	return u
}
