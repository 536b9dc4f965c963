package disk

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/doorward/doorward/internal/unpack"
)

// AndroidVBMeta opens the metadata of Android Verified Boot (libavb's
// avb_vbmeta_image.h and its descriptors).
var AndroidVBMeta = &unpack.Reader{
	Name:    "vbmeta",
	Doc:     "Android Verified Boot metadata: whether verification is on, the key, properties, command lines, the partitions that are covered",
	Limits:  "The signature itself and the digests of the covered partitions are not checked; the digest over the metadata is.",
	Checked: "images made by hand by the specification",
	Magics:  []unpack.Magic{{At: 0, Bytes: "AVB0"}},
	Carve:   true,
	Open:    openAndroidVBMeta,
}

// AndroidAVBFooter opens the footer by which a partition with content finds its
// metadata.
var AndroidAVBFooter = &unpack.Reader{
	Name:    "avb-footer",
	Doc:     "the footer of partitions that Android Verified Boot covers",
	Checked: "images made by hand by the specification",
	Magics:  []unpack.Magic{{At: 0, Bytes: "AVBf"}},
	Carve:   true,
	Open: func(in *unpack.Input) (*unpack.Object, error) {
		h, err := unpack.ReadFull(in.Data, 0, 64)
		if err != nil || binary.BigEndian.Uint32(h[4:]) != 1 || !bytes.Equal(h[36:], make([]byte, 28)) {
			return nil, unpack.ErrNotThis
		}
		u64 := func(i int) string { return fmt.Sprint(binary.BigEndian.Uint64(h[i:])) }
		return &unpack.Object{Format: "avb footer", Size: 64, Info: map[string]string{"content": u64(12) + " bytes", "metadata at": u64(20), "metadata": u64(28) + " bytes"}}, nil
	},
}

const (
	avbHeader = 256
	avbMax    = 16 << 20
)

// avbAlgorithms are names, and the digest each signs.
var avbAlgorithms = []struct {
	name string
	hash func() hash.Hash
}{
	{"none", nil},
	{"SHA-256 with RSA-2048", sha256.New}, {"SHA-256 with RSA-4096", sha256.New}, {"SHA-256 with RSA-8192", sha256.New},
	{"SHA-512 with RSA-2048", sha512.New}, {"SHA-512 with RSA-4096", sha512.New}, {"SHA-512 with RSA-8192", sha512.New},
}

// avbTestKeys are keys whose private half comes with the tool: SHA-1 of the
// public half.
var avbTestKeys = map[string]string{
	"cdbb77177f731920bbe0a0f94f84d9038ae0617d": "the public test key of AVB, RSA-2048: anybody can sign",
	"2597c218aae470a130f61162feaae70afd97f011": "the public test key of AVB, RSA-4096: anybody can sign",
}

func openAndroidVBMeta(in *unpack.Input) (*unpack.Object, error) {
	h, err := unpack.ReadFull(in.Data, 0, avbHeader)
	if err != nil {
		return nil, unpack.ErrNotThis
	}
	u64 := func(i int) int64 { return int64(min(binary.BigEndian.Uint64(h[i:]), 1<<60)) }
	auth, aux, algorithm := u64(12), u64(20), binary.BigEndian.Uint32(h[28:])
	if binary.BigEndian.Uint32(h[4:]) != 1 || auth > avbMax || aux > avbMax || auth%64 != 0 || aux%64 != 0 || int(algorithm) >= len(avbAlgorithms) || !bytes.Equal(h[176:], make([]byte, 80)) {
		return nil, unpack.ErrNotThis
	}
	for _, r := range [][3]int64{{32, 40, auth}, {48, 56, auth}, {64, 72, aux}, {80, 88, aux}, {96, 104, aux}} {
		if u64(int(r[0])) > r[2] || u64(int(r[1])) > r[2]-u64(int(r[0])) {
			return nil, unpack.ErrNotThis
		}
	}
	o := &unpack.Object{Format: "avb metadata", Size: min(avbHeader+auth+aux, in.Data.Size()), Info: map[string]string{"algorithm": avbAlgorithms[algorithm].name}}
	b, err := unpack.ReadFull(in.Data, 0, avbHeader+auth+aux)
	if err != nil {
		o.Err = fmt.Errorf("cut off: %w", err)
		return o, nil
	}
	authBlock, auxBlock := b[avbHeader:avbHeader+auth], b[avbHeader+auth:]
	if make := avbAlgorithms[algorithm].hash; make != nil {
		sum := make()
		sum.Write(h)
		sum.Write(auxBlock)
		if !bytes.Equal(sum.Sum(nil), authBlock[u64(32):u64(32)+u64(40)]) {
			addErr(o, errors.New("the digest of the metadata is wrong"))
		}
	}
	avbFlags(o, binary.BigEndian.Uint32(h[120:]))
	setText(o.Info, "made by", h[128:176])
	o.Info["rollback index"] = fmt.Sprint(u64(112))
	if key := auxBlock[u64(64) : u64(64)+u64(72)]; len(key) > 0 {
		o.Info["public key"] = fmt.Sprintf("SHA-1 %x", sha1.Sum(key))
		if words := avbTestKeys[fmt.Sprintf("%x", sha1.Sum(key))]; words != "" {
			o.Info["public key"] += ", " + words
		}
	}
	avbDescriptors(o, auxBlock[u64(96):u64(96)+u64(104)])
	return o, nil
}

func avbFlags(o *unpack.Object, flags uint32) {
	var words []string
	if flags&1 != 0 {
		words = append(words, "dm-verity is off")
	}
	if flags&2 != 0 {
		words = append(words, "verification is off")
	}
	if flags&^3 != 0 {
		words = append(words, fmt.Sprintf("0x%x", flags&^3))
	}
	if len(words) > 0 {
		o.Info["flags"] = strings.Join(words, ", ")
	}
}

// avbDescriptors reads the list of what is covered, and properties.
func avbDescriptors(o *unpack.Object, b []byte) {
	covered := []string{}
	for len(b) >= 16 {
		tag, n := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
		if n > uint64(len(b)-16) {
			addErr(o, errors.New("a descriptor is cut off"))
			break
		}
		d := b[16 : 16+n]
		switch tag {
		case 0:
			avbProperty(o, d)
		case 1:
			covered = appendName(covered, d, 88, 164, "hash tree")
		case 2:
			covered = appendName(covered, d, 40, 116, "hash")
		case 3:
			if len(d) >= 8 {
				setText(o.Info, "command line", d[8:])
			}
		case 4:
			covered = appendName(covered, d, 4, 76, "own key")
		}
		b = b[16+n:]
	}
	if len(covered) > 0 {
		o.Info["covers"] = strings.Join(covered, ", ")
	}
}

// avbProperty notes a key and a value, each with a NUL behind it.
func avbProperty(o *unpack.Object, d []byte) {
	if len(d) < 16 {
		return
	}
	k, v := binary.BigEndian.Uint64(d), binary.BigEndian.Uint64(d[8:])
	if room := uint64(len(d) - 16); k < room && v < room-k {
		o.Info[string(d[16:16+k])] = string(d[17+k : 17+k+v])
	}
}

// appendName adds the partition's name of a descriptor: its length stands at
// one place, the name from another on.
func appendName(list []string, d []byte, lengthAt, nameAt int, how string) []string {
	if len(d) < nameAt {
		return list
	}
	n := int(min(binary.BigEndian.Uint32(d[lengthAt:]), 1<<20))
	if n == 0 || n > len(d)-nameAt {
		return list
	}
	return append(list, fmt.Sprintf("%s (%s)", d[nameAt:nameAt+n], how))
}
