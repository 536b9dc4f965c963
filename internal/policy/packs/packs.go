// Package packs holds ready policies: data alone, each with the source of its
// rules and with cases whose expectations are taken from that source. They are a
// start: an organisation copies one (doorward policy show) and sets its own lists
// and levels.
package packs

import (
	"embed"
	"fmt"
	"path"
	"strings"
)

//go:embed *.yaml
var files embed.FS

// Prefix is how a pack is named where a policy's file is asked for.
const Prefix = "pack:"

const (
	suffix      = ".yaml"
	casesSuffix = ".cases.yaml"
)

// Names lists the packs, in alphabetical order.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok && !strings.HasSuffix(e.Name(), casesSuffix) {
			out = append(out, name)
		}
	}
	return out
}

// Read gives a pack's policy and its cases, as they stand in their files.
func Read(name string) (policy, cases []byte, err error) {
	policy, err = files.ReadFile(path.Clean(name) + suffix)
	if err != nil {
		return nil, nil, fmt.Errorf("there is no pack %q: there are %s", name, strings.Join(Names(), ", "))
	}
	cases, err = files.ReadFile(path.Clean(name) + casesSuffix)
	return policy, cases, err
}
