package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/doorward/doorward"
)

// scope is what an expression may speak of besides product and level.
type scope string

const (
	onProduct scope = ""
	onPart    scope = "part"
	onDoor    scope = "door"
)

// fields are what expressions may ask of each thing. A product has the policy's
// parameters besides.
var fields = map[string][]string{
	"product": {"name", "kind", "format", "version", "maker", "size", "doors", "undeclared", "components", "unread", "ref"},
	"part":    {"name", "version", "type", "maker", "purl", "found", "doors", "top", "ref", "detail"},
	"door":    {"id", "kind", "weight", "reach", "status", "certainty", "stages", "title", "component", "references", "detail", "path"},
}

// maxCost bounds an expression's work, in CEL's units. What needs more is an
// error, and so undetermined.
const maxCost = 1 << 20

// expression is a CEL expression whose value is a truth value.
type expression struct{ program cel.Program }

var environment = func() *cel.Env {
	thing := cel.MapType(cel.StringType, cel.DynType)
	env, err := cel.NewEnv(
		cel.Variable("product", thing), cel.Variable("part", thing), cel.Variable("door", thing), cel.Variable("level", cel.StringType),
		cel.Function("countries", cel.Overload("countries_of", []*cel.Type{thing, cel.StringType}, cel.ListType(cel.StringType),
			cel.BinaryBinding(func(of, axis ref.Val) ref.Val { return stated(of, axis, country) }))),
		cel.Function("entities", cel.Overload("entities_of", []*cel.Type{thing, cel.StringType}, cel.ListType(cel.StringType),
			cel.BinaryBinding(func(of, axis ref.Val) ref.Val { return stated(of, axis, entity) }))),
	)
	if err != nil {
		panic(err) // of this file, not of any input
	}
	return env
}()

func compile(text string, on scope, parameters []string) (*expression, error) {
	checked, issues := environment.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, err
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("when must be true or false, and %q is a %s", text, t)
	}
	if err := checkNames(checked.NativeRep().Expr(), on, parameters); err != nil {
		return nil, err
	}
	program, err := environment.Program(checked, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize))
	return &expression{program}, err
}

// checkNames refuses names that no thing has: at run time they would be errors,
// and the rule undetermined for ever.
func checkNames(e ast.Expr, on scope, parameters []string) (err error) {
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		switch {
		case err != nil:
		case e.Kind() == ast.IdentKind:
			if name := e.AsIdent(); (name == "part" || name == "door") && name != string(on) {
				err = fmt.Errorf("%s can't be asked here: only product, level and what the condition is about", name)
			}
		case e.Kind() == ast.SelectKind && e.AsSelect().Operand().Kind() == ast.IdentKind:
			thing, field := e.AsSelect().Operand().AsIdent(), e.AsSelect().FieldName()
			known := fields[thing]
			if thing == "product" {
				known = slices.Concat(known, parameters)
			}
			if known != nil && !slices.Contains(known, field) {
				err = fmt.Errorf("%s has no field %q%s", thing, field, suggest(field, known))
			}
		}
	}))
	return err
}

// thing is a product, part or door as an expression sees it: a table that also
// knows where facts on it are kept.
type thing struct {
	traits.Mapper
	x       *index
	ref     string
	unknown map[string]bool // parameters that nobody stated
}

// Find answers for a parameter that was not stated that it is not known.
func (t *thing) Find(key ref.Val) (ref.Val, bool) {
	if name, ok := key.(types.String); ok && t.unknown[string(name)] {
		return notKnown("parameter " + string(name) + " (state it with --set " + string(name) + "=VALUE)"), true
	}
	return t.Mapper.Find(key)
}

// Get is Find with an error for what is not there.
func (t *thing) Get(key ref.Val) ref.Val {
	if v, ok := t.Find(key); ok {
		return v
	}
	return t.Mapper.Get(key)
}

// Contains is unknown, too, for what was not stated: an expression must not be
// able to take a missing answer for a no.
func (t *thing) Contains(key ref.Val) ref.Val {
	if v, ok := t.Find(key); ok && types.IsUnknown(v) {
		return v
	}
	return t.Mapper.Contains(key)
}

func notKnown(what string) ref.Val {
	return types.NewUnknown(1, types.NewAttributeTrail(what))
}

func (x *index) thing(refName string, values map[string]any) *thing {
	return &thing{Mapper: types.NewStringInterfaceMap(types.DefaultTypeAdapter, values), x: x, ref: refName}
}

func country(f fact) string {
	if f.Country == doorward.UnknownCountry {
		return ""
	}
	return f.Country
}

func entity(f fact) string { return f.Entity }

// stated lists what facts state of an activity. None is not known, never an
// empty list; so is a list of which a fact says that a part is not known.
func stated(of, axis ref.Val, what func(fact) string) ref.Val {
	t, ok := of.(*thing)
	name, text := axis.(types.String)
	if !ok || !text || t.x == nil || !slices.Contains(doorward.Activities, doorward.Axis(name)) {
		return types.NewErr("countries and entities take product or part, and an activity: %v", doorward.Activities)
	}
	var out []string
	for _, f := range t.x.facts[question{t.ref, doorward.Axis(name)}] {
		if v := what(f); v != "" {
			out = append(out, v)
		} else if f.Country == doorward.UnknownCountry {
			out = nil
			break
		}
	}
	if len(out) == 0 {
		return notKnown(string(name) + " of " + t.ref)
	}
	slices.Sort(out)
	return types.NewStringList(types.DefaultTypeAdapter, slices.Compact(out))
}

// ask evaluates an expression; a nil one is true. What is wrong with it, or not
// known, is said in words.
func (e *expression) ask(values map[string]any) (truth, string) {
	if e == nil {
		return yes, ""
	}
	v, _, err := e.program.Eval(values)
	switch v := v.(type) {
	case types.Bool:
		if err == nil {
			return truthOf(bool(v), false), ""
		}
	case *types.Unknown:
		var missing []string
		for _, id := range v.IDs() {
			trails, _ := v.GetAttributeTrails(id)
			for _, trail := range trails {
				missing = append(missing, trail.Variable())
			}
		}
		slices.Sort(missing)
		return unknown, strings.Join(slices.Compact(missing), ", ")
	}
	if err == nil {
		err = errors.New("it is neither true nor false")
	}
	return unknown, "its expression fails: " + oneLine(err.Error())
}

// product is the product as expressions see it.
func (x *index) product() *thing {
	values := map[string]any{"ref": doorward.ProductSubject, "components": len(x.parts) - 1}
	doors, undeclared := 0, 0
	var read, left int64
	for i, r := range x.Reports {
		if i == 0 {
			s := r.Subject
			values["name"], values["kind"], values["format"], values["version"], values["maker"], values["size"] = s.Name, s.Kind, s.Format, s.Version, s.Maker, s.Size
			if s.Product != "" {
				values["name"] = s.Product
			}
		}
		doors, undeclared = doors+r.Summary.Doors, undeclared+r.Summary.Undeclared
		read, left = read+r.Summary.ReadBytes, left+r.Summary.UnreadBytes
	}
	values["doors"], values["undeclared"], values["unread"] = doors, undeclared, percent(left, read+left)
	t := x.thing(doorward.ProductSubject, values)
	t.unknown = map[string]bool{}
	for name := range x.policy.Parameters {
		if v, ok := x.Parameters[name]; ok {
			values[name] = v
		} else {
			t.unknown[name] = true
		}
	}
	return t
}

func (x *index) partThing(p *part) *thing {
	if p.component == nil {
		return x.thing(p.ref, map[string]any{"name": "", "version": "", "type": "", "maker": "", "purl": "", "found": "", "doors": p.doors, "top": true, "ref": p.ref, "detail": map[string]string{}})
	}
	c := p.component
	return x.thing(p.ref, map[string]any{
		"name": c.Name, "version": c.Version, "type": c.Type, "maker": c.Maker, "purl": c.PURL, "found": c.Found,
		"doors": p.doors, "top": false, "ref": p.ref, "detail": c.Detail,
	})
}

func (x *index) doorThing(d *doorward.Door) *thing {
	return x.thing(d.Component, map[string]any{
		"id": d.ID, "kind": string(d.Kind), "weight": string(d.Weight), "reach": string(d.Reach), "status": string(d.Status),
		"certainty": string(d.Certainty), "stages": words(d.Stages), "title": d.Title, "component": d.Component,
		"references": d.References, "detail": map[string]any(d.Detail), "path": d.InnerPath(),
	})
}

func percent(part, all int64) float64 {
	if all == 0 {
		return 0
	}
	return 100 * float64(part) / float64(all)
}
