package firmware

import (
	"path"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// feeds finds the package feeds of a volume's package manager.
func (u *updates) feeds() {
	for _, v := range u.product.Volumes {
		u.opkg(v, hasOneOf(v, "opkg", "opkg-cl", "ipkg"))
		if hasOneOf(v, "apt-get", "apt") {
			u.apt(v)
		}
		if hasOneOf(v, "yum", "dnf", "zypper") {
			u.yum(v)
		}
		if hasOneOf(v, "apk") {
			u.apk(v)
		}
	}
}

// hasOneOf says that a volume has one of some programs.
func hasOneOf(v *product.Volume, names ...string) bool {
	for _, n := range names {
		for _, dir := range []string{"bin/", "sbin/", "usr/bin/", "usr/sbin/", "usr/local/bin/", "opt/bin/"} {
			if v.File(dir+n) != nil {
				return true
			}
		}
	}
	return false
}

// feed adds a package feed.
func (u *updates) feed(f *product.File, line int, text, url, signed, note string) {
	if c, ok := feedChannel(f, line, text, url, signed, note); ok {
		u.add(c)
	}
}

func feedChannel(f *product.File, line int, text, url, signed, note string) (channel, bool) {
	end, public := endpointOf(url)
	if !public {
		return channel{}, false
	}
	c := channel{file: f, host: end.host, url: url, signed: signed, clear: clearSchemes[end.scheme], reach: doorward.Remote, certainty: doorward.Shown}
	c.what = "packages can be installed from " + end.host
	c.evidence = []doorward.Evidence{{What: text, Note: note, Line: line}}
	return c, true
}

// configLines calls do for each line of a file that is no comment.
func configLines(f *product.File, do func(n int, line string)) {
	for i, line := range strings.Split(f.Text(), "\n") {
		t := strings.TrimSpace(line)
		if t != "" && t[0] != '#' && t[0] != ';' {
			do(i+1, t)
		}
	}
}

// opkg reads the feeds of opkg. Where the program itself is not on the volume,
// it may lie on another one, or come later.
func (u *updates) opkg(v *product.Volume, present bool) {
	files := append(v.Glob("etc/opkg.conf"), v.Glob("etc/opkg/*.conf")...)
	files = append(files, v.Glob("etc/ipkg.conf")...)
	signed, note := "false", "no option check_signature: whoever answers for the feed decides what is installed"
	for _, f := range files {
		configLines(f, func(_ int, line string) {
			w := strings.Fields(line)
			if len(w) >= 2 && w[0] == "option" && w[1] == "check_signature" && (len(w) == 2 || w[2] != "0") {
				signed, note = "true", "option check_signature: the list of packages must be signed"
			}
		})
	}
	for _, f := range files {
		configLines(f, func(n int, line string) {
			if w := strings.Fields(line); len(w) >= 3 && strings.HasPrefix(w[0], "src") {
				if c, ok := feedChannel(f, n, line, w[2], signed, note); ok {
					if !present {
						c.lighter, c.certainty = 1, doorward.Likely
						c.evidence[0].Note += "; assumed: opkg, which is not on this volume, is there when the product runs"
					}
					u.add(c)
				}
			}
		})
	}
}

func (u *updates) apt(v *product.Volume) {
	unsigned := ""
	for _, f := range append(v.Glob("etc/apt/apt.conf"), v.Glob("etc/apt/apt.conf.d/*")...) {
		configLines(f, func(_ int, line string) {
			for _, key := range []string{"APT::Get::AllowUnauthenticated", "Acquire::AllowInsecureRepositories"} {
				if rest, ok := strings.CutPrefix(line, key); ok && (strings.Contains(rest, "true") || strings.Contains(rest, "1") || strings.Contains(rest, "yes")) {
					unsigned = line
				}
			}
		})
	}
	for _, f := range append(v.Glob("etc/apt/sources.list"), v.Glob("etc/apt/sources.list.d/*.list")...) {
		configLines(f, func(n int, line string) {
			w := strings.Fields(line)
			if len(w) < 3 || w[0] != "deb" {
				return
			}
			signed, note := "true", "the list of packages must be signed by a key of the product"
			if strings.Contains(line, "trusted=yes") || strings.Contains(line, "allow-insecure=yes") || unsigned != "" {
				signed, note = "false", "no signature is asked for "+unsigned
			}
			for _, x := range w[1:] {
				if strings.Contains(x, "://") {
					u.feed(f, n, line, x, signed, note)
					return
				}
			}
		})
	}
	for _, f := range v.Glob("etc/apt/sources.list.d/*.sources") {
		signed, note := "true", "the list of packages must be signed by a key of the product"
		if strings.Contains(strings.ToLower(f.Text()), "\ntrusted: yes") || unsigned != "" {
			signed, note = "false", "no signature is asked for"
		}
		configLines(f, func(n int, line string) {
			if rest, ok := strings.CutPrefix(line, "URIs:"); ok {
				for _, url := range strings.Fields(rest) {
					u.feed(f, n, line, url, signed, note)
				}
			}
		})
	}
}

func (u *updates) yum(v *product.Volume) {
	for _, f := range append(v.Glob("etc/yum.repos.d/*.repo"), v.Glob("etc/zypp/repos.d/*.repo")...) {
		signed, note := "unknown", "nothing here says whether a signature is checked"
		for _, key := range []string{"gpgcheck", "repo_gpgcheck"} {
			for _, val := range (&config{lines: strings.Split(f.Text(), "\n")}).values(key) {
				switch {
				case val.value == "1":
					signed, note = "true", key+"=1: packages must be signed"
				case signed != "true":
					signed, note = "false", key+"=0: no signature is checked"
				}
			}
		}
		configLines(f, func(n int, line string) {
			if rest, ok := strings.CutPrefix(line, "baseurl="); ok {
				u.feed(f, n, line, rest, signed, note)
			}
		})
	}
}

func (u *updates) apk(v *product.Volume) {
	for _, f := range v.Glob("etc/apk/repositories") {
		signed, note := "true", "apk checks signatures against /etc/apk/keys"
		if len(v.Glob("etc/apk/keys/*")) == 0 {
			signed, note = "unknown", "there is no key in /etc/apk/keys"
		}
		configLines(f, func(n int, line string) {
			if strings.Contains(line, "://") {
				w := strings.Fields(line)
				u.feed(f, n, line, w[len(w)-1], signed, note)
			}
		})
	}
}

var (
	updateKey  = regexp.MustCompile(`(?i)^["']?(?:(?:option|list)\s+)?["']?([\w.-]*(?:update|upgrade|firmware|fota|ota|fwup)[\w.-]*(?:url|uri|server|host|addr|address|site|manifest|domain|path)[\w.-]*|url|server|host|manifest|server_url|base_url|endpoint)["']?\s*[=: ]\s*["']?([^\s"',;]+)`)
	updateFile = regexp.MustCompile(`(?i)(?:^|[^a-z])(?:auto)?(?:update|upgrade|updater|updated|fota|ota|swupdate|fwup|mender|hawkbit|rauc|fwupdate|sysupdate|updatec)(?:[^a-z]|d\b|$)`)
	verifyOn   = regexp.MustCompile(`(?i)^["']?(?:option\s+)?[\w.-]*(?:verify|check_sign\w*|signature|signed|sign_check|pub_?key|public_?key|signing_key|verify_key)[\w.-]*["']?\s*[=: ]\s*["']?([^\s"',;]+)`)
	verifyOff  = regexp.MustCompile(`(?i)^["']?(?:option\s+)?[\w.-]*(?:insecure|no_?verify|skip_?verify|no_?check_?cert\w*)[\w.-]*["']?\s*[=: ]\s*["']?(?:1|true|yes|on)\b`)
)

// settings finds the update addresses in configurations.
func (u *updates) settings() {
	for _, f := range u.product.Files {
		if !f.Type.IsText() || f.Type == unpack.TypeScript || f.Volume == nil || f.Deleted() || f.Size > 1<<20 || !f.Has("http://") && !f.Has("https://") && !updateFile.MatchString(f.Base()) || !isConfiguration(f) {
			continue
		}
		u.configuration(f)
	}
}

func (u *updates) configuration(f *product.File) {
	named := updateFile.MatchString(f.Base()) || updateFile.MatchString(path.Base(path.Dir(f.Path)))
	signed, note, why := "unknown", "", doorward.Evidence{}
	type hit struct {
		line      int
		text, url string
	}
	var hits []hit
	configLines(f, func(n int, line string) {
		if m := verifyOn.FindStringSubmatch(line); m != nil && named {
			switch strings.ToLower(m[1]) {
			case "0", "no", "false", "off", "none", "disabled":
				signed, note = "false", "switched off here"
			default:
				if signed != "false" {
					signed, note = "true", "checked with this"
				}
			}
			why = doorward.Evidence{What: line, Note: note, Line: n}
		} else if verifyOff.MatchString(line) && named {
			signed, note = "false", "switched off here"
			why = doorward.Evidence{What: line, Note: note, Line: n}
		}
		m := updateKey.FindStringSubmatch(line)
		if m == nil || len(hits) >= 32 {
			return
		}
		plainKey := !updateFile.MatchString(m[1]) && !strings.Contains(strings.ToLower(m[1]), "update") && !strings.Contains(strings.ToLower(m[1]), "upgrade") && !strings.Contains(strings.ToLower(m[1]), "firmware")
		if plainKey && !named {
			return
		}
		hits = append(hits, hit{n, line, m[2]})
	})
	for _, h := range hits {
		end, public := endpointOf(h.url)
		if !public || !strings.Contains(h.url, "://") && !bareHost(h.url) {
			continue
		}
		c := channel{file: f, host: end.host, url: h.url, signed: signed, clear: clearSchemes[end.scheme], reach: doorward.Remote, certainty: doorward.Likely}
		c.what = "updates come from " + end.host
		who := u.reader(f)
		n := "the address of updates; assumed: a program of the product installs what it answers"
		if who != nil {
			n = "the address of updates, read by /" + who.Path + "; assumed: it installs what it gets"
			if signed == "unknown" && importsVerify(who) {
				c.signed = "true"
				why = doorward.Evidence{What: "imports functions that check signatures", Note: "of the program that reads it", Path: who.Path}
			}
		}
		c.evidence = []doorward.Evidence{{What: h.text, Note: n, Line: h.line}}
		if why.What != "" {
			c.evidence = append(c.evidence, why)
		}
		u.add(c)
	}
}

// reader is a program that names the file; nil if none does.
func (u *updates) reader(f *product.File) *product.File {
	for _, who := range u.product.Mentions(f.Base()) {
		if who.Type.Executable() && who.Volume == f.Volume {
			return who
		}
	}
	return nil
}

var verifyName = regexp.MustCompile(`(?i)^(?:RSA_verify|RSA_public_decrypt|EVP_(?:Digest)?Verify\w*|ECDSA_(?:do_)?verify|ED25519_verify|ed25519_\w*verify\w*|mbedtls_(?:pk|rsa|ecdsa)\w*verify\w*|wc_\w*[Vv]erify\w*|crypto_sign\w*(?:verify|open)\w*|PKCS7_verify|CMS_verify|gpgme_op_verify|\w*(?:rsa|sig|signature|image|firmware)_?verify\w*|\w*verify_?(?:rsa|sig|signature|image|firmware)\w*)$`)

// importsVerify says that a program imports a function that checks signatures
// of data, and not only of certificates.
func importsVerify(f *product.File) bool {
	info := f.Program()
	if info == nil {
		return false
	}
	for _, n := range info.Imported {
		if verifyName.MatchString(n) {
			return true
		}
	}
	return false
}
