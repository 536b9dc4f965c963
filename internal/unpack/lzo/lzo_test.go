package lzo

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
)

// blocks are the packed and unpacked blocks of a file that lzop made with the
// options -P (no name) in one file: 38 bytes of header, then blocks.
func blocks(t *testing.T, file []byte, name string, each func(packed []byte, size int)) {
	t.Helper()
	at := 9 + 2*3 + 2 + 4*4 + 1 + len(name) + 4
	flags := binary.BigEndian.Uint32(file[9+2*3+2:])
	for {
		size := binary.BigEndian.Uint32(file[at:])
		if size == 0 {
			return
		}
		packed := binary.BigEndian.Uint32(file[at+4:])
		at += 8
		if flags&1 != 0 {
			at += 4
		}
		if flags&2 != 0 && packed < size {
			at += 4
		}
		each(file[at:at+int(packed)], int(size))
		at += int(packed)
	}
}

// TestAgainstLzop decodes what lzop packed at each of its levels.
func TestAgainstLzop(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	var plain []byte
	for len(plain) < 600_000 {
		switch rnd.Intn(3) {
		case 0:
			plain = append(plain, make([]byte, rnd.Intn(70_000))...)
		case 1:
			noise := make([]byte, rnd.Intn(2000))
			rnd.Read(noise)
			plain = append(plain, noise...)
		default:
			at := rnd.Intn(len(plain) + 1)
			plain = append(plain, plain[at:min(len(plain), at+rnd.Intn(3000))]...)
		}
	}
	for _, level := range []string{"-1", "-3", "-7", "-9"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "plain"), plain, 0o600); err != nil {
			t.Fatal(err)
		}
		testtool.Run(t, dir, "lzop", level, "-o", "packed", "plain")
		file, err := os.ReadFile(filepath.Join(dir, "packed"))
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		blocks(t, file, "plain", func(packed []byte, size int) {
			dst := make([]byte, size)
			if len(packed) == size {
				copy(dst, packed)
			} else if n, used, err := Decode(dst, packed); err != nil || n != size || used != len(packed) {
				t.Fatalf("level %s: %d of %d bytes from %d of %d: %v", level, n, size, used, len(packed), err)
			}
			got = append(got, dst...)
		})
		if !bytes.Equal(got, plain) {
			t.Errorf("level %s: unpacked bytes differ", level)
		}
	}
}

// TestByHand checks instructions one by one, written from the kernel's text.
func TestByHand(t *testing.T) {
	end := "110000"
	for _, c := range []struct{ what, packed, want string }{
		{"short first literals", "13" + "6162" + end, "6162"},
		{"long first literals", "16" + "6162636465" + end, "6162636465"},
		{"match of 2 after 1 literal", "1261" + "0000" + end, "616161"},
		{"match of 3 from 2049 is out of reach", "16" + "6162636465" + "0000" + end, "error"},
		{"match of 3 with 1 literal behind", "1261" + "4100" + "7a" + end, "616161617a"},
		{"match of 5 overlapping", "136162" + "8400" + end, "61626162616261"},
		{"long match", "1261" + "20010000" + end, "61" + "6161616161616161616161616161616161616161616161616161616161616161616161"[:68]},
		{"run of zeros in version 1", "1101" + "1261" + "18fcff00" + end, "6100000000"},
		{"no end", "136162", "error"},
		{"distance too far", "136162" + "8c00" + end, "error"},
	} {
		packed, err := hex.DecodeString(c.packed)
		if err != nil {
			t.Fatal(c.what, err)
		}
		dst := make([]byte, 100)
		n, used, err := Decode(dst, packed)
		got := hex.EncodeToString(dst[:n])
		if err != nil {
			got = "error"
		} else if used != len(packed) {
			t.Errorf("%s: used %d of %d", c.what, used, len(packed))
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s (%v)", c.what, got, c.want, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x13ab\x84\x00\x11\x00\x00"))
	f.Add([]byte("\x11\x01\x12a\x18\xfc\xff\x00\x11\x00\x00"))
	f.Fuzz(func(t *testing.T, src []byte) {
		dst := make([]byte, 8192)
		if n, used, _ := Decode(dst, src); n > len(dst) || used > len(src) {
			t.Fatal(n, used)
		}
	})
}
