// Command inspect measures `doorward inspect` in one run with its peers: with
// unpacking and hashing the same content by C programs, with the chain of tools
// that answers a part of the same question, and with itself after a change. The
// ratios are of processor seconds, user and system, the best of several runs. It
// fetches Debian packages for its inputs and runs nothing of them.
//
//	go run ./bench/inspect                  # all
//	go run ./bench/inspect -dir inputs      # inputs are made once and stay
//	go run ./bench/inspect -chain=false     # without binwalk, yara, strings, ssdeep, objdump
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

type bench struct {
	dir, tmp string // of inputs; of what peers write, in memory
	tool     string
	runs     int
	failed   int
}

func main() {
	dir := flag.String("dir", "", "keep the inputs in this folder")
	tmp := flag.String("tmp", "/dev/shm", "a folder in memory, for what peers unpack")
	runs := flag.Int("runs", 3, "runs of everything but the chain; the best counts")
	chain := flag.Bool("chain", true, "run the chain of tools, too")
	flag.Parse()
	if err := run(*dir, *tmp, *runs, *chain); err != nil {
		fmt.Fprintln(os.Stderr, "bench/inspect:", err)
		os.Exit(1)
	}
}

func run(dir, tmp string, runs int, chain bool) error {
	work, err := os.MkdirTemp(tmp, "doorward-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if dir == "" {
		dir = filepath.Join(work, "inputs")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b := &bench{dir: dir, tmp: work, tool: filepath.Join(work, "doorward"), runs: runs}
	if err := command("", "go", "build", "-trimpath", "-o", b.tool, "./cmd/doorward"); err != nil {
		return err
	}
	fmt.Printf("%-34s %8s %8s %8s\n", "", "CPU s", "wall s", "RSS MB")
	steps := []func() error{b.absolute, b.flashImages, b.diskImages, b.again}
	if chain {
		steps = append(steps, b.chain)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	if b.failed > 0 {
		return fmt.Errorf("%d bounds do not hold", b.failed)
	}
	return nil
}

// absolute holds two images against fixed bounds.
func (b *bench) absolute() error {
	router, err := routerImage(b.dir)
	if err != nil {
		return err
	}
	nas, err := nasImage(b.dir)
	if err != nil {
		return err
	}
	for _, in := range []struct {
		name, file string
		cpu        float64
		memory     int64
	}{{"router, xz squashfs", router, 5, 512}, {"NAS, uImage + gzip cpio", nas, 3, 190}} {
		c, err := b.inspect(in.name, in.file, "--no-cache")
		if err != nil {
			return err
		}
		b.bound("CPU seconds", c.cpu, in.cpu)
		b.bound("MB resident", float64(c.memory), float64(in.memory))
	}
	return nil
}

// flashImages compares with unpacking and hashing the same content.
func (b *bench) flashImages() error {
	for _, in := range []struct {
		comp  string
		ratio float64
	}{{"xz", 2.5}, {"gzip", 1.5}, {"zstd", 1.5}, {"lz4", 1.5}} {
		f, err := flashImage(b.dir, in.comp)
		if err != nil {
			return err
		}
		own, err := b.inspect("flash image, "+in.comp, f.image, "--no-cache")
		if err != nil {
			return err
		}
		peer, err := b.best("  unsquashfs, lz4, sha256sum", "sh", "-ec", flashPeer, "sh", f.image, f.payload, f.squash[0], f.squash[1])
		if err != nil {
			return err
		}
		b.bound("times the CPU of that", own.cpu/peer.cpu, in.ratio)
		b.bound("MB resident", float64(own.memory), 512)
	}
	return nil
}

// diskImages compares with copying out and hashing, and a sparse image with one
// of the same content that is dense.
func (b *bench) diskImages() error {
	d, err := diskImage(b.dir, "disk", "1G", "root", "apps", "modules")
	if err != nil {
		return err
	}
	own, err := b.inspect("disk image, 1 GB ext4", d.image, "--no-cache")
	if err != nil {
		return err
	}
	peer, err := b.best("  debugfs rdump, sha256sum", "sh", "-ec", diskPeer, "sh", d.image)
	if err != nil {
		return err
	}
	b.bound("times the CPU of that", own.cpu/peer.cpu, 1.5)
	b.bound("MB resident", float64(own.memory), 512)
	sparse, err := diskImage(b.dir, "sparse", "4G", "root")
	if err != nil {
		return err
	}
	dense, err := diskImage(b.dir, "dense", "128M", "root")
	if err != nil {
		return err
	}
	small, err := b.inspect("disk image, 128 MB", dense.image, "--no-cache")
	if err != nil {
		return err
	}
	large, err := b.inspect("the same files in 4 GB, sparse", sparse.image, "--no-cache")
	if err != nil {
		return err
	}
	hash, err := hashing(sparse.image)
	if err != nil {
		return err
	}
	fmt.Printf("%-34s %8.2f\n", "  one SHA-256 of the 4 GB, in Go", hash)
	b.bound("times the CPU of the small one and that digest", large.cpu/(small.cpu+hash), 1.2)
	virtual := filepath.Join(b.dir, "sparse.qcow2")
	if !exists(virtual) {
		if err := command(b.dir, "qemu-img", "convert", "-O", "qcow2", sparse.image, virtual); err != nil {
			return err
		}
	}
	inside, err := b.inspect("that as qcow2", virtual, "--no-cache")
	if err != nil {
		return err
	}
	b.bound("times the CPU of the small one", inside.cpu/small.cpu, 1.5)
	return nil
}

// again inspects the same image a second time, with the cache.
func (b *bench) again() error {
	f, err := flashImage(b.dir, "xz")
	if err != nil {
		return err
	}
	if err := os.Setenv("XDG_CACHE_HOME", filepath.Join(b.tmp, "cache")); err != nil {
		return err
	}
	runs := b.runs
	b.runs = 1
	first, err := b.inspect("flash image, xz, first run", f.image)
	b.runs = runs
	if err != nil {
		return err
	}
	second, err := b.inspect("flash image, xz, second run", f.image)
	if err != nil {
		return err
	}
	b.bound("of the CPU of the first run", second.cpu/first.cpu, 0.10)
	return b.changed(f, first)
}

// changed inspects the image with one file of twenty changed, after the first.
// That a file is the same shows only when it is decoded and hashed: what a peer
// needs for that is left out of both.
func (b *bench) changed(f flash, first cost) error {
	g, err := changedImage(b.dir, "xz")
	if err != nil {
		return err
	}
	runs := b.runs
	b.runs = 1 // the next one would find the report itself
	own, err := b.inspect("the same with 5 % of files changed", g.image)
	b.runs = runs
	if err != nil {
		return err
	}
	peer, err := b.best("  unsquashfs, lz4, sha256sum", "sh", "-ec", flashPeer, "sh", f.image, f.payload, f.squash[0], f.squash[1])
	if err != nil {
		return err
	}
	b.bound("of the first run's CPU, decoding and hashing left out of both", (own.cpu-peer.cpu)/(first.cpu-peer.cpu), 0.15)
	return nil
}

// chain runs what is used today for a part of the answer, once.
func (b *bench) chain() error {
	f, err := flashImage(b.dir, "xz")
	if err != nil {
		return err
	}
	rules := filepath.Join(b.tmp, "rules.yar")
	if err := os.WriteFile(rules, []byte(yaraRules(200)), 0o644); err != nil {
		return err
	}
	own, err := b.inspect("flash image, xz", f.image, "--no-cache")
	if err != nil {
		return err
	}
	runs := b.runs
	b.runs = 1
	peer, err := b.best("  binwalk, yara, strings, ssdeep, objdump", "bash", "-ec", chainPeer, "sh", f.image, rules)
	b.runs = runs
	if err != nil {
		return err
	}
	b.bound("of the CPU of that", own.cpu/peer.cpu, 0.10)
	return nil
}
