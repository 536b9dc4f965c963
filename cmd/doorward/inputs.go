package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/attest"
	"github.com/doorward/doorward/internal/facts"
	"github.com/doorward/doorward/internal/policy"
	"github.com/doorward/doorward/internal/report"
)

// Roles of the files that a decision is made of.
const (
	roleReport      = "report"
	rolePolicy      = "policy"
	roleFacts       = "facts"
	roleDeclaration = "declaration"
	roleException   = "exception"
	roleKey         = "key" // the public key of a maker, for signatures that do not carry it
)

// File is a file as it was read: the base name, and the bytes.
type File struct {
	Name  string
	Bytes []byte
}

// Inputs are all that a decision is made of. decide and verify both go through
// decide, so that what is verified is what was decided.
type Inputs struct {
	Level, At    string
	Policy       File
	Reports      []File
	Facts        []File
	Declarations []File // signed by their makers
	Exceptions   []File
	Keys         []File
	Parameters   map[string]string
}

// readFiles reads files whole, in order.
func readFiles(role string, paths []string) ([]File, error) {
	var out []File
	for _, path := range paths {
		b, err := readText(path)
		if err != nil {
			return nil, fmt.Errorf("the %s can't be read: %w", role, err)
		}
		out = append(out, File{filepath.Base(path), b})
	}
	return out, nil
}

// decide reads all the files and decides. The decision names them with their
// digests, and the same inputs give the same decision.
func (in Inputs) decide() (*doorward.Decision, error) {
	p, err := policy.Load(in.Policy.Name, in.Policy.Bytes)
	if err != nil {
		return nil, err
	}
	c, err := in.read()
	if err != nil {
		return nil, err
	}
	d, err := policy.Decide(p, in.Level, c)
	if err != nil {
		return nil, err
	}
	d.Schema = doorward.DecisionSchema
	d.Inputs = in.list()
	d.Parameters = maps.Clone(in.Parameters)
	return d, nil
}

// read makes the case of the files.
func (in Inputs) read() (policy.Case, error) {
	c := policy.Case{At: policy.Date(in.At), Parameters: in.Parameters}
	for _, f := range in.Reports {
		r, err := report.ReadJSON(f.Bytes)
		if err != nil {
			return c, fmt.Errorf("%s: %w", f.Name, err)
		}
		c.Reports = append(c.Reports, r)
	}
	for _, f := range in.Facts {
		stated, err := facts.Read(f.Name, f.Bytes)
		if err != nil {
			return c, err
		}
		c.Facts = append(c.Facts, stated.Facts...)
		c.Entities = append(c.Entities, stated.Entities...)
	}
	for _, f := range in.Exceptions {
		x, err := attest.OpenException(f.Bytes)
		if err != nil {
			return c, fmt.Errorf("%s: %w", f.Name, err)
		}
		c.Exceptions = append(c.Exceptions, *x)
	}
	var err error
	c.Signed, err = in.signed()
	return c, err
}

// signed says which declarations were signed with which keys. A declaration
// without a signature says nothing here: the reports have what it declares.
func (in Inputs) signed() (map[string][]string, error) {
	keys, err := publicKeys(in.Keys)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, f := range in.Declarations {
		if !attest.IsEnvelope(f.Bytes) {
			continue
		}
		d, err := attest.OpenDeclaration(f.Bytes, keys)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		out[d.SHA256] = append(out[d.SHA256], d.Keys...)
	}
	return out, nil
}

// sidecar is what the name of a declaration's signature ends in, if it stands
// in a file of its own beside the document.
const sidecar = ".dsse.json"

// readDeclarations reads declarations for a decision: of a document that has its
// signature beside it, the signed one.
func readDeclarations(paths []string) ([]File, error) {
	files, err := readFiles(roleDeclaration, paths)
	if err != nil {
		return nil, err
	}
	for i, f := range files {
		if attest.IsEnvelope(f.Bytes) {
			continue
		}
		text, err := readText(paths[i] + sidecar)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var d *attest.Document
		if err == nil {
			d, err = attest.OpenDeclaration(text, nil)
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", f.Name+sidecar, err)
		case !bytes.Equal(d.Text, f.Bytes):
			return nil, fmt.Errorf("%s signs another document than %s", f.Name+sidecar, f.Name)
		}
		files[i] = File{f.Name + sidecar, text}
	}
	return files, nil
}

// list names the files, by role.
func (in Inputs) list() []doorward.DecisionInput {
	var out []doorward.DecisionInput
	for _, of := range []struct {
		role  string
		files []File
	}{
		{rolePolicy, []File{in.Policy}}, {roleReport, in.Reports}, {roleFacts, in.Facts},
		{roleDeclaration, in.Declarations}, {roleException, in.Exceptions}, {roleKey, in.Keys},
	} {
		for _, f := range of.files {
			out = append(out, doorward.DecisionInput{Role: of.role, Name: f.Name, SHA256: digest(f.Bytes)})
		}
	}
	return out
}
