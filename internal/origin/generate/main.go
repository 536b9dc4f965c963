// Command generate makes the tables of internal/origin of published data: the
// IEEE's registry of MAC address blocks, and which country an IPv4 address is
// registered in. It gets both with npm pack; run it with go generate.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/doorward/doorward/internal/facts"
)

func main() {
	dir, err := os.MkdirTemp("", "doorward-data-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = errors.Join(registrants(dir), addresses(dir))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// fetched gets a package and returns one of its files, its version and its date.
func fetched(dir, pkg, name string) (content []byte, version, date string, err error) {
	cmd := exec.Command("npm", "pack", "--silent", "--pack-destination", dir, pkg)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, "", "", fmt.Errorf("npm pack %s: %w", pkg, err)
	}
	f, err := os.Open(filepath.Join(dir, strings.TrimSpace(string(out))))
	if err != nil {
		return nil, "", "", err
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return nil, "", "", err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err != nil {
			break
		}
		switch h.Name {
		case "package/" + name:
			content, _ = io.ReadAll(t)
		case "package/package.json":
			var p struct{ Version string }
			b, _ := io.ReadAll(t)
			_ = json.Unmarshal(b, &p)
			version = p.Version
		}
	}
	if content == nil || version == "" {
		return nil, "", "", fmt.Errorf("%s has no %s", pkg, name)
	}
	date, err = published(pkg, version)
	return content, version, date, err
}

// published asks when a version was published.
func published(pkg, version string) (string, error) {
	out, err := exec.Command("npm", "view", pkg, "time", "--json").Output()
	if err != nil {
		return "", err
	}
	var times map[string]time.Time
	if err := json.Unmarshal(out, &times); err != nil {
		return "", err
	}
	if times[version].IsZero() {
		return "", fmt.Errorf("%s: no date of version %s", pkg, version)
	}
	return times[version].Format(time.DateOnly), nil
}

// write compresses a table behind its first line, which names source and date.
func write(name, source, version, date string, body []byte) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s %s\n", source, version, date)
	w, err := zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(8<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	if _, err := w.Write(body); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join("data", name), out.Bytes(), 0o644)
}

// registrants writes lines of country, name and blocks, separated by tabs. A
// country is that of the last line of the registered address, if it is one.
func registrants(dir string) error {
	const pkg = "oui-data"
	text, version, date, err := fetched(dir, pkg, "index.json")
	if err != nil {
		return err
	}
	var blocks map[string]string
	if err := json.Unmarshal(text, &blocks); err != nil {
		return err
	}
	lines := map[string][]string{}
	for block, address := range blocks {
		parts := strings.Split(strings.ReplaceAll(address, "\t", " "), "\n")
		country := ""
		if len(parts) > 1 {
			country = facts.Country(parts[len(parts)-1])
		}
		key := country + "\t" + strings.TrimSpace(parts[0])
		lines[key] = append(lines[key], strings.ToUpper(block))
	}
	var b bytes.Buffer
	keys := make([]string, 0, len(lines))
	for k := range lines {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		slices.Sort(lines[k])
		fmt.Fprintf(&b, "%s\t%s\n", k, strings.Join(lines[k], " "))
	}
	return write("oui.zst", pkg, version, date, b.Bytes())
}

// span is a range of addresses, both ends in it.
type span struct {
	from, to uint32
	country  string
}

// addresses writes, for each span: the gap before it, its length and its
// country's number, as varints in three columns behind the list of countries.
// Where spans overlap and disagree there is none.
func addresses(dir string) error {
	const pkg = "@ip-location-db/geo-whois-asn-country"
	text, version, date, err := fetched(dir, pkg, "geo-whois-asn-country-ipv4-num.csv")
	if err != nil {
		return err
	}
	var list []span
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), ",")
		if len(f) != 3 {
			continue
		}
		from, err1 := strconv.ParseUint(f[0], 10, 32)
		to, err2 := strconv.ParseUint(f[1], 10, 32)
		if err1 != nil || err2 != nil || to < from {
			return fmt.Errorf("%s: %q is no range", pkg, line)
		}
		list = append(list, span{uint32(from), uint32(to), f[2]})
	}
	list = agreed(list)
	var names []string
	for _, s := range list {
		if i, ok := slices.BinarySearch(names, s.country); !ok {
			names = slices.Insert(names, i, s.country)
		}
	}
	var gaps, sizes, countries []byte
	next := uint64(0)
	for _, s := range list {
		i, _ := slices.BinarySearch(names, s.country)
		gaps = binary.AppendUvarint(gaps, uint64(s.from)-next)
		sizes = binary.AppendUvarint(sizes, uint64(s.to)-uint64(s.from)+1)
		countries = append(countries, byte(i))
		next = uint64(s.to) + 1
	}
	head := fmt.Sprintf("%d %s\n", len(list), strings.Join(names, " "))
	fmt.Println(len(list), "ranges of addresses")
	return write("ip4.zst", "ip-location-db/geo-whois-asn-country", version, date, slices.Concat([]byte(head), gaps, sizes, countries))
}

// agreed cuts ranges so that none overlap, leaves out what two countries claim,
// and joins what adjoins.
func agreed(list []span) []span {
	slices.SortFunc(list, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	var out []span
	add := func(s span) {
		if n := len(out); n > 0 && out[n-1].country == s.country && out[n-1].to+1 == s.from {
			out[n-1].to = s.to
			return
		}
		out = append(out, s)
	}
	for i := 0; i < len(list); {
		// A run of ranges that touch each other is cut at all their ends.
		to, j := list[i].to, i+1
		for j < len(list) && list[j].from <= to {
			to, j = max(to, list[j].to), j+1
		}
		if j == i+1 {
			add(list[i])
		} else {
			for _, s := range cut(list[i:j]) {
				add(s)
			}
		}
		i = j
	}
	return out
}

func cut(run []span) []span {
	var ends []uint64
	for _, s := range run {
		ends = append(ends, uint64(s.from), uint64(s.to)+1)
	}
	slices.Sort(ends)
	ends = slices.Compact(ends)
	var out []span
	for i := 0; i+1 < len(ends); i++ {
		country := ""
		for _, s := range run {
			switch {
			case uint64(s.from) > ends[i] || uint64(s.to) < ends[i]:
			case country == "":
				country = s.country
			case country != s.country:
				country = "?"
			}
		}
		if country != "" && country != "?" {
			out = append(out, span{uint32(ends[i]), uint32(ends[i+1] - 1), country})
		}
	}
	return out
}
