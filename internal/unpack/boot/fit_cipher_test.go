package boot

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// mkimage encrypts, with the vector in the tree or beside the key.
func TestFITWithKey(t *testing.T) {
	content := unpacktest.MixedBytes(50_003)
	for _, bits := range []int{128, 192, 256} {
		for _, iv := range []string{"", `iv-name-hint = "vector";`} {
			t.Run(fmt.Sprint(bits, iv), func(t *testing.T) {
				dir := t.TempDir()
				key, vector := unpacktest.Noise(int64(bits), bits/8), unpacktest.Noise(3, 16)
				os.Mkdir(filepath.Join(dir, "keys"), 0o755)
				unpacktest.WriteFile(t, dir, "keys/dev.bin", key)
				unpacktest.WriteFile(t, dir, "keys/vector.bin", vector)
				unpacktest.WriteFile(t, dir, "kernel", content)
				unpacktest.WriteFile(t, dir, "c.dts", []byte("/dts-v1/; / { model = \"x\"; };"))
				unpacktest.WriteFile(t, dir, "f.its", fmt.Appendf(nil, `/dts-v1/; / { description = "d"; #address-cells = <1>; images { kernel { description = "k"; data = /incbin/("kernel");
	type = "kernel"; arch = "arm"; os = "linux"; compression = "none"; load = <0>; entry = <0>; hash-1 { algo = "sha256"; };
	cipher { algo = "aes%d"; key-name-hint = "dev"; %s }; }; }; configurations { default = "c"; c { kernel = "kernel"; }; }; };`, bits, iv))
				testtool.Run(t, dir, "dtc", "-q", "-O", "dtb", "-o", "c.dtb", "c.dts")
				testtool.Run(t, dir, "mkimage", "-f", "f.its", "-k", "keys", "-K", "c.dtb", "-r", "out")
				b, err := os.ReadFile(filepath.Join(dir, "out"))
				if err != nil {
					t.Fatal(err)
				}
				wrong := unpacktest.Noise(9, bits/8)
				give := []string{string(wrong), fmt.Sprintf("%x\n", key), string(vector)}
				if bits == 128 && iv != "" {
					give = give[1:] // of two vectors that may be, neither is taken
				}
				o := unpacktest.OpenWithKeys(t, FIT, b, give...)
				if len(o.Gaps) != 0 || o.Err != nil || !bytes.Equal(unpacktest.PartBytes(t, o.Parts[0]), content) || o.Parts[0].Info["hash-1"] != "sha256 verified" {
					t.Fatalf("%v %v %+v", o.Gaps, o.Err, o.Parts[0].Info)
				}
				for _, keys := range [][]string{nil, {string(wrong), string(vector)}} {
					o := unpacktest.OpenWithKeys(t, FIT, b, keys...)
					if len(o.Gaps) != 1 || o.Gaps[0].Reason != "encrypted" || o.Parts[0].Data != nil || !strings.Contains(o.Gaps[0].Note, "key") {
						t.Errorf("%+v", o.Gaps)
					}
				}
			})
		}
	}
}
