package archive

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// RPM opens packages of rpm. Layout: docs/manual of rpm (format_lead,
// format_header, format_payload), the tags of include/rpm/rpmtag.h.
var RPM = &unpack.Reader{
	Name:    "rpm",
	Doc:     "rpm packages of versions 3 and 4, binary and source: their files with owners, modes and capabilities from the header, the scripts, and the digests.",
	Limits:  "Owners stand in a package by name: root is 0, any other 65534 with its name in the attribute rpm.user or rpm.group. Signatures are not verified, and delta packages are not read.",
	Checked: "rpmbuild 4.18 with all of its payload compressors, random trees, and a package with every script and trigger",
	Magics:  []unpack.Magic{{At: 0, Bytes: rpmLead}},
	Carve:   true,
	Open:    openRPM,
}

const (
	rpmLead     = "\xed\xab\xee\xdb"
	rpmLeadSize = 96
)

// Tags of the signature header.
const (
	rpmSigLongSize = 270
	rpmSigSHA1     = 269
	rpmSigSHA256   = 273
	rpmSigSize     = 1000
	rpmSigMD5      = 1004
)

// Tags of the header.
const (
	rpmTagName       = 1000
	rpmTagVersion    = 1001
	rpmTagRelease    = 1002
	rpmTagEpoch      = 1003
	rpmTagVendor     = 1011
	rpmTagLicence    = 1014
	rpmTagURL        = 1020
	rpmTagArch       = 1022
	rpmTagPayload    = 1124
	rpmTagCompressor = 1125
	rpmTagDigest     = 5092
	rpmTagDigestAlgo = 5093
)

// rpmPackage is a package that is being opened.
type rpmPackage struct {
	in        *unpack.Input
	signature *rpmHeader
	header    *rpmHeader
	start     int64 // of the header
	payload   int64 // its offset
	end       int64
	cut       int64 // bytes that are missing
}

func openRPM(in *unpack.Input) (*unpack.Object, error) {
	lead, err := unpack.ReadFull(in.Data, 0, rpmLeadSize)
	if err != nil || string(lead[:4]) != rpmLead || lead[4] < 3 || lead[4] > 4 || lead[6] != 0 || lead[7] > 1 {
		return nil, unpack.ErrNotThis
	}
	p := &rpmPackage{in: in}
	if p.signature, err = readRPMHeader(in.Data, rpmLeadSize); err != nil {
		return nil, unpack.ErrNotThis
	}
	p.start = rpmLeadSize + (int64(len(p.signature.raw))+7)&^7
	if p.header, err = readRPMHeader(in.Data, p.start); err != nil || p.header.text(rpmTagName) == "" {
		return nil, unpack.ErrNotThis
	}
	p.payload = p.start + int64(len(p.header.raw))
	p.extent()
	o := &unpack.Object{Format: p.format(lead[7] == 1), Size: p.end, System: true, Info: p.info()}
	g := unpack.NewGatherer(in)
	if err := p.verify(); err != nil {
		g.Damage(err)
	}
	p.files(g)
	g.Finish(o)
	o.Parts = []unpack.Part{p.control()}
	return o, nil
}

// extent finds where the package ends. What states no size takes all there is.
func (p *rpmPackage) extent() {
	p.end = p.in.Data.Size()
	size, ok := p.signature.number(rpmSigLongSize)
	if !ok {
		size, ok = p.signature.number(rpmSigSize)
	}
	if !ok || size < uint64(len(p.header.raw)) || size > 1<<50 {
		return
	}
	end := p.start + int64(size)
	p.cut = max(0, end-p.end)
	p.end = min(end, p.end)
}

func (p *rpmPackage) format(source bool) string {
	format := strings.TrimSuffix("rpm "+p.compressor(), " identity")
	if source {
		format = "source " + format
	}
	return format
}

func (p *rpmPackage) compressor() string {
	if c := p.header.text(rpmTagCompressor); c != "" {
		return c
	}
	if string(unpack.ReadSome(p.in.Data, p.payload, 4)) == "0707" {
		return "identity"
	}
	return "gzip"
}

func (p *rpmPackage) info() map[string]string {
	h := p.header
	info := map[string]string{"name": h.text(rpmTagName), "version": h.text(rpmTagVersion) + "-" + h.text(rpmTagRelease)}
	for word, tag := range map[string]uint32{"vendor": rpmTagVendor, "url": rpmTagURL, "licence": rpmTagLicence, "architecture": rpmTagArch} {
		if s := h.text(tag); s != "" {
			info[word] = strings.ToValidUTF8(s, "?")
		}
	}
	if n, ok := h.number(rpmTagEpoch); ok && n > 0 {
		info["epoch"] = strconv.FormatUint(n, 10)
	}
	return info
}

// verify compares the digests that the package states.
func (p *rpmPackage) verify() error {
	if p.cut > 0 {
		return &unpack.CutOff{Format: "rpm", Missing: p.cut, Of: p.end + p.cut}
	}
	check := func(what string, want string, h hash.Hash, from int64) error {
		if want == "" {
			return nil
		}
		err := unpack.Chunks(p.in.Data, from, p.end-from, func(b []byte) { h.Write(b) })
		if err == nil && hex.EncodeToString(h.Sum(nil)) != want {
			err = fmt.Errorf("rpm: the digest of the %s is wrong", what)
		}
		return err
	}
	ofHeader := func(want string, h hash.Hash) error {
		h.Write(p.header.raw)
		if want != "" && hex.EncodeToString(h.Sum(nil)) != want {
			return errors.New("rpm: the digest of the header is wrong")
		}
		return nil
	}
	err := errors.Join(ofHeader(p.signature.text(rpmSigSHA1), sha1.New()), ofHeader(p.signature.text(rpmSigSHA256), sha256.New()))
	payload := ""
	if algo, ok := p.header.number(rpmTagDigestAlgo); ok && algo == 8 {
		payload = p.header.text(rpmTagDigest)
	}
	if err == nil {
		err = check("payload", payload, sha256.New(), p.payload)
	}
	// The older MD5 covers the same again.
	if err == nil && payload == "" {
		err = check("package", hex.EncodeToString(p.signature.binary(rpmSigMD5)), md5.New(), p.start)
	}
	return err
}
