// Command generate writes the table of formats to the file that it is given.
package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/doorward/doorward/internal/unpack/formats"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "generate: give the file to write, as go generate ./internal/unpack/formats does")
		os.Exit(2)
	}
	var b bytes.Buffer
	formats.WriteTable(&b)
	if err := os.WriteFile(os.Args[1], b.Bytes(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}
