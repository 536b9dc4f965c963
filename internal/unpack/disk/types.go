package disk

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

//go:embed data/mbr_types.txt
var mbrTypesText string

//go:embed data/gpt_types.txt
var gptTypesText string

// The words for types of partitions, by code in lower-case hex or by GUID.
var (
	mbrTypes = sync.OnceValue(func() map[string]string { return typeTable(mbrTypesText) })
	gptTypes = sync.OnceValue(func() map[string]string { return typeTable(gptTypesText) })
)

// typeTable reads lines of a code, a space, and words; # begins a comment.
func typeTable(text string) map[string]string {
	table := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if code, words, ok := strings.Cut(line, " "); ok && !strings.HasPrefix(line, "#") {
			table[code] = strings.TrimSpace(words)
		}
	}
	return table
}

// typeWords is a code with the words for it, if there are any.
func typeWords(table map[string]string, code string) string {
	if words := table[code]; words != "" {
		return fmt.Sprintf("%s (%s)", words, code)
	}
	return code
}
