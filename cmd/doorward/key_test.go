package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"time"

	"github.com/alecthomas/kong"
	"github.com/doorward/doorward/internal/cache"
	"github.com/doorward/doorward/internal/scan"
	"github.com/doorward/doorward/internal/testtool"
)

// A report that was made without the key, and kept, is not served to who has
// it; and the key is in neither.
func TestKeysAndCache(t *testing.T) {
	dir := t.TempDir()
	secret := "correct horse 77 battery"
	os.WriteFile(filepath.Join(dir, "notes"), []byte("nothing to see\n"), 0o644)
	os.WriteFile(filepath.Join(dir, "pass"), []byte(secret+"\n"), 0o600)
	testtool.Run(t, dir, "zip", "-q", "-P", secret, "a.zip", "notes")
	store, err := cache.Open(filepath.Join(dir, "cache"), func(text string) { t.Log(text) })
	if err != nil {
		t.Fatal(err)
	}
	keys, err := readKeys([]string{filepath.Join(dir, "pass")})
	if err != nil {
		t.Fatal(err)
	}
	opt := scan.Options{At: time.Now(), NoTimes: true, Cache: store, Program: "p"}
	unread := func() (reasons string) {
		r, err := scan.Report(t.Context(), filepath.Join(dir, "a.zip"), opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range r.Unread {
			reasons += u.Reason + ": " + u.Note + "\n"
		}
		return reasons
	}
	if got := unread(); !strings.Contains(got, "encrypted") || !strings.Contains(got, "--key") {
		t.Errorf("without a key: %q", got)
	}
	opt.Keys = keys
	for range 2 {
		if got := unread(); got != "" {
			t.Errorf("with the key: %q", got)
		}
	}
	opt.Keys = nil
	if got := unread(); !strings.Contains(got, "encrypted") {
		t.Errorf("without a key again: %q", got)
	}
	filepath.WalkDir(filepath.Join(dir, "cache"), func(p string, e os.DirEntry, err error) error {
		if b, _ := os.ReadFile(p); strings.Contains(string(b), secret) {
			t.Errorf("%s holds the key", p)
		}
		return nil
	})
	if _, err := readKeys([]string{filepath.Join(dir, "none")}); err == nil {
		t.Error("a key that is not there")
	}
}

// Every command's flags can be parsed: two of one name make all of it unusable.
func TestFlagsHaveOneName(t *testing.T) {
	var cli struct {
		Inspect inspectCmd `cmd:""`
		Decide  decideCmd  `cmd:""`
	}
	if _, err := kong.New(&cli); err != nil {
		t.Fatal(err)
	}
}
