package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/doorward/doorward/internal/unpack"
	"github.com/doorward/doorward/internal/unpack/unpacktest"
)

// layerTar makes a layer of names and contents: "dir/" is a folder, "a -> b" a
// link, "a => b" a hard link.
func layerTar(t testing.TB, files ...[2]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1])), Typeflag: tar.TypeReg}
		if from, to, ok := strings.Cut(f[0], " -> "); ok {
			h.Name, h.Linkname, h.Typeflag = from, to, tar.TypeSymlink
		} else if from, to, ok := strings.Cut(f[0], " => "); ok {
			h.Name, h.Linkname, h.Typeflag = from, to, tar.TypeLink
		} else if strings.HasSuffix(f[0], "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(f[1]))
	}
	w.Close()
	return buf.Bytes()
}

// imageFiles are the files of a layout by path.
type imageFiles map[string][]byte

// blob adds a blob and returns its descriptor.
func (f imageFiles) blob(b []byte) map[string]any {
	digest := fmt.Sprintf("%x", sha256.Sum256(b))
	f["blobs/sha256/"+digest] = b
	return map[string]any{"digest": "sha256:" + digest, "size": len(b)}
}

func (f imageFiles) json(v any) map[string]any {
	b, _ := json.Marshal(v)
	return f.blob(b)
}

func (f imageFiles) image(arch string, layers ...[]byte) map[string]any {
	var list []any
	for _, l := range layers {
		list = append(list, f.blob(l))
	}
	config := f.json(map[string]any{"architecture": arch, "os": "linux", "config": map[string]any{"Env": []string{"TOKEN=s3cret"}, "Entrypoint": []string{"/bin/app"}}})
	d := f.json(map[string]any{"schemaVersion": 2, "config": config, "layers": list})
	d["platform"] = map[string]any{"os": "linux", "architecture": arch}
	return d
}

func (f imageFiles) tar(t testing.TB) []byte {
	var names []string
	for name := range f {
		names = append(names, name)
	}
	sort.Strings(names)
	var list [][2]string
	for _, name := range names {
		list = append(list, [2]string{name, string(f[name])})
	}
	return layerTar(t, list...)
}

func layoutOf(t testing.TB, images ...func(imageFiles) map[string]any) imageFiles {
	f := imageFiles{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)}
	var manifests []any
	for _, img := range images {
		manifests = append(manifests, img(f))
	}
	f["index.json"], _ = json.Marshal(map[string]any{"schemaVersion": 2, "manifests": manifests})
	return f
}

func gzipped(t testing.TB, b []byte) []byte {
	return unpacktest.PackWith(t, b, "plain.gz", "gzip", "-n", "plain")
}
func zstded(t testing.TB, b []byte) []byte {
	return unpacktest.PackWith(t, b, "plain.zst", "zstd", "-q", "plain")
}

// shown are the files of an object: content, D for deleted.
func shown(t testing.TB, o *unpack.Object) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, e := range o.Entries {
		text := "?"
		switch {
		case e.Mode.IsDir():
			continue
		case e.Mode&fs.ModeSymlink != 0:
			text = "-> " + e.Link
		case e.Err != nil:
			text = e.Err.Error()
		case e.Data == nil:
			text = ""
		default:
			b, err := unpack.ReadAll(e.Data, 1<<20)
			if err != nil {
				t.Error(err)
			}
			text = string(b)
		}
		if e.Deleted {
			text = "D " + text
		}
		got[e.Path] = text
	}
	return got
}

func sameShown(t testing.TB, got, want map[string]string) {
	t.Helper()
	for p := range want {
		if _, ok := got[p]; !ok {
			t.Errorf("no %s", p)
		}
	}
	for p, text := range got {
		if want[p] != text {
			t.Errorf("%s is %q, want %q", p, text, want[p])
		}
	}
}

// testLayers change, delete and hide each other's files.
func testLayers(t testing.TB) [][]byte {
	return [][]byte{
		layerTar(t, [2]string{"etc/"}, [2]string{"etc/passwd", "first"}, [2]string{"etc/key", "private"}, [2]string{"opt/a/one", "1"}, [2]string{"opt/a/two", "2"},
			[2]string{"lib -> usr/lib"}, [2]string{"usr/lib/base", "b"}, [2]string{"gone/x/y", "deep"}, [2]string{"same", "same"}, [2]string{"was-file", "f"}, [2]string{"kept", "k"}),
		layerTar(t, [2]string{"etc/passwd", "second"}, [2]string{"etc/.wh.key"}, [2]string{"opt/a/.wh..wh..opq"}, [2]string{"opt/a/three", "3"},
			[2]string{"lib/added", "through a link"}, [2]string{".wh.gone"}, [2]string{"same", "same"}, [2]string{"was-file/"}, [2]string{"was-file/in", "i"}, [2]string{"hard => kept"}),
		layerTar(t, [2]string{"etc/passwd", "third"}, [2]string{"etc/key", "public"}, [2]string{"opt/.wh.nothing"}),
	}
}

func wantLayers(files imageFiles, layers [][]byte) map[string]string {
	name := func(i int) string { return fmt.Sprintf("%x", sha256.Sum256(layers[i]))[:12] }
	return map[string]string{
		"etc/passwd": "third", "layer:" + name(0) + "/etc/passwd": "D first", "layer:" + name(1) + "/etc/passwd": "D second",
		"etc/key": "public", "layer:" + name(0) + "/etc/key": "D private",
		"opt/a/three": "3", "opt/a/one": "D 1", "opt/a/two": "D 2",
		"lib": "-> usr/lib", "usr/lib/base": "b", "usr/lib/added": "through a link",
		"gone/x/y": "D deep", "same": "same", "was-file/in": "i", "layer:" + name(0) + "/was-file": "D f",
		"kept": "k", "hard": "k",
	}
}

func TestOCI(t *testing.T) {
	plain := testLayers(t)
	layers := [][]byte{gzipped(t, plain[0]), zstded(t, plain[1]), plain[2]}
	f := layoutOf(t, func(f imageFiles) map[string]any { return f.image("arm64", layers...) })
	f["blobs/sha256/left-over"] = []byte("not referred to")
	archive := f.tar(t)
	o := unpacktest.OpenBytes(t, OCI, archive)
	sameShown(t, shown(t, o), wantLayers(f, layers))
	if o.Size != int64(len(archive)) || o.Info["platform"] != "linux/arm64" || !strings.Contains(o.Info["config"], "TOKEN=s3cret") || len(o.Gaps) > 0 {
		t.Errorf("size %d, %v, %v", o.Size, o.Info, o.Gaps)
	}
	if len(o.Parts) != 1 || o.Parts[0].Name != "blobs/sha256/left-over" {
		t.Errorf("parts %v", o.Parts)
	}
	for _, e := range o.Entries {
		if e.Path == "hard" && e.Layer != fmt.Sprintf("%x", sha256.Sum256(layers[1]))[:12] {
			t.Errorf("hard is of layer %q", e.Layer)
		}
	}
	// As a folder, and explored.
	dir := t.TempDir()
	for name, b := range f {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		os.WriteFile(filepath.Join(dir, name), b, 0o644)
	}
	folder, closer, err := unpack.Folder(t.Context(), dir, unpack.NewBudget(unpack.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	r, err := unpack.ExploreTree(t.Context(), "image", folder, unpack.Options{Readers: readers})
	if err != nil || r.Root.Content.Reader != "oci" {
		t.Fatal(err, r.Root.Content.Reader)
	}
	sameShown(t, shown(t, r.Root.Content.Object), wantLayers(f, layers))
}

func TestOCISeveral(t *testing.T) {
	layer := layerTar(t, [2]string{"etc/hostname", "x"})
	other := layerTar(t, [2]string{"bin/app", "other"})
	f := layoutOf(t,
		func(f imageFiles) map[string]any { return f.image("amd64", layer) },
		func(f imageFiles) map[string]any {
			return f.json(map[string]any{"manifests": []any{f.image("arm64", layer, other)}})
		},
		func(f imageFiles) map[string]any { // what says where an image comes from is none
			d := f.image("unknown", []byte("{}"))
			d["annotations"] = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
			return d
		})
	r, err := unpack.Explore(t.Context(), "images.tar", unpack.Slice(f.tar(t)), unpack.Options{Readers: readers})
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for _, n := range r.Root.Content.Children {
		if n.Content.Object != nil && n.Content.Tree != nil {
			steps = append(steps, n.Step)
			if e := n.Content.Tree.Entry("etc/hostname"); e == nil {
				t.Errorf("%s has no etc/hostname", n.Step)
			}
		}
	}
	if got := strings.Join(steps, ", "); got != "oci:linux/amd64, oci:linux/arm64" {
		t.Errorf("images %s", got)
	}
}

func TestDockerSave(t *testing.T) {
	layers := testLayers(t)
	f := imageFiles{"config.json": []byte(`{"architecture":"arm","os":"linux","config":{"User":"root"}}`), "repositories": []byte("{}"), "aaaa/VERSION": []byte("1.0")}
	for i, l := range layers {
		f[fmt.Sprintf("layer-%d/layer.tar", i)] = l
	}
	f["manifest.json"] = []byte(`[{"Config":"config.json","RepoTags":["product:1.2"],"Layers":["layer-0/layer.tar","layer-1/layer.tar","layer-2/layer.tar"]}]`)
	o := unpacktest.OpenBytes(t, OCI, f.tar(t))
	want := map[string]string{}
	for p, text := range wantLayers(f, layers) {
		for i, l := range layers {
			p = strings.Replace(p, fmt.Sprintf("%x", sha256.Sum256(l))[:12], fmt.Sprintf("layer-%d", i), 1)
		}
		want[p] = text
	}
	sameShown(t, shown(t, o), want)
	if o.Info["image"] != "product:1.2" || o.Info["platform"] != "linux/arm" || len(o.Parts) > 0 {
		t.Errorf("%v %v", o.Info, o.Parts)
	}
}

// TestOCIDamaged reports what is missing or is not what its name says.
func TestOCIDamaged(t *testing.T) {
	one, two := layerTar(t, [2]string{"a", "1"}), layerTar(t, [2]string{"b", "2"})
	f := layoutOf(t, func(f imageFiles) map[string]any { return f.image("arm", one, two) })
	delete(f, fmt.Sprintf("blobs/sha256/%x", sha256.Sum256(one)))
	f[fmt.Sprintf("blobs/sha256/%x", sha256.Sum256(two))] = layerTar(t, [2]string{"b", "changed"})
	o := unpacktest.OpenBytes(t, OCI, f.tar(t))
	if len(o.Gaps) != 2 || !strings.Contains(o.Gaps[0].Note, "not in the archive") || !strings.Contains(o.Gaps[1].Note, "digest") {
		t.Errorf("gaps %v", o.Gaps)
	}
	sameShown(t, shown(t, o), map[string]string{"b": "changed"})
	if _, err := OCI.Open(unpacktest.Input(one)); !errors.Is(err, unpack.ErrNotThis) {
		t.Errorf("any tar archive is taken: %v", err)
	}
}

func FuzzOCI(f *testing.F) {
	layer := layerTar(f, [2]string{"a/b", "1"}, [2]string{"l -> a"})
	over := layerTar(f, [2]string{"a/.wh.b"}, [2]string{"l/c", "2"}, [2]string{"a/.wh..wh..opq"})
	unpacktest.Fuzz(f, OCI, layoutOf(f, func(fs imageFiles) map[string]any { return fs.image("arm", layer, over) }).tar(f))
}

// TestOCIDigests checks what describes an image, and says what is not included.
func TestOCIDigests(t *testing.T) {
	f := layoutOf(t,
		func(f imageFiles) map[string]any { return f.image("amd64", layerTar(t, [2]string{"a", "for amd64"})) },
		func(f imageFiles) map[string]any { return f.image("arm64", layerTar(t, [2]string{"a", "for arm64"})) },
		func(imageFiles) map[string]any {
			return map[string]any{"digest": "sha256:" + strings.Repeat("0", 64), "platform": map[string]any{"os": "linux", "architecture": "riscv64"}}
		})
	o := unpacktest.OpenBytes(t, OCI, f.tar(t))
	if len(o.Parts) != 2 || len(o.Gaps) > 0 || o.Info["images not included"] != "linux/riscv64" {
		t.Fatalf("%v, %v, %v", o.Parts, o.Gaps, o.Info)
	}
	for name, b := range f {
		if strings.Contains(string(b), `"architecture":"arm64"`) && name != "index.json" {
			f[name] = bytes.Replace(b, []byte("s3cret"), []byte("changed"), 1)
		}
	}
	o = unpacktest.OpenBytes(t, OCI, f.tar(t))
	if len(o.Gaps) != 1 || o.Gaps[0].Reason != "damaged" {
		t.Errorf("%v", o.Gaps)
	}
}
