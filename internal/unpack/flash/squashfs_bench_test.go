package flash

import (
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// BenchmarkSquashfs reads everything in an image of this machine's programs,
// in the order of place, on one goroutine and on as many as there are cores.
func BenchmarkSquashfs(b *testing.B) {
	dir := benchTree(b)
	for _, args := range []string{"gzip", "lzma", "xz", "xz -Xbcj x86", "xz -b 1M", "lzo", "lz4", "zstd"} {
		var img []byte
		for _, workers := range []int{1, 2} {
			name := strings.ReplaceAll(args, " ", "_") + map[int]string{1: "", 2: "/parallel"}[workers]
			b.Run(name, func(b *testing.B) {
				if img == nil {
					img = mksquashfs(b, dir, append([]string{"-comp"}, strings.Fields(args)...)...)
				}
				total := int64(0)
				for b.Loop() {
					total = readEverything(b, unpacktest.OpenBytes(b, Squashfs, img), workers)
				}
				b.SetBytes(total)
				b.ReportAllocs()
			})
		}
	}
}

// benchTree links some megabytes of programs and of small text files.
func benchTree(b *testing.B) string {
	dir := filepath.Join(b.TempDir(), "tree")
	os.Mkdir(dir, 0o755)
	total := int64(0)
	for _, pattern := range []string{"/usr/bin/*", "/usr/share/*/*.*", "/usr/share/*/*/*.*", "/etc/*"} {
		room := total + 2<<20
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			info, err := os.Stat(name)
			if err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 || total+info.Size() > room {
				continue
			}
			content, err := os.ReadFile(name)
			if err == nil && os.WriteFile(filepath.Join(dir, strings.ReplaceAll(name[1:], "/", "_")), content, 0o644) == nil {
				total += info.Size()
			}
		}
	}
	return dir
}

func readEverything(b *testing.B, o *unpack.Object, workers int) int64 {
	entries := o.Entries
	sort.SliceStable(entries, func(i, j int) bool { return entries[i].Order < entries[j].Order })
	var next, total atomic.Int64
	var wait sync.WaitGroup
	for range workers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := next.Add(1) - 1; i < int64(len(entries)); i = next.Add(1) - 1 {
				if entries[i].Data == nil {
					continue
				}
				got, err := unpack.ReadAll(entries[i].Data, 1<<30)
				if err != nil {
					b.Error(err)
				}
				total.Add(int64(len(got)))
			}
		}()
	}
	wait.Wait()
	return total.Load()
}
