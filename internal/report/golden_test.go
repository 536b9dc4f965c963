package report_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample reads the report that was written by hand: doors of all kinds, of all
// statuses, hostile names, parts that were not read.
func sample(t testing.TB) *doorward.Report {
	t.Helper()
	text, err := os.ReadFile("testdata/sample.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.ReadJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func written(t testing.TB, format string, r *doorward.Report, opt report.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, format, r, opt); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// golden holds what was written against a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from what was written (go test -update writes it anew):\n%s", name, firstDifference(string(got), string(want)))
	}
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return fmt.Sprintf("line %d\ngot  %s\nwant %s", i+1, a[i], strings.Join(b[min(i, len(b)):min(i+1, len(b))], ""))
		}
	}
	return "the golden file is longer"
}

func TestGolden(t *testing.T) {
	for format, name := range map[string]string{
		"text": "sample.txt", "json": "sample.out.json", "sarif": "sample.sarif", "cyclonedx": "sample.cdx.json", "html": "sample.html",
	} {
		t.Run(format, func(t *testing.T) { golden(t, name, written(t, format, sample(t), report.Options{})) })
	}
}

// schema compiles a JSON schema; refs are other schemas that it refers to, by
// the address under which it does.
func schema(t testing.TB, file string, refs map[string]string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	add := func(url, file string) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if text, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(url, doc); err != nil {
			t.Fatal(err)
		}
	}
	for url, f := range refs {
		add(url, f)
	}
	add("http://schema.test/main.json", file)
	s, err := c.Compile("http://schema.test/main.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func valid(t testing.TB, s *jsonschema.Schema, text []byte) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(doc); err != nil {
		t.Errorf("%#v", err)
	}
}

const reportSchema = "../../docs/schema/report-v1.json"

func TestJSONIsValid(t *testing.T) {
	s := schema(t, reportSchema, nil)
	valid(t, s, written(t, "json", sample(t), report.Options{}))
	valid(t, s, written(t, "json", &doorward.Report{}, report.Options{}))
}

// The schema is not one that lets everything through.
func TestSchemaRefuses(t *testing.T) {
	s := schema(t, reportSchema, nil)
	for name, spoil := range map[string]func(r map[string]any){
		"another schema":       func(r map[string]any) { r["schema"] = "doorward/report/v2" },
		"no unread":            func(r map[string]any) { delete(r, "unread") },
		"an unknown kind":      func(r map[string]any) { door0(r)["kind"] = "window" },
		"no evidence":          func(r map[string]any) { door0(r)["evidence"] = []any{} },
		"a heavy hint":         func(r map[string]any) { door0(r)["certainty"] = "hint" },
		"a port as text":       func(r map[string]any) { door0(r)["detail"].(map[string]any)["port"] = "22" },
		"a host that is a URL": func(r map[string]any) { door0(r)["detail"].(map[string]any)["host"] = "https://x/" },
		"a short id":           func(r map[string]any) { door0(r)["id"] = "door-1" },
	} {
		var doc map[string]any
		if err := json.Unmarshal(written(t, "json", sample(t), report.Options{}), &doc); err != nil {
			t.Fatal(err)
		}
		spoil(doc)
		if s.Validate(doc) == nil {
			t.Errorf("the schema accepts a report with %s", name)
		}
	}
}

func door0(r map[string]any) map[string]any { return r["doors"].([]any)[0].(map[string]any) }
