package reconcile

import (
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/doorward/doorward"
)

// matches says that a door is the one that a claim declares: all pairs match,
// and a credential that anybody can know is declared in so many words.
func matches(d *doorward.Door, c *doorward.Claim) bool {
	if !slices.Contains(c.Kinds, d.Kind) {
		return false
	}
	said := false
	for _, p := range c.Pairs {
		if !pairMatches(d, p) {
			return false
		}
		said = said || p.Key == "credential"
	}
	if d.Kind == doorward.KindAccount && !said {
		switch d.Detail.Text("credential") {
		case "default", "empty", "none":
			return false
		}
	}
	return true
}

func pairMatches(d *doorward.Door, p doorward.Pair) bool {
	have := clean(d.Detail.Text(p.Key))
	want := clean(p.Value)
	switch p.Key {
	case "path":
		return pathMatches(d, want)
	case "reach":
		return string(d.Reach) == want
	case "value-sha256":
		return strings.EqualFold(doorward.ValueSHA256(d), want)
	case "host":
		return hostMatches(have, want)
	case "port":
		return portMatches(have, want)
	case "proto":
		return strings.EqualFold(have, want)
	case "fingerprint":
		if strings.HasPrefix(want, "sha256:") {
			return strings.EqualFold(have, want)
		}
	}
	if list, ok := listOf(d.Detail[p.Key]); ok {
		return listMatches(list, want)
	}
	return have == want
}

// clean replaces what JSON cannot carry, so that a door is matched by a claim
// that was drafted from its report.
func clean(s string) string {
	return string([]rune(s))
}

// listOf returns a detail that is a list, also one that was read from JSON.
func listOf(v any) ([]string, bool) {
	switch list := v.(type) {
	case []string:
		return list, true
	case []any:
		var texts []string
		for _, x := range list {
			s, ok := x.(string)
			if !ok {
				return nil, false
			}
			texts = append(texts, s)
		}
		return texts, true
	}
	return nil, false
}

// listMatches: a claim covers a list if it names all that is in it.
func listMatches(have []string, want string) bool {
	named := strings.Fields(want)
	for _, x := range have {
		if !slices.Contains(named, clean(x)) {
			return false
		}
	}
	return len(have) > 0
}

// hostMatches compares names without regard to case; a claim may have a leading
// *. (any name below, not the name itself), be a network, or LocalNetworks.
func hostMatches(have, want string) bool {
	have, want = plainHost(have), plainHost(want)
	if have == want {
		return have != ""
	}
	if rest, ok := strings.CutPrefix(want, "*."); ok {
		return strings.HasSuffix(have, "."+rest)
	}
	ip, err := netip.ParseAddr(have)
	if err != nil {
		return false
	}
	ip = ip.Unmap()
	if want == doorward.LocalNetworks {
		return ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsMulticast()
	}
	if network, err := netip.ParsePrefix(want); err == nil {
		return network.Contains(ip)
	}
	other, err := netip.ParseAddr(want)
	return err == nil && other.Unmap() == ip
}

func plainHost(h string) string {
	return strings.TrimSuffix(strings.ToLower(h), ".")
}

// portMatches takes a port or, of a MUD file, a range low-high.
func portMatches(have, want string) bool {
	n, err := strconv.Atoi(have)
	if err != nil {
		return false
	}
	low, high, isRange := strings.Cut(want, "-")
	if !isRange {
		high = low
	}
	from, err1 := strconv.Atoi(low)
	to, err2 := strconv.Atoi(high)
	return err1 == nil && err2 == nil && from <= n && n <= to
}

// pathMatches holds a pattern against every place of a door, and against the
// path in its detail. A place within a file system that lies inside a file of
// another (outer!inner) is matched as a whole or from an inner file system on.
func pathMatches(d *doorward.Door, pattern string) bool {
	pattern = strings.TrimPrefix(pattern, "/")
	places := []string{d.Detail.Text("path")}
	for _, w := range d.Where {
		places = append(places, w.Inner())
	}
	for _, place := range places {
		place = strings.TrimPrefix(clean(place), "/")
		for {
			if place != "" && globMatches(pattern, place) {
				return true
			}
			_, inner, ok := strings.Cut(place, "!")
			if !ok {
				break
			}
			place = inner
		}
	}
	return false
}

func globMatches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok || err != nil && pattern == name
}

// isWide says that a pair fits more than one value.
func isWide(p doorward.Pair) bool {
	switch p.Key {
	case "host":
		return strings.HasPrefix(p.Value, "*.") || strings.Contains(p.Value, "/") || p.Value == doorward.LocalNetworks
	case "port":
		return strings.Contains(p.Value, "-")
	case "path":
		return doorward.HasGlob(p.Value)
	}
	return false
}
