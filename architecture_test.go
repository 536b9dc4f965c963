package doorward_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/doorward/doorward"

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath string
	Dir        string
	Doc        string
	Standard   bool
	Name       string
	Imports    []string
	CgoFiles   []string
	Deps       []string
	Module     *struct{ Path, Dir string }
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json"}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	var pkgs []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// mayImport says, for each package of the house, what it may import of it
// besides the vocabulary. A stage never imports another stage: only scan knows
// them all. What is not named here is refused: a new package needs its line.
var mayImport = map[string][]string{
	"":                                 {},
	"internal/pattern":                 {},
	"internal/executable":              {"internal/signature"},
	"internal/signature":               {},
	"internal/rootca":                  {},
	"internal/registry":                {"internal/facts"},
	"internal/detect":                  {},
	"internal/settle":                  {},
	"internal/reconcile":               {},
	"internal/compare":                 {},
	"internal/policy":                  {},
	"internal/policy/packs":            {"internal/policy"},
	"internal/attest":                  {},
	"internal/declare":                 {"internal/facts"},
	"internal/report":                  {},
	"internal/sandbox":                 {},
	"internal/cache":                   {},
	"internal/crypt":                   {},
	"internal/facts":                   {},
	"internal/unpack/lzma":             {},
	"internal/unpack/lzo":              {},
	"internal/unpack/xz":               {},
	"internal/unpack":                  {"internal/pattern", "internal/unpack/lzma", "internal/unpack/lzo", "internal/unpack/xz"},
	"internal/unpack/archive":          {"internal/unpack", "internal/unpack/deflate64", "internal/unpack/ppmd", "internal/unpack/unrar", "internal/unpack/lzh", "internal/unpack/lzms", "internal/unpack/xpress", "internal/unpack/lzx", "internal/unpack/stream", "internal/unpack/lzma", "internal/unpack/lzo", "internal/unpack/xz"},
	"internal/unpack/bundle":           {"internal/unpack", "internal/unpack/deflate64", "internal/unpack/lzx", "internal/unpack/stream", "internal/unpack/lzma", "internal/unpack/lzo", "internal/unpack/xz"},
	"internal/unpack/disk":             {"internal/unpack", "internal/unpack/stream", "internal/unpack/lzma", "internal/unpack/lzo", "internal/unpack/xz"},
	"internal/unpack/flash":            {"internal/unpack", "internal/unpack/stream", "internal/unpack/lzma", "internal/unpack/lzo", "internal/unpack/xz"},
	"internal/unpack/linuxfs":          {"internal/unpack", "internal/unpack/stream", "internal/unpack/lzma", "internal/unpack/lzo", "internal/unpack/xz"},
	"internal/unpack/mcu":              {"internal/unpack", "internal/unpack/stream", "internal/unpack/lzma", "internal/unpack/lzo", "internal/unpack/xz"},
	"internal/unpack/uefi":             {"internal/unpack", "internal/unpack/stream", "internal/unpack/lzma", "internal/unpack/lzo", "internal/unpack/xz"},
	"internal/unpack/volume":           {"internal/unpack", "internal/unpack/stream", "internal/unpack/lzma", "internal/unpack/lzo", "internal/unpack/xz"},
	"internal/unpack/boot":             {"internal/unpack", "internal/unpack/stream", "internal/unpack/lzma", "internal/unpack/lzo", "internal/unpack/xz", "internal/unpack/flash"},
	"internal/unpack/vendor":           {"internal/unpack", "internal/unpack/stream", "internal/unpack/lzma", "internal/unpack/lzo", "internal/unpack/xz", "internal/unpack/boot"},
	"internal/unpack/stream":           {"internal/unpack", "internal/unpack/lzma", "internal/unpack/lzo", "internal/unpack/xz"},
	"internal/unpack/formats":          {"*"},
	"internal/unpack/formats/generate": {"internal/unpack/formats"},
	"internal/unpack/unpacktest":       {"internal/unpack", "internal/testtool"},
	"internal/unpack/huffman":          {},
	"internal/unpack/deflate64":        {"internal/unpack/huffman"},
	"internal/unpack/lzx":              {"internal/unpack/huffman"},
	"internal/unpack/ppmd":             {},
	"internal/unpack/lzms":             {"internal/unpack/huffman"},
	"internal/unpack/xpress":           {"internal/unpack/huffman"},
	"internal/unpack/lzh":              {"internal/unpack/huffman"},
	"internal/unpack/unrar":            {"internal/unpack/huffman", "internal/unpack/ppmd"},
	"internal/product":                 {"internal/unpack", "internal/pattern", "internal/executable"},
	"internal/startup":                 {"internal/product", "internal/unpack", "internal/executable"},
	"internal/inventory":               {"internal/product", "internal/unpack", "internal/detect", "internal/executable"},
	"internal/firmware":                {"internal/product", "internal/pattern", "internal/unpack", "internal/detect", "internal/executable", "internal/startup", "internal/crypt", "internal/rootca"},
	"internal/origin":                  {"internal/product", "internal/unpack", "internal/detect", "internal/executable", "internal/facts", "internal/rootca", "internal/signature"},
	"internal/origin/generate":         {"internal/facts"},
	"internal/scan":                    {"*"},
	"internal/testtool":                {},
	"cmd/doorward":                     {"*"},
	"bench/inspect":                    {"*"},
	"bench/fuzz":                       {},
	"bench/decide":                     {"*"},
}

func TestWhoMayImportWhom(t *testing.T) {
	for _, p := range list(t, "./...") {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		allowed, known := mayImport[name]
		if !known {
			t.Errorf("%s has no line in mayImport", name)
			continue
		}
		for _, imp := range p.Imports {
			inner, ours := strings.CutPrefix(imp, module+"/")
			if ours && !contains(allowed, inner) {
				t.Errorf("%s may not import %s", name, inner)
			}
		}
	}
}

func contains(allowed []string, name string) bool {
	for _, a := range allowed {
		if a == name || a == "*" {
			return true
		}
	}
	return false
}

func TestVocabularyUsesTheStandardLibraryAlone(t *testing.T) {
	for _, imp := range list(t, ".")[0].Imports {
		if strings.Contains(imp, ".") {
			t.Errorf("the vocabulary imports %s", imp)
		}
	}
}

func TestEveryPackageHasADoc(t *testing.T) {
	for _, p := range list(t, "./...") {
		if p.Doc == "" {
			t.Errorf("%s has no package doc comment", p.ImportPath)
		}
	}
}

// TestDependencies refuses cgo, work at import time through "C", and licences
// that are not permissive, in everything that the binary is built from.
func TestDependencies(t *testing.T) {
	modules := map[string]string{}
	for _, p := range list(t, "-deps", "./cmd/doorward") {
		if len(p.CgoFiles) > 0 && !p.Standard {
			t.Errorf("%s uses cgo", p.ImportPath)
		}
		if p.Module != nil && p.Module.Path != module {
			modules[p.Module.Path] = p.Module.Dir
		}
	}
	for path, dir := range modules {
		if licence := licenceOf(dir); licence == "" {
			t.Errorf("%s: no permissive licence was recognised in %s", path, filepath.Base(dir))
		}
	}
}

// permissive are words that stand in the text of a licence, and its name.
var permissive = [][2]string{
	{"SPDX-License-Identifier: BSD-3-Clause OR", "BSD"},
	{"Apache License", "Apache-2.0"},
	{"Permission is hereby granted, free of charge", "MIT"},
	{"Redistribution and use in source and binary forms", "BSD"},
	{"Permission to use, copy, modify, and/or distribute this software for any", "ISC"},
	{"Permission to use, copy, modify, and distribute this software for any", "ISC"},
	{"This is free and unencumbered software released into the public domain", "Unlicense"},
	{"CC0 1.0 Universal", "CC0-1.0"},
	{"dedicate any and all copyright interest", "public domain"},
	{"public domain", "public domain"},
}

func licenceOf(dir string) string {
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		name := strings.ToUpper(filepath.Base(f))
		if !strings.HasPrefix(name, "LICEN") && !strings.HasPrefix(name, "COPYING") && !strings.HasPrefix(name, "UNLICENSE") {
			continue
		}
		b, _ := os.ReadFile(f)
		text := strings.Join(strings.Fields(string(b)), " ")
		if !strings.Contains(text, permissive[0][0]) && strings.Contains(text, "GNU GENERAL PUBLIC LICENSE") || strings.Contains(text, "GNU AFFERO") {
			continue
		}
		for _, l := range permissive {
			if strings.Contains(strings.ToLower(text), strings.ToLower(l[0])) {
				return l[1]
			}
		}
	}
	return ""
}
