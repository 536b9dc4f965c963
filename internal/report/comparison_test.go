package report_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/compare"
	"github.com/doorward/doorward/internal/report"
)

// versions compares the sample with an earlier version of it: some doors less,
// one lighter, one that is gone now.
func versions(t testing.TB) *doorward.Comparison {
	t.Helper()
	before, after := sample(t), sample(t)
	before.Subject.SHA256, before.Subject.Version, before.Subject.Name = strings.Repeat("ab", 32), "1.4.1", "pinewatch-1.4.1.bin"
	before.Doors = before.Doors[3:]
	before.Doors[0].Weight = doorward.Medium
	after.Doors = after.Doors[:len(after.Doors)-1]
	before.Components[1].Version = "4.14.80"
	return compare.Reports(before, after, compare.Files(
		[]compare.File{{Path: "etc_ro/shadow", SHA256: "1", Size: 100}, {Path: "bin/old", SHA256: "2", Size: 7}},
		[]compare.File{{Path: "etc_ro/shadow", SHA256: "3", Size: 140}, {Path: evil, SHA256: "4", Size: 9}},
	))
}

func TestComparisonGolden(t *testing.T) {
	for format, name := range map[string]string{"text": "comparison.txt", "json": "comparison.json", "sarif": "comparison.sarif"} {
		var b bytes.Buffer
		if err := report.WriteComparison(&b, format, versions(t), report.Options{}); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
	}
}

func TestComparisonIsValid(t *testing.T) {
	ours := schema(t, "../../docs/schema/comparison-v1.json", map[string]string{"urn:doorward:report:v1": reportSchema})
	sarif := schema(t, "testdata/schema/sarif-2.1.0.json.gz", nil)
	empty := compare.Reports(&doorward.Report{}, &doorward.Report{}, nil)
	for _, c := range []*doorward.Comparison{versions(t), empty} {
		var b bytes.Buffer
		if err := report.WriteComparison(&b, "json", c, report.Options{}); err != nil {
			t.Fatal(err)
		}
		valid(t, ours, b.Bytes())
		b.Reset()
		if err := report.WriteComparison(&b, "sarif", c, report.Options{}); err != nil {
			t.Fatal(err)
		}
		valid(t, sarif, b.Bytes())
	}
	if err := report.WriteComparison(&bytes.Buffer{}, "cyclonedx", empty, report.Options{}); err == nil {
		t.Error("a comparison was written as CycloneDX")
	}
}

func TestComparisonPage(t *testing.T) {
	var b bytes.Buffer
	if err := report.WriteComparison(&b, "html", versions(t), report.Options{}); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{"Added doors", "Changed doors", "Removed doors", "weight: medium → critical", "pinewatch-1.4.1.bin", "content: 100 → 140 bytes"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	if strings.Contains(page, "<img") || strings.Contains(page, "\x1b") {
		t.Error("a hostile name got through")
	}
}
