package unpack

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

// Reader opens one format.
type Reader struct {
	Name string // as it stands in paths: squashfs, uimage, gzip
	Doc  string // one sentence: what it opens, which variants

	// For docs/formats.md: what of the format is not read ("" if all of it is),
	// and what the reader was checked against.
	Limits  string
	Checked string

	// Magics are what a file of this format has at fixed places; any of them
	// makes it a candidate. A format without a magic has none and is tried on
	// what nothing else opened.
	Magics []Magic

	// Carve allows candidates at any offset of raw bytes, found by their magic
	// (whose bytes must then be at least 3 long). Leave it out where Open
	// could not tell a false magic from a true one.
	Carve bool

	// Program is for readers of what programs carry besides themselves: an
	// archive behind their end, a payload in a section. Open sees every program
	// (ELF, PE, Mach-O) and every script that no other reader opens, gives what
	// it finds as parts and gaps, and ErrNotThis if there is nothing, which it
	// must tell fast: it is called for each program of a product. To the
	// detectors the content stays a program.
	Program bool

	// Block is for formats without a magic that stand at the start of a flash
	// block or sector: the carver shows it every aligned piece of blockSize
	// bytes (shorter at the end), and it says, fast, if an object could start
	// there.
	Block func(b []byte) bool

	// Open reads the object that starts at the first byte of in.Data; more may
	// follow behind it. It validates as it goes (lengths, checksums, structure),
	// since a magic alone proves nothing, and returns ErrNotThis for bytes that
	// only look like the format. A damaged object gives what could be read
	// together with an error in Object.Err. It must not panic on any input, and
	// not allocate more than it has checked.
	Open func(in *Input) (*Object, error)

	// Folder opens the same thing where its files lie in a folder: nil if they
	// are not there. Most formats have none.
	Folder func(ctx context.Context, budget *Budget, entries []Entry) *Object
}

// Magic is a byte string at an offset from the object's start.
type Magic struct {
	At    int64
	Bytes string
}

// ErrNotThis says that the bytes are not of the reader's format.
var ErrNotThis = errors.New("not this format")

// Input is what a reader gets.
type Input struct {
	Context context.Context
	Data    Bytes   // from the object's first byte to the end of what encloses it
	Whole   bool    // Data is a whole file or part; not a carving candidate
	Budget  *Budget // limits of the whole artifact

	find func(text string, from int64) int64 // FindBytes with a memory, while carving
}

// Next is the offset of text in the input from some offset on, or -1.
func (in *Input) Next(text string, from int64) int64 {
	if in.find != nil {
		return in.find(text, from)
	}
	return FindBytes(in.Data, from, text)
}

// Object is what a reader opened.
type Object struct {
	Format string            // with its variant: "squashfs 4.0 xz"
	Size   int64             // how many bytes of the input it takes, padding that belongs to it included
	Info   map[string]string // what the headers say: version, label, command line, load address

	// Entries are the content of a file system or an archive, in any order;
	// Tree makes a tree of them. System says that it is a file system or
	// package content, whose absolute links resolve inside it.
	Entries []Entry
	System  bool

	// Parts are named pieces: the payloads of a header, the images of a FIT,
	// the partitions of a table, the content of a compressed stream (one part
	// without a name).
	Parts []Part

	Gaps []Gap // what could not be read
	Err  error // what went wrong after the decoded part; nil if all is well

	failed bool // the reader panicked
}

// Part is a named piece of an object. Its content is explored in turn.
type Part struct {
	Name   string // "kernel", "rootfs"; empty for the content of a stream
	Data   Bytes
	Offset int64 // of the part in the object's input, for the picture; -1 if it has none (decoded)
	Info   map[string]string
	Format string // if the header says what it is: "kernel", "ramdisk", "script", CodePart

	// Object is set if the part is open already, since it is made of several
	// pieces: a container image of its layers. Data is what identifies it then.
	Object *Object
}

// CodePart is the Format of a part that is known to be the code and data of a
// program for the bare machine. It is searched for objects and texts, but it is
// not unread if nothing opens in it, as little as a program's file is.
const CodePart = "code"

// Gap is a part of an object that could not be read.
type Gap struct {
	Offset int64
	Size   int64
	Reason string // encrypted, compressed, unknown, limit, damaged, unsupported
	Note   string
}

// Entry is one file, folder, link or device of a tree. The content is decoded
// when Data is read.
type Entry struct {
	Path    string      // slash-separated; Tree cleans it
	Mode    fs.FileMode // Go's type bits, permissions, ModeSetuid, ModeSetgid, ModeSticky
	UID     int
	GID     int
	ModTime time.Time
	Link    string            // target of a symbolic link
	Major   uint32            // of a device
	Minor   uint32            // of a device
	Xattrs  map[string]string // by full name: security.capability
	Data    Bytes             // of a regular file; nil if it is empty or could not be opened
	Inode   uint64            // equal and not zero for hard links of one file
	Order   int64             // place in the image: visiting by it avoids decoding a block twice
	Deleted bool              // still in the artifact, but not in the product (a lower layer, a deleted inode)
	Layer   string            // the layer or part that it comes from, if there are several
	Err     error             // why the content can't be read
}

// Size is the length of the entry's content in bytes.
func (e *Entry) Size() int64 {
	if e.Data == nil {
		return 0
	}
	return e.Data.Size()
}
