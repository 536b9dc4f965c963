package facts

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestSchemaAgrees(t *testing.T) {
	s, err := jsonschema.NewCompiler().Compile("../../docs/schema/facts-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(text string) error {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		return s.Validate(v)
	}
	if err := valid(good); err != nil {
		t.Errorf("what Read takes: %v", err)
	}
	for _, bad := range []string{`"axis": "made-in"`, `"axis": "assembly", "stage": "design"`, `"axis": "assembly", "colour": "red"`} {
		if valid(strings.Replace(good, `"axis": "assembly"`, bad, 1)) == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
