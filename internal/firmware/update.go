package firmware

import (
	"context"
	"fmt"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/detect"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
)

// Update finds channels by which others can change the product.
var Update = &Detector{
	Name: "update",
	Doc: "Channels by which others can change the product: boot and timer scripts that fetch something and run, unpack or flash it, package feeds, update settings of programs, " +
		"TR-069, folders on removable storage that are run, boot variables that are unpacked; and whether a signature is checked.",
	Kinds:    []doorward.Kind{doorward.KindUpdate},
	Requires: []string{"startup", "executable"},
	Patterns: []string{"http://", "https://", "/dev/mtd", "mtd write", "mtd_write", "sysupgrade", "fw_setenv", "flashcp", "nandwrite", "BusyBox v", "acs", "ACS", "Acs", "ManagementServer", "tr069", "cwmp"},
	Scope:    detect.ProductAll,
	Run:      runUpdate,
}

// updates is one run of the detector.
type updates struct {
	product *product.Product
	log     *startup.Log
	found   map[string]*channel
	order   []string
	scripts int
}

// channel is a way to change the product, before it is a door.
type channel struct {
	file      *product.File // what holds it
	evidence  []doorward.Evidence
	offset    *int64
	host, url string
	does      string // "runs it", "unpacks it", for the title
	what      string // the start of the title, if it is no fetch
	signed    string // true, false, unknown
	clear     bool
	reach     doorward.Reach
	lighter   int
	certainty doorward.Certainty
	check     string
	secrets   []string
}

func runUpdate(ctx context.Context, p *product.Product, out *detect.Sink) error {
	u := &updates{product: p, log: startup.Of(p), found: map[string]*channel{}}
	for _, step := range []func(){u.fromScripts, u.feeds, u.settings, u.remoteManagement, u.programs} {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		step()
	}
	out.Looked(doorward.KindUpdate, u.scripts, "start-up script")
	for _, key := range u.order {
		out.Door(u.found[key].door())
	}
	return nil
}

// add keeps one channel of each place and host; a checked signature or a surer
// finding does not hide an open one.
func (u *updates) add(c channel) {
	key := c.file.Path + "\x00" + c.host + "\x00" + c.what
	if c.host == "" {
		key += c.url
	}
	old := u.found[key]
	if old == nil {
		u.order = append(u.order, key)
		u.found[key] = &c
		return
	}
	if c.weight().Rank() > old.weight().Rank() {
		u.found[key] = &c
	}
}

func (c *channel) weight() doorward.Weight {
	hidden := doorward.Open
	if c.signed == "true" {
		hidden = doorward.Checked
	}
	w := doorward.Weigh(doorward.Change, c.reach, hidden, c.clear)
	if c.signed == "unknown" {
		w = w.Down(1) // it may be checked
	}
	if w = w.Down(c.lighter); w == doorward.Info {
		w = doorward.Low
	}
	return w
}

func (c *channel) door() doorward.Door {
	d := doorward.Door{
		Kind: doorward.KindUpdate, Title: c.title(), Weight: c.weight(), Reach: c.reach, Certainty: c.certainty,
		Stages: []doorward.Stage{doorward.Access}, References: []string{"CWE-494"}, Evidence: c.evidence, Check: c.check, Secrets: c.secrets,
		Detail: doorward.Detail{"signed": c.signed, "path": "/" + c.file.Path},
	}
	if c.host != "" {
		d.Detail["host"] = c.host
	}
	if c.url != "" {
		d.Detail["url"] = c.url
	}
	d.Where = c.file.Where()
	if c.offset != nil {
		d.Where = c.file.WhereAt(*c.offset)
	}
	if d.Check == "" {
		d.Check = fmt.Sprintf("Read /%s in the unpacked file system from the line given on, and follow what happens to what it gets.", c.file.Path)
	}
	return d
}

func (c *channel) title() string {
	from := c.host
	if from == "" {
		from = "an address that is set when it runs"
	}
	t := c.what
	if t == "" {
		t = fmt.Sprintf("%s gets data from %s and %s", c.file.Base(), from, c.does)
	}
	switch {
	case c.signed == "true":
		t += ", signature checked"
	case c.signed == "false" && c.clear:
		t += ", in the clear, no signature"
	case c.signed == "false":
		t += ", no signature checked"
	}
	if len(t) > 120 {
		t = t[:120]
	}
	return t
}

// endpointOf reads the host of a URL or of a bare address; public is false for
// what can't be reached from outside.
func endpointOf(url string) (e endpoint, public bool) {
	if !strings.Contains(url, "://") {
		host, _, _ := strings.Cut(url, "/")
		host, port := splitPort(host)
		return endpoint{host: host, port: port}, publicHost(strings.ToLower(host))
	}
	if e, ok := parseURL(url); ok {
		return e, true
	}
	scheme, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	host, port := splitPort(host[strings.LastIndexByte(host, '@')+1:])
	return endpoint{host: host, port: port, scheme: strings.ToLower(scheme), url: url}, false
}
