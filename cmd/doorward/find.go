package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/policy/packs"
)

// given are the files that a verifier was given, by role.
type given map[string][]File

// given reads the files that were given by flags.
func (c *verifyCmd) given() (given, error) {
	out := given{}
	for role, paths := range map[string][]string{
		roleReport: c.Report, rolePolicy: c.Policy, roleFacts: c.Facts, roleException: c.Exception,
		roleDeclaration: c.Declared, roleKey: c.MakerKey,
	} {
		files, err := readFiles(role, paths)
		if role == rolePolicy {
			files, err = readPolicies(paths)
		}
		if err != nil {
			return nil, err
		}
		out[role] = files
	}
	return out, nil
}

// readPolicies reads policies: files, or packs.
func readPolicies(names []string) ([]File, error) {
	var out []File
	for _, name := range names {
		f, err := readPolicy(name)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// fromPack is a policy that comes with this program, if it is the one that is
// wanted.
func fromPack(want doorward.DecisionInput) (File, bool) {
	name, ok := strings.CutSuffix(want.Name, ".yaml")
	if want.Role != rolePolicy || !ok || !slices.Contains(packs.Names(), name) {
		return File{}, false
	}
	f, err := readPolicy(packs.Prefix + name)
	return f, err == nil && digest(f.Bytes) == want.SHA256
}

// find finds an input: among the files given for its role, by their digest;
// otherwise by its name in the folder. Every error names the input.
func (g given) find(want doorward.DecisionInput, folder string) (File, error) {
	for _, f := range g[want.Role] {
		if digest(f.Bytes) == want.SHA256 {
			return File{want.Name, f.Bytes}, nil
		}
	}
	for _, f := range g[want.Role] {
		if f.Name == want.Name {
			return File{}, changed(want, f.Bytes)
		}
	}
	if want.Name == "" || want.Name != filepath.Base(want.Name) || !filepath.IsLocal(want.Name) {
		return File{}, fmt.Errorf("the %s %q has no name of a file: give it with its flag", want.Role, want.Name)
	}
	b, err := readText(filepath.Join(folder, want.Name))
	if f, ok := fromPack(want); ok && errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(g[want.Role]) > 0:
		return File{}, fmt.Errorf("the %s %s (SHA-256 %s) is none of the files that were given", want.Role, want.Name, want.SHA256)
	case errors.Is(err, fs.ErrNotExist):
		return File{}, fmt.Errorf("the %s %s is missing: it was looked for in %s", want.Role, want.Name, folder)
	case err != nil:
		return File{}, fmt.Errorf("the %s %s can't be read: %w", want.Role, want.Name, err)
	case digest(b) != want.SHA256:
		return File{}, changed(want, b)
	}
	return File{want.Name, b}, nil
}

// leftOver refuses files that the decision was not made of.
func (g given) leftOver(d *doorward.Decision) error {
	known := map[string]bool{}
	for _, in := range d.Inputs {
		known[in.Role+" "+in.SHA256] = true
	}
	for _, role := range []string{rolePolicy, roleReport, roleFacts, roleDeclaration, roleException, roleKey} {
		for _, f := range g[role] {
			if !known[role+" "+digest(f.Bytes)] {
				return fmt.Errorf("the decision was not made of the %s %s", role, f.Name)
			}
		}
	}
	return nil
}

func changed(want doorward.DecisionInput, b []byte) error {
	return fmt.Errorf("the %s %s was changed: its SHA-256 is %s, and was %s", want.Role, want.Name, digest(b), want.SHA256)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
