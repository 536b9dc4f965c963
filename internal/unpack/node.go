package unpack

// Node is one place of the tree that Explore makes: a file of a file system,
// a named part, or a carved region. Nodes of equal bytes share their Content.
type Node struct {
	Step    string // the path step that leads here from the parent
	Offset  int64  // in the parent's bytes; -1 if it has none there
	Size    int64
	Entry   *Entry            // if it is a file of a tree
	Info    map[string]string // what the parent's header says of it
	Format  string            // what the parent's header says that it is; "" if nothing
	Content *Content          // nil if it could not be read
}

// Content is a piece of bytes and what became of it. It is analysed once,
// however often it occurs.
type Content struct {
	SHA256   string // lower-case hex; "" if unknown, as of parts of sparse disks (files have it, and the artifact)
	Size     int64
	Data     Bytes // may decode lazily
	Reader   string
	Object   *Object // what a reader opened; nil for a leaf
	Tree     *Tree   // of Object.Entries
	Children []*Node // files of the tree, parts, or carved regions, by order of place
	Type     Type
	Entropy  float64 // bits per byte; of leaves
	Gaps     []Gap   // unread parts of these bytes
	Facts    any     // what Options.Observe returned
}

// Type says in general what bytes are.
type Type string

// The types that Explore tells apart.
const (
	TypeObject     Type = "object"     // opened by a reader
	TypeCarved     Type = "carved"     // raw bytes in which regions were found
	TypeText       Type = "text"       // text in ASCII, UTF-8 or an 8-bit code page
	TypeScript     Type = "script"     // text that starts with #!
	TypeELF        Type = "elf"        //
	TypePE         Type = "pe"         //
	TypeMachO      Type = "macho"      //
	TypeMedia      Type = "media"      // pictures, sound, fonts, key rings: nothing in them runs
	TypeCode       Type = "code"       // raw machine code
	TypeCompressed Type = "compressed" // dense, with a structure of packed data
	TypeEncrypted  Type = "encrypted"  // dense and without structure
	TypePadding    Type = "padding"    // one byte value throughout
	TypeData       Type = "data"       // anything else
)

// Executable says that the type is a program format.
func (t Type) Executable() bool { return t == TypeELF || t == TypePE || t == TypeMachO }

// IsText says that the type is read as text.
func (t Type) IsText() bool { return t == TypeText || t == TypeScript }
