package bundle

import (
	"bytes"

	"github.com/doorward/doorward/internal/unpack"
)

// Script gives what a shell script carries behind its last line: the archive of
// a self-extracting installer, such as makeself's.
var Script = &unpack.Reader{
	Name:    "script",
	Doc:     "what scripts carry behind their last line: the archive of a self-extracting installer (makeself and its like).",
	Limits:  "Archives written as text (shar, uuencode, base64) are not decoded.",
	Checked: "makeself 2.4.5 with gzip, bzip2, xz and no compression",
	Magics:  []unpack.Magic{{At: 0, Bytes: "#!"}},
	Program: true,
	Open:    openScript,
}

// scriptMagics are the beginnings of what stands behind scripts.
var scriptMagics = []string{"\x1f\x8b\x08", "\xfd7zXZ\x00", "BZh", "PK\x03\x04", "7z\xbc\xaf", "\x28\xb5\x2f\xfd", "\x5d\x00\x00", "\x7fELF", "MSCF", "070701", "\x1f\x9d", "LZIP", "\x04\x22\x4d\x18", "hsqs", "sqsh"}

// scriptMax is how far a payload is looked for: scripts are short.
const scriptMax = 4 << 20

func openScript(in *unpack.Input) (*unpack.Object, error) {
	head := unpack.ReadSome(in.Data, 0, scriptMax)
	binary := bytes.IndexByte(head, 0)
	if binary < 0 {
		return nil, unpack.ErrNotThis
	}
	at := payloadLine(head, binary)
	if at <= 0 || in.Data.Size()-int64(at) < overlayMin {
		return nil, unpack.ErrNotThis
	}
	p := unpack.Part{Name: "payload", Data: unpack.Window(in.Data, int64(at), in.Data.Size()), Offset: int64(at)}
	return &unpack.Object{Format: "script", Size: in.Data.Size(), Parts: []unpack.Part{p}}, nil
}

// payloadLine is the start of the first line that begins like an archive, or of
// the line with the first NUL.
func payloadLine(b []byte, binary int) int {
	for at := 0; at < binary; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 || at+i >= binary {
			break
		}
		at += i + 1
		line := b[at:min(at+512, len(b))]
		for _, m := range scriptMagics {
			if bytes.HasPrefix(line, []byte(m)) {
				return at
			}
		}
		if len(line) > 262 && string(line[257:262]) == "ustar" {
			return at
		}
	}
	return bytes.LastIndexByte(b[:binary], '\n') + 1
}
