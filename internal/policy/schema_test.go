package policy

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/doorward/doorward"
)

var update = flag.Bool("update", false, "write docs/schema/policy-v1.json")

const schemaFile = "../../docs/schema/policy-v1.json"

// enums are the values that keys of a policy may have, by type or key.
var enums = map[string][]string{
	"schema": {Schema}, "then": {Refuse, Condition, Permit}, "parts": allParts, "of": {ofEntities, ofCountries},
	"without": {"version", "maker", "purl", "sha256"}, "axes": axisNames(), "whose": words(doorward.Activities), "evidence": words(doorward.EvidenceClasses),
	"kinds": words(doorward.Kinds), "weight": words(doorward.Weights), "reach": {"remote", "adjacent", "local", "physical"},
	"status": {"declared", "undeclared", "contradicts"}, "certainty": {"shown", "likely", "hint"}, "stages": {"signal", "access", "collect", "transmit"},
}

// schemaOf gives the JSON Schema of a type as the decoder reads it.
func schemaOf(t reflect.Type, key string) map[string]any {
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), key)
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem(), "")}
	case reflect.Slice:
		item := schemaOf(t.Elem(), key)
		list := map[string]any{"type": "array", "items": item}
		if t.Elem().Kind() == reflect.String {
			return map[string]any{"oneOf": []any{item, list}}
		}
		return list
	case reflect.Struct:
		keys := map[string]any{}
		for _, f := range reflect.VisibleFields(t) {
			if tag := f.Tag.Get("yaml"); tag != "" {
				keys[tag] = schemaOf(f.Type, tag)
			}
		}
		object := map[string]any{"type": "object", "additionalProperties": false, "properties": keys}
		if _, ok := reflect.New(t).Interface().(named); ok {
			return map[string]any{"oneOf": []any{map[string]any{"type": "string"}, object}}
		}
		return object
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	}
	s := map[string]any{"type": "string"}
	if t == reflect.TypeFor[Date]() {
		s["pattern"] = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
	}
	if values := enums[key]; values != nil && (key != "stages" || t == reflect.TypeFor[doorward.Stage]()) {
		s["enum"] = values
	}
	return s
}

// TestSchema holds docs/schema/policy-v1.json to the types that the decoder
// reads, and a policy to it.
func TestSchema(t *testing.T) {
	s := schemaOf(reflect.TypeFor[Policy](), "")
	s["$schema"], s["$id"], s["title"] = "https://json-schema.org/draft/2020-12/schema", "urn:doorward:policy:v1", "Doorward policy, version 1 (docs/policy.md)"
	s["required"] = []string{"schema", "name", "levels", "rules"}
	want, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%s is not what the types say (%v): go test ./internal/policy -run TestSchema -update", schemaFile, err)
	}
	validate(t, want, sample)
}

func validate(t *testing.T, schema []byte, policy string) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("urn:doorward:policy:v1", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("urn:doorward:policy:v1")
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal([]byte(policy), &v); err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(v); err != nil {
		t.Error(err)
	}
}
