package firmware

import (
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
)

// writable reports start-up files, and programs that start-up runs, that
// everybody may write or replace.
func (r *privileges) writable(p *product.Product) {
	used := r.startupFiles()
	byVolume := map[*product.Volume][]*product.File{}
	for f := range used {
		r.out.Looked(doorward.KindPrivilege, 1, "file that start-up runs")
		if f.Volume != nil && (r.canChange(f) && openToAll(f) || !readOnly(f.Volume.Format) && openFolder(f) != "") {
			byVolume[f.Volume] = append(byVolume[f.Volume], f)
		}
	}
	for _, v := range p.Volumes {
		list := byVolume[v]
		sort.Slice(list, func(i, j int) bool { return list[i].Path < list[j].Path })
		if len(list) > 3 && mostlyOpen(v) {
			r.allOpen(list, used)
			continue
		}
		for _, f := range list {
			r.reportWritable(f, used[f], "")
		}
	}
}

// startupFiles are the scripts and programs of events, with what uses them.
func (r *privileges) startupFiles() map[*product.File]*startup.Event {
	used := map[*product.File]*startup.Event{}
	for i := range r.log.Events {
		e := &r.log.Events[i]
		if e.User != "" && e.User != "root" || e.Trigger == "login" {
			continue
		}
		for _, f := range []*product.File{e.By.File, e.File} {
			if f != nil && used[f] == nil {
				used[f] = e
			}
		}
	}
	return used
}

// canChange says that a file, or the copy of it that start-up makes in memory,
// lies in a file system that can be written.
func (r *privileges) canChange(f *product.File) bool {
	return !readOnly(f.Volume.Format) || len(r.log.RunPath(f)) > 1
}

// readOnly says that a file system cannot be written while the product runs.
func readOnly(format string) bool {
	for _, name := range []string{"squashfs", "cramfs", "romfs", "erofs", "iso9660"} {
		if strings.HasPrefix(format, name) {
			return true
		}
	}
	return false
}

func openToAll(f *product.File) bool { return f.Mode()&0o002 != 0 && f.Mode().IsRegular() }

// openFolder is the folder above a file in which everybody may replace it.
func openFolder(f *product.File) string {
	for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
		e := f.Volume.Tree.Entry(dir)
		if e != nil && e.Mode&0o002 != 0 && e.Mode&fs.ModeSticky == 0 && e.Mode.IsDir() {
			return dir
		}
	}
	return ""
}

// mostlyOpen says that the image was made without care for modes: they say
// nothing of the running product then.
func mostlyOpen(v *product.Volume) bool {
	open, all := 0, 0
	for _, f := range v.List() {
		all++
		if openToAll(f) {
			open++
		}
	}
	return open*2 > all
}

func (r *privileges) allOpen(list []*product.File, used map[*product.File]*startup.Event) {
	r.reportWritable(list[0], used[list[0]], fmt.Sprintf("; so are %d other start-up files and most of the file system: the image was made so, and the product may be stricter", len(list)-1))
}

func (r *privileges) reportWritable(f *product.File, e *startup.Event, more string) {
	x := right{what: "startup", gain: doorward.Control, certainty: doorward.Shown, found: f.Mode().String() + " " + f.Path, references: []string{"CWE-732", "T1037"},
		check: "unpack the product; ls -l " + f.Path, title: "everybody may write " + f.Path + ", which is run as root",
		note: "run at " + e.Trigger + " by " + e.Manager + more}
	if !openToAll(f) {
		dir := openFolder(f)
		x.found = f.Volume.Tree.Entry(dir).Mode.String() + " " + dir
		x.title = "everybody may replace " + f.Path + ", which is run as root"
		x.check = "unpack the product; ls -ld " + dir
	}
	if more != "" {
		x.certainty, x.weight = doorward.Hint, doorward.Low
	}
	r.report(f, x)
}
