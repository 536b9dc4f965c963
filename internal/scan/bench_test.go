package scan

import (
	"context"
	"os"
	"testing"
)

// BenchmarkInspect inspects the file that DOORWARD_BENCH names, or the demo
// product; -cpuprofile then shows where the time goes.
func BenchmarkInspect(b *testing.B) {
	file := os.Getenv("DOORWARD_BENCH")
	if file == "" {
		file = "../../testdata/demo/camera.bin"
	}
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	for b.Loop() {
		p, closer, err := Open(context.Background(), file, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Inspect(context.Background(), p, Options{}); err != nil {
			b.Fatal(err)
		}
		closer()
	}
}
