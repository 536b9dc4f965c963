package firmware

import (
	_ "embed"
	"io/fs"
	"strconv"
	"strings"
	"sync"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
	"github.com/doorward/doorward/internal/unpack"
)

//go:embed data/ports.txt
var portsText string

// daemon is a line of data/ports.txt: what a program that listens is.
type daemon struct {
	name    string // the line's first
	ports   []port
	skip    bool // no listener, or one that only its arguments make
	gain    doorward.Gain
	login   string // admin, login, none, varies
	clear   bool
	reach   doorward.Reach
	options []string
	words   string // "SSH server (Dropbear)"
}

// port is a protocol with a number; 0 if that is unknown.
type port struct {
	proto  string
	number int
	local  bool // bound to the loop-back address
	why    string
}

// mark is a text that tells a program whatever its name.
type mark struct{ name, text string }

type portTable struct {
	daemons map[string]*daemon // by each name
	marks   []mark
}

var daemons = sync.OnceValue(func() *portTable { return parsePorts(portsText) })

func parsePorts(text string) *portTable {
	t := &portTable{daemons: map[string]*daemon{}}
	for line := range strings.SplitSeq(text, "\n") {
		if rest, ok := strings.CutPrefix(line, "mark "); ok {
			name, what, _ := strings.Cut(rest, " ")
			t.marks = append(t.marks, mark{name, what})
			continue
		}
		head, words, _ := strings.Cut(line, " # ")
		f := strings.Fields(head)
		if len(f) < 7 || f[0][0] == '#' {
			continue
		}
		names := strings.Split(f[0], ",")
		d := &daemon{name: names[0], skip: f[2] == "skip", login: f[3], clear: f[4] == "clear", reach: doorward.Reach(f[5]), words: strings.TrimSpace(words)}
		d.gain = map[string]doorward.Gain{"control": doorward.Control, "data": doorward.UserData, "contact": doorward.Contact}[f[2]]
		for p := range strings.SplitSeq(f[1], ",") {
			proto, number, _ := strings.Cut(p, "/")
			if n, err := strconv.Atoi(number); err == nil {
				d.ports = append(d.ports, port{proto: proto, number: n})
			}
		}
		if f[6] != "-" {
			d.options = strings.Split(f[6], ",")
		}
		for _, n := range names {
			t.daemons[n] = d
		}
	}
	return t
}

// markPatterns are the byte patterns that the marks need.
func markPatterns() []string {
	var list []string
	for _, m := range daemons().marks {
		list = append(list, m.text)
	}
	return list
}

// daemonOf finds what a started program is: by its name, or by a mark in it.
func daemonOf(applet string, f *product.File) *daemon {
	if d := daemons().daemons[applet]; d != nil {
		return d
	}
	if f == nil || f.Type != unpack.TypeELF || linksTo(f) >= boxLinks {
		return nil
	}
	for _, m := range daemons().marks {
		if f.Has(m.text) && !boxed(f) {
			if d := daemons().daemons[m.name]; d != nil && (listens(f) || f.Program() != nil && f.Program().Static) {
				return d
			}
		}
	}
	return nil
}

// boxed says that a program is a box of many tools: a mark in it tells nothing
// of the tool that was started.
func boxed(f *product.File) bool { return f.Has("BusyBox v") }

// inBox says that a start calls a tool of such a box, by a link or as its first
// argument.
func inBox(e *startup.Event) bool {
	if e.File == nil || e.File.Type != unpack.TypeELF {
		return false
	}
	return boxed(e.File) || e.Applet != "" && e.Applet != e.File.Base() && linksTo(e.File) >= boxLinks
}

// boxLinks is how many names a program bears if it is a box of tools.
const boxLinks = 4

type linksKey struct{}

// linksTo counts the links that lead to a file.
func linksTo(f *product.File) int {
	counts := product.Fact(f.Product(), linksKey{}, func() map[*product.File]int {
		m := map[*product.File]int{}
		for _, v := range f.Product().Volumes {
			for _, p := range v.Tree.Paths() {
				if v.Tree.Entry(p).Mode&fs.ModeSymlink != 0 {
					if to := v.File(p); to != nil {
						m[to]++
					}
				}
			}
		}
		return m
	})
	return counts[f]
}

// listens says that a program can wait for others to connect or send: it
// imports, or has built in, what it takes.
func listens(f *product.File) bool {
	info := f.Program()
	if info == nil {
		return false
	}
	names := map[string]bool{}
	for _, list := range [][]string{info.Imported, info.Defined, info.Exported} {
		for _, n := range list {
			switch n, _, _ := strings.Cut(n, "@"); n {
			case "bind", "listen", "accept", "accept4", "recvfrom", "recvmsg", "inet_ntoa", "inet_addr", "inet_aton", "inet_ntop", "inet_pton", "getaddrinfo", "htons", "ntohs", "gethostbyname", "getservbyname", "htonl", "freeaddrinfo":
				names[n] = true
			}
		}
	}
	if info.Static && len(names) == 0 {
		return info.Go != nil && hasGoListener(f)
	}
	inet := names["inet_ntoa"] || names["inet_addr"] || names["inet_aton"] || names["inet_ntop"] || names["inet_pton"] || names["getaddrinfo"] || names["htons"] || names["gethostbyname"] || names["getservbyname"] || names["ntohs"]
	return names["bind"] && (names["listen"] || names["accept"] || names["recvfrom"]) && inet
}

// waits says that a program binds a socket and takes what comes: whether it is
// one of the network only an address or a port tells, as htons and its like are
// often built in without a name.
func waits(f *product.File) bool {
	info := f.Program()
	if info == nil {
		return false
	}
	has := func(names ...string) bool {
		for _, n := range names {
			if contains(info.Imported, n) || contains(info.Defined, n) {
				return true
			}
		}
		return false
	}
	return has("bind") && has("socket") && (has("listen") && has("accept", "accept4") || has("recvfrom", "recvmsg", "recv"))
}

// hasGoListener says that a Go program links net.Listen.
func hasGoListener(f *product.File) bool { return f.Has("net.(*TCPListener).Accept") }

// protoOf tells TCP from UDP by what a program imports; "" if it could be both.
func protoOf(f *product.File) string {
	info := f.Program()
	if info == nil {
		return ""
	}
	stream := contains(info.Imported, "listen") || contains(info.Imported, "accept") || contains(info.Imported, "accept4")
	datagram := contains(info.Imported, "recvfrom") || contains(info.Imported, "recvmsg")
	switch {
	case stream && !datagram:
		return "tcp"
	case datagram && !stream:
		return "udp"
	}
	return ""
}
