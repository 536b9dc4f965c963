package main

import (
	"os"
	"path/filepath"
)

// disk is a raw ext4 file system, and a folder with the same files.
type disk struct{ image, tree string }

// diskImage is a file system of a size that holds the given trees.
func diskImage(dir, name, size string, sets ...string) (d disk, err error) {
	d = disk{filepath.Join(dir, name+".img"), filepath.Join(dir, "tree-"+name)}
	if exists(d.image) {
		return d, nil
	}
	if err := os.MkdirAll(d.tree, 0o755); err != nil {
		return d, err
	}
	for _, set := range sets {
		from, err := tree(dir, set)
		if err != nil {
			return d, err
		}
		if err := command(dir, "cp", "-a", from, filepath.Join(d.tree, set)); err != nil {
			return d, err
		}
	}
	defer os.RemoveAll(d.tree)
	making := d.image + ".new"
	os.Remove(making)
	if err := command(dir, "mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1,nodiscard", "-d", d.tree, making, size); err != nil {
		return d, err
	}
	return d, os.Rename(making, d.image)
}
