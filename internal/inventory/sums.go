package inventory

import (
	"encoding/base64"
	"encoding/hex"
	"path"
	"strings"
)

// fileSum is what a package database says of one file's bytes.
type fileSum struct {
	path      string // below the root
	algorithm string // md5, sha1, sha256 ...
	sum       string // lower-case hex; cut to 40 digits in apk's short form of SHA-256
	config    bool   // there to be changed
}

// sumFiles are the lists of checksums beside a package's list of files: of dpkg
// (deb-md5sums(5)) and of opkg as OpenWrt and its relatives build it.
var sumFiles = []string{".md5sums", ".files-md5sum", ".files-sha256sum", ".sha256sums"}

// algorithms by the number of hex digits.
var algorithms = map[int]string{32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}

// sumOf is a checksum of hex digits; ok is false for anything else.
func sumOf(file, sum string) (fileSum, bool) {
	a := algorithms[len(sum)]
	if _, err := hex.DecodeString(sum); a == "" || err != nil || file == "" {
		return fileSum{}, false
	}
	return fileSum{path: file, algorithm: a, sum: strings.ToLower(sum)}, true
}

// sumLines reads what md5sum(1) and its relatives write: the digits, a blank, a
// blank or an asterisk, the name; with a backslash in front if the name is escaped.
func sumLines(text string) []fileSum {
	var list []fileSum
	for line := range strings.Lines(text) {
		line, escaped := strings.CutPrefix(strings.TrimRight(line, "\r\n"), `\`)
		sum, name, _ := strings.Cut(line, " ")
		name = strings.TrimPrefix(strings.TrimLeft(name, " "), "*")
		if escaped {
			name = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r").Replace(name)
		}
		if s, ok := sumOf(strings.TrimPrefix(name, "./"), sum); ok {
			list = append(list, s)
		}
	}
	return list
}

// confFiles reads the field Conffiles of a status file: a path and a checksum a
// line, and maybe a word (obsolete). What dpkg has not settled yet has the word
// newconffile for a checksum.
func confFiles(text string) []fileSum {
	var list []fileSum
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		if s, ok := sumOf(f[0], f[1]); ok {
			s.config = true
			list = append(list, s)
		}
	}
	return list
}

// apkSum reads the value of a line Z of apk's database: Q1 and the SHA-1 in
// base64, or Q2 and SHA-256, whole or its first 20 bytes. What lies in etc is
// apk's protected path: configuration.
func apkSum(file, value string) []fileSum {
	if len(value) < 2 {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(value[2:])
	a := map[string]string{"Q1": "sha1", "Q2": "sha256"}[value[:2]]
	if err != nil || a == "" || len(b) != 20 && len(b) != 32 {
		return nil
	}
	return []fileSum{{path: file, algorithm: a, sum: hex.EncodeToString(b), config: strings.HasPrefix(file, "etc/")}}
}

// Tags of an rpm header that tell of its files (rpmtag.h), the numbers of
// digest algorithms (RFC 9580, section 9.5), and flags (rpmfiles.h).
const (
	rpmFileStates, rpmFileDigests, rpmFileFlags, rpmDigestAlgorithm = 1029, 1035, 1037, 5011

	rpmChar, rpmInt8    = 1, 2
	rpmConfig, rpmGhost = 1, 64
)

var rpmAlgorithms = map[uint32]string{0: "md5", 1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512"}

// sums are the checksums of a header's files, whose paths are given. Files that
// are not installed, or replaced by those of another package, have none; nor
// have those that a program makes (ghosts).
func (h *rpmValues) sums(files []string) []fileSum {
	digests, flags, states := h.texts(rpmFileDigests), h.numbers(rpmFileFlags), h.bytes(rpmFileStates)
	algorithm := "md5"
	if n := h.numbers(rpmDigestAlgorithm); len(n) > 0 {
		algorithm = rpmAlgorithms[n[0]]
	}
	var list []fileSum
	for i, d := range digests {
		if i >= len(files) || i < len(states) && states[i] != 0 || i < len(flags) && flags[i]&rpmGhost != 0 {
			continue
		}
		if s, ok := sumOf(files[i], d); ok && s.algorithm == algorithm {
			s.config = i < len(flags) && flags[i]&rpmConfig != 0
			list = append(list, s)
		}
	}
	return list
}

// bytes are the values of a tag of single bytes.
func (h *rpmValues) bytes(tag uint32) []byte {
	e, ok := h.entries[tag]
	if !ok || e.kind != rpmChar && e.kind != rpmInt8 || uint64(e.offset)+uint64(e.count) > uint64(len(h.data)) {
		return nil
	}
	return h.data[e.offset : uint64(e.offset)+uint64(e.count)]
}

// diversions are the files that dpkg puts elsewhere: for each path the new one
// and the package that may keep its own there, ":" if none (dpkg-divert(1)).
type diversions map[string]struct{ to, by string }

func readDiversions(text string) diversions {
	d := diversions{}
	lines := strings.Split(text, "\n")
	for i := 0; i+2 < len(lines); i += 3 {
		from := strings.TrimPrefix(path.Clean(lines[i]), "/")
		e := d[from]
		e.to, e.by = strings.TrimPrefix(path.Clean(lines[i+1]), "/"), lines[i+2]
		d[from] = e
	}
	return d
}

// place is where a package's file lies.
func (d diversions) place(file, pkg string) string {
	file = strings.TrimPrefix(path.Clean("/"+file), "/")
	if e, ok := d[file]; ok && e.by != pkg {
		return e.to
	}
	return file
}
