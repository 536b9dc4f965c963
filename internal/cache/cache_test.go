package cache

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T, dir string) (*Cache, *[]string) {
	t.Helper()
	var lines []string
	var mu sync.Mutex
	c, err := Open(dir, func(text string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, text)
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, &lines
}

func key(parts ...string) string {
	k := NewKey()
	for _, p := range parts {
		k.Add("part", p)
	}
	return k.String()
}

func TestGetWhatWasPut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "folder")
	c, lines := open(t, dir)
	if got := c.Get(key("a")); got != nil {
		t.Errorf("%q was never put", got)
	}
	c.Put(key("a"), []byte("value"))
	again, _ := open(t, dir)
	if got := again.Get(key("a")); string(got) != "value" {
		t.Errorf("got %q", got)
	}
	if key("ab", "c") == key("a", "bc") {
		t.Error("parts of keys run into each other")
	}
	if len(*lines) > 0 {
		t.Errorf("warned: %q", *lines)
	}
	info, err := os.Stat(filepath.Join(dir, key("a")))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v: only the user may read the cache", info.Mode(), err)
	}
	var none *Cache
	none.Put("x", []byte("y"))
	if none.Get("x") != nil {
		t.Error("no cache holds something")
	}
}

// TestDamageIsIgnored cuts and changes a file at each place: its value is not
// given, and a line says why.
func TestDamageIsIgnored(t *testing.T) {
	dir := t.TempDir()
	c, lines := open(t, dir)
	c.Put(key("a"), []byte("some value"))
	file := filepath.Join(dir, key("a"))
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		changed := bytes.Clone(whole)
		changed[i] ^= 0x40
		for _, b := range [][]byte{changed, whole[:i]} {
			*lines = nil
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if got := c.Get(key("a")); got != nil {
				t.Fatalf("damage at %d gave %q", i, got)
			}
			if len(*lines) != 1 || strings.Contains((*lines)[0], "\n") || !strings.Contains((*lines)[0], "ignored") {
				t.Fatalf("damage at %d: %q", i, *lines)
			}
		}
	}
	c.Put(key("a"), []byte("some value"))
	if got := c.Get(key("a")); string(got) != "some value" {
		t.Errorf("after the damage was mended: %q", got)
	}
}

func TestOtherVersionIsIgnored(t *testing.T) {
	dir := t.TempDir()
	c, lines := open(t, dir)
	if err := os.WriteFile(filepath.Join(dir, key("a")), []byte("doorward-cache 2\nwhatever"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c.Get(key("a")) != nil || len(*lines) != 1 || !strings.Contains((*lines)[0], "another version") {
		t.Errorf("%q", *lines)
	}
}

// TestManyAtOnce has several caches of one folder put and get the same keys: a
// value is whole or not there.
func TestManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	var wait sync.WaitGroup
	for n := range 8 {
		c, lines := open(t, dir)
		wait.Go(func() {
			for i := range 50 {
				k := key(fmt.Sprint(i % 5))
				want := bytes.Repeat([]byte{byte(i % 5)}, 10_000)
				if (i+n)%2 == 0 {
					c.Put(k, want)
				} else if got := c.Get(k); got != nil && !bytes.Equal(got, want) {
					t.Errorf("%d bytes", len(got))
				}
			}
			if len(*lines) > 0 {
				t.Errorf("%q", *lines)
			}
		})
	}
	wait.Wait()
}

func TestOldGivesWay(t *testing.T) {
	dir := t.TempDir()
	c, _ := open(t, dir)
	c.max = 10_000
	for i := range 8 {
		c.Put(key(fmt.Sprint(i)), bytes.Repeat([]byte("x"), 1200))
		old := time.Now().Add(time.Duration(i-100) * time.Hour)
		os.Chtimes(filepath.Join(dir, key(fmt.Sprint(i))), old, old)
	}
	c.Get(key("0")) // of use again
	c.Put(key("new"), bytes.Repeat([]byte("x"), 1200))
	for name, want := range map[string]bool{"0": true, "new": true, "7": true, "1": false} {
		if got := c.Get(key(name)) != nil; got != want {
			t.Errorf("%s is kept: %v", name, got)
		}
	}
}
