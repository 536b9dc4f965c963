package uefi

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/testtool"
	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// acpiTable makes a table with iasl's own template for it.
func acpiTable(t testing.TB, name string) []byte {
	dir := t.TempDir()
	testtool.Run(t, dir, "iasl", "-T", name)
	asl := strings.ToLower(name) + ".asl"
	if _, err := os.Stat(filepath.Join(dir, asl)); err != nil {
		t.Fatal(err)
	}
	testtool.Run(t, dir, "iasl", asl)
	b, err := os.ReadFile(filepath.Join(dir, strings.ToLower(name)+".aml"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestACPI: tables alone, and in a raw image between other bytes.
func TestACPI(t *testing.T) {
	testtool.Need(t, "iasl")
	image := unpacktest.Noise(1, 8192)
	for _, name := range []string{"DSDT", "SSDT", "FACP", "APIC", "HPET", "MCFG", "SLIC", "WPBT", "TPM2", "DMAR"} {
		b := acpiTable(t, name)
		o := unpacktest.OpenBytes(t, ACPITable, b)
		if o.Info["table"] != name || o.Size != int64(len(b)) || !strings.HasPrefix(o.Info["made by"], "INTL 0x") {
			t.Errorf("%s: %d of %d, %v", name, o.Size, len(b), o.Info)
		}
		b[40] ^= 1
		if o, err := ACPITable.Open(unpacktest.Input(b)); err != nil || o.Err == nil {
			t.Errorf("%s: a wrong checksum is not told", name)
		}
		b[40] ^= 1
		image = append(append(image, b...), unpacktest.Noise(2, 999)...)
	}
	r, err := unpack.Explore(context.Background(), "image", unpack.Slice(image), unpack.Options{Readers: []*unpack.Reader{ACPITable}})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, n := range r.Root.Content.Children {
		if n.Content.Object != nil {
			found++
		}
	}
	if found != 10 {
		t.Errorf("%d tables in the image", found)
	}
	for _, text := range []string{"APIC and DSDT are the names of tables, and this is a text about them.", "DSDT\x30\x00\x00\x00\x02\x00OEMIDxTABLEIDx\x00\x00\x00\x00INTL\x00\x00\x00\x00" + strings.Repeat("y", 40)} {
		if _, err := ACPITable.Open(unpacktest.Input([]byte(text))); !errors.Is(err, unpack.ErrNotThis) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzACPI(f *testing.F) {
	unpacktest.Fuzz(f, ACPITable, []byte("SSDT\x24\x00\x00\x00\x02\x00OEMIDxTABLEIDx\x00\x00\x00\x00INTL\x00\x00\x00\x00"))
}
