package main

import (
	"strings"
	"testing"

	"github.com/doorward/doorward"
)

const inputsPolicy = `schema: doorward/policy/v1
name: sample
levels: [public, internal]
parameters: {use: {text: what it is for}}
rules:
  - {id: otherwise, title: What nothing refuses, then: permit}
`

func TestDecideNamesItsInputs(t *testing.T) {
	in := Inputs{
		Level: "internal", At: "2026-11-25", Policy: File{"p.yaml", []byte(inputsPolicy)},
		Reports:    []File{{"r.json", []byte(`{"schema":"doorward/report/v1","subject":{"name":"box","sha256":"` + strings.Repeat("a", 64) + `"}}`)}},
		Parameters: map[string]string{"use": "office"},
	}
	d, err := in.decide()
	if err != nil {
		t.Fatal(err)
	}
	if d.Schema != doorward.DecisionSchema || d.Result != doorward.Admit || len(d.Inputs) != 2 || d.Parameters["use"] != "office" {
		t.Errorf("got %+v", d)
	}
	if i := d.Inputs[1]; i.Role != roleReport || i.Name != "r.json" || len(i.SHA256) != 64 {
		t.Errorf("the report is %+v", i)
	}
	in.Reports[0].Bytes = []byte("{}")
	if _, err := in.decide(); err == nil || !strings.HasPrefix(err.Error(), "r.json: ") {
		t.Errorf("a bad report gives %v", err)
	}
}
