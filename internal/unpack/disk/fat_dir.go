package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/doorward/doorward/internal/unpack"
)

// fatDirent is one file or folder of a folder.
type fatDirent struct {
	name    string
	attr    byte
	start   uint32
	size    int64
	time    time.Time
	deleted bool
	at      int64 // of its entry, from the start of the folder's bytes
}

type fatTask struct {
	path string
	runs []run
	data unpack.Bytes
}

// walkAll lists all folders from the root on.
func (f *fatFS) walkAll() {
	f.g.Add(unpack.Entry{Path: ".", Mode: fs.ModeDir | 0o755})
	root := fatTask{data: unpack.Window(f.data, f.rootAt, f.rootSize)}
	if f.bits == 32 {
		var err error
		if root, err = f.folder("", f.root); err != nil {
			f.g.Damage(fmt.Errorf("fat: the root folder: %w", err))
		}
	}
	todo := []fatTask{root}
	for len(todo) > 0 && !f.g.Stop() {
		task := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if task.data == nil {
			continue
		}
		err := f.list(task.data, func(d fatDirent) bool {
			if d.deleted {
				f.deleted = append(f.deleted, fatGone{task.path, d})
				return true
			}
			if d.attr&fatLabel != 0 {
				if task.path == "" && f.label == "" {
					f.label = strings.TrimSpace(d.name)
				}
				return true
			}
			more, ok := f.add(task.path, d)
			if more.data != nil {
				todo = append(todo, more)
			}
			return ok
		})
		if err != nil {
			f.g.Damage(fmt.Errorf("fat: folder %q: %w", "/"+task.path, err))
		}
	}
}

// folder is the content of a folder by its first cluster.
func (f *fatFS) folder(path string, start uint32) (fatTask, error) {
	runs, err := f.follow(start, 0, fatMaxFolder/f.cluster)
	if len(runs) == 0 {
		return fatTask{}, err
	}
	data, bad := f.content(runs, length(runs)*f.cluster, nil)
	if bad != nil {
		return fatTask{}, bad
	}
	return fatTask{path, runs, data}, err
}

// add adds a file or folder; the task is the folder's content.
func (f *fatFS) add(dir string, d fatDirent) (fatTask, bool) {
	path, err := unpack.JoinName(dir, d.name)
	if err != nil {
		f.g.Damage(fmt.Errorf("fat: %w", err))
	}
	f.paths[path] = 1
	e := unpack.Entry{Path: path, Mode: d.mode(), ModTime: d.time, Order: int64(d.start)}
	var more fatTask
	switch {
	case d.attr&fatFolder != 0:
		if more, err = f.folder(path, d.start); err != nil {
			f.g.Damage(fmt.Errorf("fat: folder %q: %w", "/"+path, err))
		}
	case d.size > 0:
		runs, err := f.follow(d.start, f.need(d.size), 0)
		if e.Data, e.Err = f.content(runs, d.size, err); e.Err == nil {
			if p, ok := e.Data.(*partial); ok {
				err = p.err
			}
		} else {
			err = e.Err
		}
		if err != nil {
			f.g.Damage(fmt.Errorf("fat: %q: %w", path, err))
		}
	}
	return more, f.g.Add(e)
}

// mode is what a mounted FAT shows.
func (d fatDirent) mode() fs.FileMode {
	mode := fs.FileMode(0o755)
	if d.attr&fatReadOnly != 0 {
		mode = 0o555
	}
	if d.attr&fatFolder != 0 {
		mode |= fs.ModeDir
	}
	return mode
}

// list calls give with what a folder holds, deleted files too, until that
// returns false.
func (f *fatFS) list(data unpack.Bytes, give func(fatDirent) bool) error {
	var long, gone fatLongName
	for at := int64(0); at+fatEntry <= data.Size(); {
		b := unpack.ReadSome(data, at, 64<<10)
		if len(b) < fatEntry {
			return errors.New("it can't be read")
		}
		for ; len(b) >= fatEntry; b, at = b[fatEntry:], at+fatEntry {
			e := b[:fatEntry]
			switch {
			case e[0] == 0:
				return nil
			case e[0] == fatDeleted && e[11]&0x3f == fatLong:
				gone.addDeleted(e)
			case e[11]&0x3f == fatLong:
				long.add(e)
				gone = fatLongName{}
			case e[0] == fatDeleted:
				d := f.dirent(e, at, gone.deletedName(e))
				d.deleted = true
				long, gone = fatLongName{}, fatLongName{}
				if d.attr&fatLabel == 0 && !give(d) {
					return nil
				}
			default:
				d := f.dirent(e, at, long.name(e))
				long, gone = fatLongName{}, fatLongName{}
				if e[0] == '.' && (d.name == "." || d.name == "..") {
					continue
				}
				if !give(d) {
					return nil
				}
			}
		}
	}
	return nil
}

func (f *fatFS) dirent(e []byte, at int64, long string) fatDirent {
	d := fatDirent{name: long, attr: e[11], size: int64(binary.LittleEndian.Uint32(e[28:])), at: at}
	if long == "" {
		d.name = shortName(e)
	}
	d.start = uint32(binary.LittleEndian.Uint16(e[26:]))
	if f.bits == 32 {
		d.start |= uint32(binary.LittleEndian.Uint16(e[20:])) << 16
	}
	d.time = fatTime(binary.LittleEndian.Uint16(e[24:]), binary.LittleEndian.Uint16(e[22:]))
	return d
}

// fatTime is local time of a zone that nobody wrote down: taken as UTC.
func fatTime(date, clock uint16) time.Time {
	if date == 0 {
		return time.Time{}
	}
	return time.Date(1980+int(date>>9), time.Month(date>>5&15), int(date&31), int(clock>>11), int(clock>>5&63), int(clock&31)*2, 0, time.UTC)
}

// shortName is a name of 8 and 3 characters, in small letters where the flags
// of Windows NT say so.
func shortName(e []byte) string {
	raw := append([]byte{}, e[:11]...)
	if raw[0] == 0x05 {
		raw[0] = fatDeleted
	}
	if raw[0] == fatDeleted && e[0] == fatDeleted {
		raw[0] = '_'
	}
	base, ext := strings.TrimRight(codePage437(raw[:8]), " "), strings.TrimRight(codePage437(raw[8:]), " ")
	if e[11]&fatLabel != 0 {
		return codePage437(raw)
	}
	if e[12]&0x08 != 0 {
		base = strings.ToLower(base)
	}
	if e[12]&0x10 != 0 {
		ext = strings.ToLower(ext)
	}
	if ext == "" {
		return base
	}
	return base + "." + ext
}

// fatLongName gathers the entries of a long name, which stand before the short
// one, the last first.
type fatLongName struct {
	units []uint16
	next  byte // the number that must follow; 0 if all are there
	sum   byte
	ok    bool
}

func (l *fatLongName) add(e []byte) {
	number := e[0]
	if number&0x40 != 0 {
		*l = fatLongName{next: number & 0x3f, sum: e[13], ok: number&0x3f <= 20}
		number &= 0x3f
	}
	if !l.ok || number == 0 || number != l.next || e[13] != l.sum {
		*l = fatLongName{}
		return
	}
	l.next--
	l.units = append(longUnits(e), l.units...)
}

// addDeleted is add for an entry whose number was overwritten.
func (l *fatLongName) addDeleted(e []byte) {
	if !l.ok || e[13] != l.sum || len(l.units) > 255 {
		*l = fatLongName{sum: e[13], ok: true}
	}
	l.units = append(longUnits(e), l.units...)
}

func longUnits(e []byte) (u []uint16) {
	for _, r := range [][2]int{{1, 11}, {14, 26}, {28, 32}} {
		for i := r[0]; i < r[1]; i += 2 {
			u = append(u, binary.LittleEndian.Uint16(e[i:]))
		}
	}
	return u
}

func (l *fatLongName) text() string {
	for i, u := range l.units {
		if u == 0 || u == 0xffff {
			return string(utf16.Decode(l.units[:i]))
		}
	}
	return string(utf16.Decode(l.units))
}

// name is the long name, if it is complete and belongs to the short one.
func (l *fatLongName) name(e []byte) string {
	if !l.ok || l.next != 0 || l.sum != shortSum(e) {
		return ""
	}
	return l.text()
}

// deletedName is the same for a deleted file, the first byte of whose short
// name is overwritten: some byte must give the checksum.
func (l *fatLongName) deletedName(e []byte) string {
	if !l.ok {
		return ""
	}
	short := append([]byte{}, e[:11]...)
	for c := range 256 {
		if short[0] = byte(c); shortSum(short) == l.sum {
			return l.text()
		}
	}
	return ""
}

func shortSum(e []byte) (sum byte) {
	for _, c := range e[:11] {
		sum = sum>>1 | sum<<7
		sum += c
	}
	return sum
}

// codePage437 is text in the first PC's character set.
func codePage437(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		if c < 0x80 {
			s.WriteByte(c)
		} else {
			s.WriteRune(upper437[c-0x80])
		}
	}
	return s.String()
}

var upper437 = []rune("ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0")
