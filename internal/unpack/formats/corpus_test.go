package formats

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// corpusReasons is what stands there of the files that do not open as a whole.
var corpusReasons = map[string]string{
	"mbr.img.xz":              "cut off: partition 4", // the image is shorter than its table says
	"uboot.dtb":               "carved",               // code with a device tree behind it
	"uboot.image_with_header": "carved",
}

// TestCorpus opens every file of the development data: each has a reader that
// takes it without an error, or stands there with the reason.
func TestCorpus(t *testing.T) {
	dir := filepath.Dir(unpacktest.Corpus(t, "formats/cramfs.img"))
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(p, ".img.xz") {
			if b, err = exec.Command(testtool.Need(t, "xz"), "-dc", p).Output(); err != nil {
				t.Fatal(err)
			}
		}
		res, err := unpack.Explore(context.Background(), filepath.Base(p), unpack.Slice(b), unpack.Options{Readers: All})
		if err != nil {
			t.Fatal(err)
		}
		c := res.Root.Content
		says := ""
		switch {
		case c.Object == nil:
			says = fmt.Sprint(c.Type, c.Gaps)
		case c.Object.Err != nil || len(c.Gaps) > 0:
			says = fmt.Sprint(c.Object.Err, c.Gaps)
		}
		t.Logf("%-28s %s %s", filepath.Base(p), c.Reader, says)
		if want := corpusReasons[filepath.Base(p)]; !strings.HasPrefix(says, want) || (want == "" && says != "") {
			t.Errorf("%s: %s", filepath.Base(p), says)
		}
		return nil
	})
}
