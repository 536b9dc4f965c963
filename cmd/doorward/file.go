package main

import (
	"fmt"
	"io"
	"os"
)

// maxText is the size up to which a report, policy, declaration, envelope or key
// is read, in bytes. What is inspected has limits of its own.
const maxText = 512 << 20

// readText reads a file whole. It stops at maxText: a device or a pipe need not
// end.
func readText(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err == nil && len(b) > maxText {
		err = fmt.Errorf("%s has more than %d MB, too much for a report, policy or declaration", path, maxText>>20)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}
