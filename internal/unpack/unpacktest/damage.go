package unpacktest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
)

// Damaged says what Damage may expect of a format.
type Damaged struct {
	Rounds int // changes to try; 500 if 0

	// Unchecked says that the format has no checksum over the content of files:
	// then wrong bytes are counted, but no failure.
	Unchecked bool

	// From and To bound what is changed: the part of the image that the format's
	// checksums cover. To is the image's end if 0.
	From, To int
}

// Damage changes an image in every way that storage does (a bit, a byte, a
// zeroed or erased block, two blocks that change places, a cut end) and looks
// at what a reader makes of it: each file is the original, or is reported as an
// error, or is missing together with an error or a gap of the object. It fails
// for anything else: wrong bytes in silence, a file that vanishes in silence.
// It logs how often each happened.
func Damage(t *testing.T, r *unpack.Reader, image []byte, d Damaged) {
	t.Helper()
	want := contents(OpenBytes(t, r, image))
	if len(want) == 0 {
		t.Fatal("the undamaged image has no content")
	}
	if d.Rounds == 0 {
		d.Rounds = 500
	}
	if d.To == 0 {
		d.To = len(image)
	}
	rnd := rand.New(rand.NewSource(1))
	count := map[string]int{}
	for range d.Rounds {
		b, how := change(rnd, image, d.From, d.To)
		word, path := outcome(r, b, want)
		count[word]++
		if word == "silent" && !d.Unchecked {
			t.Errorf("%s: %s is wrong, and nothing says so", how, path)
		}
	}
	t.Logf("%s: %d changes: %d refused, %d reported, %d without effect, %d wrong in silence", r.Name, d.Rounds, count["refused"], count["reported"], count["right"], count["silent"])
}

// contents are the digests of all files and parts.
func contents(o *unpack.Object) map[string]string {
	c := map[string]string{}
	add := func(name string, data unpack.Bytes, err error) {
		if err != nil {
			c[name] = "error"
			return
		}
		var b []byte
		if data != nil {
			if b, err = unpack.ReadAll(data, 1<<30); err != nil {
				c[name] = "error"
				return
			}
		}
		c[name] = fmt.Sprintf("%x", sha256.Sum256(b))
	}
	for i := range o.Entries {
		if e := &o.Entries[i]; e.Mode.IsRegular() {
			add(e.Path, e.Data, e.Err)
		}
	}
	for i, p := range o.Parts {
		add(fmt.Sprintf("part %d %s", i, p.Name), p.Data, nil)
	}
	return c
}

// outcome says what a reader makes of a changed image, and of which file.
func outcome(r *unpack.Reader, b []byte, want map[string]string) (word, path string) {
	o, err := r.Open(Input(b))
	if err != nil {
		return "refused", ""
	}
	got := contents(o)
	word = "right"
	for path, sum := range want {
		switch g, there := got[path]; {
		case g == sum:
		case g == "error" || o.Err != nil || len(o.Gaps) > 0:
			word = "reported"
		case !there:
			return "silent", path + " (missing)"
		default:
			return "silent", path
		}
	}
	return word, ""
}

// change damages a copy of b between from and to.
func change(rnd *rand.Rand, b []byte, from, to int) ([]byte, string) {
	b = bytes.Clone(b)
	at := from + rnd.Intn(to-from)
	n := min(1<<rnd.Intn(13), to-at)
	switch rnd.Intn(6) {
	case 0, 1:
		b[at] ^= 1 << rnd.Intn(8)
		return b, fmt.Sprintf("a bit at 0x%x", at)
	case 2:
		b[at] = byte(rnd.Intn(256))
		return b, fmt.Sprintf("the byte at 0x%x", at)
	case 3:
		fill := byte(0)
		if rnd.Intn(2) == 0 {
			fill = 0xff
		}
		for i := range n {
			b[at+i] = fill
		}
		return b, fmt.Sprintf("%d bytes at 0x%x set to 0x%x", n, at, fill)
	case 4:
		other := from + rnd.Intn(to-from)
		n = min(n, to-other)
		tmp := bytes.Clone(b[at : at+n])
		copy(b[at:at+n], b[other:other+n])
		copy(b[other:other+n], tmp)
		return b, fmt.Sprintf("%d bytes at 0x%x and 0x%x swapped", n, at, other)
	}
	return b[:at], fmt.Sprintf("cut at 0x%x", at)
}
