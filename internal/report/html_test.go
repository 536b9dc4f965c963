package report_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/report"
)

// between returns what stands between two marks.
func between(t *testing.T, s, open, end string) string {
	t.Helper()
	_, rest, ok := strings.Cut(s, open)
	inner, _, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%q … %q is not in the page", open, end)
	}
	return inner
}

// The policy allows nothing but the page's own style and script, by digest: an
// artifact's text that got through as markup would still not run.
func TestPolicy(t *testing.T) {
	page := string(written(t, "html", sample(t), report.Options{}))
	policy := between(t, page, `http-equiv="Content-Security-Policy" content="`, `"`)
	policy = strings.NewReplacer("&#39;", "'", "&#43;", "+").Replace(policy)
	for tag, directive := range map[string]string{"style": "style-src", "script": "script-src"} {
		sum := sha256.Sum256([]byte(between(t, page, "<"+tag+">", "</"+tag+">")))
		if want := directive + " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %q", policy, want)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("the policy is %q", policy)
	}
	if n := strings.Count(page, "<script") + strings.Count(page, "<style"); n != 2 {
		t.Errorf("%d scripts and styles in the page, want one each", n)
	}
}

var (
	quoted  = regexp.MustCompile(`"[^"]*"`) // attribute values
	loads   = regexp.MustCompile(`(?i)<[^>]*\s(src|href|action|srcset|poster|data|background)\s*=`)
	inlined = regexp.MustCompile(`(?i)<[^>]*\s(style|on[a-z]+)\s*=`)
	urls    = regexp.MustCompile(`(?i)@import|url\(|fetch\(|XMLHttpRequest|sendBeacon|WebSocket|import\(`)
)

// Nothing in the page asks for anything outside of it, whatever the artifact's
// names are.
func TestPageIsSelfContained(t *testing.T) {
	for _, r := range []*doorward.Report{sample(t), hostile(), nasty(), {}} {
		page := string(written(t, "html", r, report.Options{}))
		style, script := between(t, page, "<style>", "</style>"), between(t, page, "<script>", "</script>")
		page = quoted.ReplaceAllString(strings.Replace(page, script, "", 1), `""`)
		if m := loads.FindString(page); m != "" {
			t.Errorf("the page may load something: %s", m)
		}
		if m := inlined.FindString(page); m != "" {
			t.Errorf("an element has an inline style or handler: %s", m)
		}
		if m := urls.FindString(style + script); m != "" {
			t.Errorf("style or script use %s", m)
		}
	}
}

const evil = "</script></style>\"'><img src=x onerror=alert(1)><svg onload=alert(2)>\u202e{{.}}\x1b[2J\x00"

// nasty has markup in every text.
func nasty() *doorward.Report {
	claim := &doorward.DeclaredBy{Document: evil, Pointer: evil, Claim: evil, Purpose: evil}
	where := []doorward.Where{{Path: []string{evil, "squashfs@0x0", evil}, Address: evil, Function: evil}}
	r := &doorward.Report{
		Tool:    doorward.Tool{Version: evil, Detectors: []doorward.DetectorRun{{Name: evil, Status: evil, Error: evil}}},
		Subject: doorward.Subject{Name: evil, SHA256: evil, Kind: evil, Format: evil, Product: evil, Version: evil, Maker: evil}, Date: evil,
		Doors: []doorward.Door{{
			ID: evil, Kind: doorward.Kind(evil), Title: evil, Weight: doorward.Weight(evil), Reach: doorward.Reach(evil), Status: doorward.Status(evil),
			Certainty: doorward.Certainty(evil), DeclaredBy: claim, Denied: claim, Component: evil, Where: where,
			Evidence: []doorward.Evidence{{What: evil, Note: evil, Path: evil, Line: 1}}, Check: evil, References: []string{evil},
			Detail: doorward.Detail{evil: evil, "list": []string{evil}}, Detector: evil, Mark: &doorward.Mark{State: evil, Reason: evil, Date: evil, By: evil},
		}},
		Coverage:   []doorward.Coverage{{Kind: doorward.Kind(evil), Detectors: []string{evil}, LookedAt: evil}},
		Components: []doorward.Component{{BOMRef: evil, Name: evil, Version: evil, PURL: evil, Where: where, Found: evil}},
		Unread:     []doorward.Unread{{Path: []string{evil}, Reason: evil, Note: evil}}, Declarations: []doorward.DeclarationUse{{Document: evil, Pointer: evil, Text: evil, Note: evil}},
		Decision: &doorward.Decision{Level: evil, Result: evil, Reasons: []doorward.Reason{{Rule: evil, Text: evil}}, WouldChange: []string{evil}},
		Layout:   &doorward.Part{Name: evil, Format: evil, Size: 10, Parts: []*doorward.Part{{Name: "squashfs@0x0", Format: evil, Size: 10}, nil}},
	}
	report.Summarise(r)
	return r
}

// A hostile name stays text, in every place that shows it.
func TestHostileNamesStayText(t *testing.T) {
	page := string(written(t, "html", nasty(), report.Options{}))
	for _, bad := range []string{"<img", "<svg", "\x1b", "\u202e", "\x00"} {
		if strings.Contains(page, bad) {
			i := strings.Index(page, bad)
			t.Errorf("%q stands in the page: …%s", bad, page[max(0, i-80):min(len(page), i+40)])
		}
	}
	if strings.Count(page, "</script>") != 1 || strings.Count(page, "</style>") != 1 {
		t.Error("a name ends the script or the style")
	}
	if n := strings.Count(page, "&lt;img src=x onerror=alert(1)&gt;"); n < 40 {
		t.Errorf("the name is shown %d times", n)
	}
}

// Without JavaScript everything is there, too: all doors with their evidence.
func TestPageNeedsNoScript(t *testing.T) {
	r := sample(t)
	page := string(written(t, "html", r, report.Options{}))
	body := page[:strings.Index(page, "<script>")]
	for _, d := range r.Doors {
		if !strings.Contains(body, `id="`+d.ID+`"`) {
			t.Errorf("%s is not in the page", d.Title)
		}
	}
	if n := strings.Count(body, `<div class="ev">`); n < len(r.Doors) {
		t.Errorf("%d pieces of evidence", n)
	}
}

func manyDoors(n int) *doorward.Report {
	r := &doorward.Report{Subject: doorward.Subject{Name: "big.bin", Size: 64 << 20, Kind: "firmware"}, Layout: &doorward.Part{Name: "big.bin", Size: 64 << 20}}
	for i := range 12 {
		r.Layout.Parts = append(r.Layout.Parts, &doorward.Part{Name: fmt.Sprintf("squashfs@0x%x", i<<22), Format: "squashfs", Offset: int64(i) << 22, Size: 4 << 20, Files: 1000})
	}
	for i := range n {
		d := doorward.Door{
			Kind: doorward.Kinds[i%len(doorward.Kinds)], Title: fmt.Sprintf("Door number %d, which somebody left open on the port %d", i, i), Weight: doorward.Weights[i%5], Reach: doorward.Remote,
			Stages: []doorward.Stage{doorward.Access}, Certainty: doorward.Likely, Status: []doorward.Status{"undeclared", "declared", "contradicts"}[i%3],
			Where:    []doorward.Where{{Path: []string{"big.bin", fmt.Sprintf("squashfs@0x%x", (i%12)<<22), fmt.Sprintf("usr/lib/part%d/file-%d.conf", i%40, i)}}},
			Evidence: []doorward.Evidence{{What: fmt.Sprintf("listen=%d\nuser=nobody%d", i, i), Note: "a line of the program's configuration", Line: i + 1}, {What: "start-stop-daemon --start --exec /usr/sbin/x", Path: "etc/init.d/x", Line: 3}},
			Check:    "grep listen in the file", References: []string{"CWE-1125"}, Detail: doorward.Detail{"port": i, "program": "x", "proto": "tcp", "started_by": "etc/init.d/x"},
		}
		d.SetID()
		r.Doors = append(r.Doors, d)
	}
	report.Summarise(r)
	return r
}

// 5,000 doors are written quickly; how fast a browser opens the page was
// measured by hand (docs/report.md).
func TestManyDoorsArePossible(t *testing.T) {
	start := time.Now()
	page := written(t, "html", manyDoors(5000), report.Options{})
	if d := time.Since(start); d > 20*time.Second || len(page) > 20<<20 {
		t.Errorf("%d bytes in %v", len(page), d)
	}
}

// Boxes lie in their parents, beside each other, and none is too small to see.
func TestPictureIsInOrder(t *testing.T) {
	css := between(t, string(written(t, "html", sample(t), report.Options{})), "<style>", "</style>")
	rules := regexp.MustCompile(`#b(\d+)\{left:([0-9.]+)%;width:calc\(([0-9.]+)%`).FindAllStringSubmatch(css, -1)
	if len(rules) != 17 {
		t.Errorf("%d boxes, want 17", len(rules))
	}
	end := 0.0
	for i, m := range rules {
		var left, width float64
		if _, err := fmt.Sscan(m[2]+" "+m[3], &left, &width); err != nil {
			t.Fatal(err)
		}
		if left+width > 100.01 || width < 0.5 {
			t.Errorf("box %s is at %v with width %v", m[1], left, width)
		}
		if i < 10 && left < end-0.01 { // the first row: partitions
			t.Errorf("box %s lies over the one before", m[1])
		}
		end = left + width
	}
}

// A layout that lies (overlaps, negative sizes, rings of nothing) is drawn all
// the same.
func TestHostileLayout(t *testing.T) {
	deep := &doorward.Part{Name: "x", Size: -5}
	for range 3000 {
		deep = &doorward.Part{Name: "x", Offset: -1, Size: 1 << 62, Parts: []*doorward.Part{deep, {Name: "y", Offset: 1 << 62, Size: 1 << 62}}}
	}
	wide := &doorward.Part{Name: "w", Size: 0}
	for i := range 5000 {
		wide.Parts = append(wide.Parts, &doorward.Part{Name: fmt.Sprint(i), Size: int64(i)})
	}
	for _, l := range []*doorward.Part{deep, wide} {
		page := written(t, "html", &doorward.Report{Layout: l}, report.Options{})
		if len(page) > 4<<20 || strings.Contains(string(page), "NaN") || strings.Contains(string(page), "Inf%") {
			t.Errorf("the page has %d bytes, or a box is nowhere", len(page))
		}
	}
}
