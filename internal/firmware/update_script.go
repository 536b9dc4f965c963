package firmware

import (
	"net/netip"
	"path"
	"regexp"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
)

// fetched is something that a script gets from outside.
type fetched struct {
	event   *startup.Event
	index   int    // among the script's events
	url     string // as far as known; "" if not at all
	file    string // where it goes; "" for standard output
	noCheck bool   // of the server's certificate
	setting bool   // from a boot variable and not from the network
}

// fromScripts looks at each script that something starts.
func (u *updates) fromScripts() {
	type place struct {
		v *product.Volume
		f *product.File
	}
	events := map[place][]*startup.Event{}
	var order []place
	for i := range u.log.Events {
		e := &u.log.Events[i]
		if e.By.File == nil || stateOf(e) == never {
			continue
		}
		at := place{e.Volume, e.By.File}
		if events[at] == nil {
			order = append(order, at)
		}
		if len(events[at]) < 5000 {
			events[at] = append(events[at], e)
		}
	}
	u.scripts = len(order)
	for _, at := range order {
		u.script(at.v, at.f, events[at])
	}
}

func (u *updates) script(v *product.Volume, f *product.File, events []*startup.Event) {
	dirs := u.removable(v)
	for i, e := range events {
		if e.Kind == startup.Copy && onRemovable(e.From, dirs) && !onRemovable(e.Target, dirs) && temporary(e.Target) && len(dirs) < 96 {
			dirs = append(dirs[:len(dirs):len(dirs)], e.Target) // run from a copy
		}
		if g, ok := fetchOf(e, i); ok {
			u.follow(f, events, g)
		}
		u.plugged(f, e, dirs)
	}
}

// fetchOf reads what a command gets, and where it puts it.
func fetchOf(e *startup.Event, i int) (fetched, bool) {
	g := fetched{event: e, index: i}
	if e.Kind == startup.Write && bootVariable.MatchString(e.By.Text) && strings.HasPrefix(e.Text, "$") {
		g.setting, g.file = true, e.Target
		return g, true
	}
	if e.Kind != startup.Start {
		return g, false
	}
	args := e.Args
	switch e.Applet {
	case "wget", "uclient-fetch", "aria2c":
		g.url = urlArgument(args)
		g.file, _ = option(args, "-O", "--output-document")
		for j, a := range args { // -qO FILE
			if len(a) > 2 && a[0] == '-' && a[1] != '-' && strings.HasSuffix(a, "O") && j+1 < len(args) {
				g.file = args[j+1]
			} else if strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && strings.HasSuffix(a, "O-") {
				g.file = "-"
			}
		}
		if dir, ok := option(args, "-P", "--directory-prefix"); ok && g.file == "" {
			g.file = path.Join(dir, path.Base(g.url))
		}
		if g.file == "" {
			g.file = path.Base(g.url)
		}
		g.noCheck = contains(args, "--no-check-certificate")
	case "curl":
		g.url = urlArgument(args)
		g.file, _ = option(args, "-o", "--output")
		if g.file == "" && (flag(args, 'O') || contains(args, "--remote-name")) {
			g.file = path.Base(g.url)
		}
		g.noCheck = flag(args, 'k') || contains(args, "--insecure")
	case "tftp":
		if !flag(args, 'g') && !strings.Contains(e.By.Text, "get") {
			return g, false
		}
		g.file, _ = option(args, "-l")
		remote, _ := option(args, "-r")
		if g.file == "" {
			g.file = path.Base(remote)
		}
		g.url = "tftp://" + hostArgument(args) + "/" + remote
	case "ftpget":
		p := positional(args, "uPp")
		if len(p) < 2 {
			return g, false
		}
		g.url, g.file = "ftp://"+p[0]+"/"+p[len(p)-1], p[1]
	case "git":
		p := plain(args)
		if len(p) == 0 || p[0] != "clone" && p[0] != "pull" && p[0] != "fetch" {
			return g, false
		}
		if g.url = urlArgument(args); g.url == "" && p[0] != "clone" {
			return g, false
		}
		if g.file = p[len(p)-1]; strings.Contains(g.file, "://") {
			g.file = strings.TrimSuffix(path.Base(g.url), ".git")
		}
	case "rsync", "scp":
		for _, a := range plain(args) {
			if strings.HasPrefix(a, "rsync://") || strings.Contains(a, ":") && !strings.HasPrefix(a, "/") {
				host, _, _ := strings.Cut(strings.TrimPrefix(a, "rsync://"), ":")
				host = strings.SplitN(host[strings.LastIndexByte(host, '@')+1:], "/", 2)[0]
				g.url = map[bool]string{true: "rsync://", false: "ssh://"}[e.Applet == "rsync" && !strings.Contains(e.By.Text, "ssh")] + host + "/"
			}
		}
		p := plain(args)
		if g.url == "" || len(p) < 2 || strings.Contains(p[len(p)-1], ":") {
			return g, false
		}
		g.file = p[len(p)-1]
	default:
		if bootVariable.MatchString(e.By.Text) && (runsPipe.MatchString(e.By.Text) || e.Applet == "eval") {
			g.setting = true
			return g, true
		}
		return g, false
	}
	return g, true
}

// urlArgument is the address among a command's arguments.
func urlArgument(args []string) string {
	for _, a := range args {
		if strings.Contains(a, "://") && !strings.HasPrefix(a, "-") {
			return a
		}
	}
	for i := len(args) - 1; i >= 0; i-- {
		a := args[i]
		if strings.HasPrefix(a, "-") || strings.HasPrefix(a, "/") {
			continue
		}
		if host, _, ok := strings.Cut(a, "/"); ok && publicHost(host) || strings.HasPrefix(a, "$") {
			if i == 0 || !contains([]string{"-O", "-o", "-P", "-T", "-t"}, args[i-1]) {
				return a
			}
		}
	}
	return ""
}

func hostArgument(args []string) string {
	p := positional(args, "lrbpB")
	if len(p) == 0 {
		return ""
	}
	return p[0]
}

// positional returns the arguments that are neither options nor theirs.
func positional(args []string, takes string) []string {
	var list []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		if len(a) > 1 && a[0] == '-' {
			if strings.IndexByte(takes, a[len(a)-1]) >= 0 {
				i++
			}
			continue
		}
		list = append(list, a)
	}
	return list
}

var (
	// runsPipe is a line that hands what it gets to a program that runs, unpacks
	// or writes it.
	runsPipe = regexp.MustCompile(`\|\s*(?:sudo\s+|exec\s+|/bin/|/usr/bin/|/sbin/|busybox\s+)*(sh|ash|bash|dash|python[0-9.]*|lua|perl|php|tar|gunzip|zcat|unzip|cpio|mtd|dd|crontab|opkg|source|nandwrite)\b|\beval\b|(?:\bsh|\bash|\bbash)\s+-c\s+["']?[$` + "`" + `]|(?:^|[;&|]\s*|\bthen\s+)\.\s+<\(`)
	// bootVariable is a line that reads a variable of the boot loader or of the
	// settings partition.
	bootVariable = regexp.MustCompile(`\bfw_printenv\b|\bnvram(?:_get| get)\b|\bbootenv\b|/proc/cmdline`)
	// signatureCheck are commands that check a signature.
	signatureCheck = regexp.MustCompile(`\bopenssl\s+(?:dgst|pkeyutl|rsautl|smime|cms)\b.*-verify|\busign\b.*-V|\bsignify\b.*-V|\bgpgv?\b.*(?:--verify|--keyring)|\bgpgv\b|\bminisign\b.*-V|\bfwtool\b.*-[tev]|\bucert\b.*-V|\b(?:rsa|ecdsa|ed25519|fw|image|sig|signature)[_-]?(?:verify|check)\b|\bverify[_-]?(?:rsa|sig|signature|image|sign|fw|firmware)\b|\bcosign\s+verify|\brauc\s+install\b|\bswupdate\b.*-k`)
	checksumOnly   = regexp.MustCompile(`\b(?:md5sum|sha1sum|sha256sum|sha512sum|cksum|crc32)\b`)
)

// follow finds out what becomes of what a script got.
func (u *updates) follow(f *product.File, events []*startup.Event, g fetched) {
	does := u.use(events, g)
	if does == "" {
		return
	}
	e := g.event
	c := channel{file: f, does: does, signed: "false", reach: doorward.Remote, certainty: doorward.Shown, url: g.url}
	if f.Type.Executable() {
		off := e.By.Offset
		c.offset = &off
	}
	note := "what it gets here it then " + strings.TrimSuffix(does, " it")
	switch {
	case g.setting:
		c.what = f.Base() + " takes a boot or settings variable and " + does
		c.reach, c.url = doorward.Local, ""
	case strings.HasPrefix(g.url, "$") || g.url == "" || strings.Contains(g.url, "://$") || strings.HasPrefix(g.url, "tftp://$"):
		c.certainty, c.url = doorward.Likely, strings.TrimPrefix(g.url, "tftp://$")
		note += "; assumed: the address is one outside"
	default:
		end, public := endpointOf(g.url)
		if !public && !privateHost(end.host) || loopback(end.host) {
			return // reserved names, the device itself
		}
		if !public {
			c.reach = doorward.Adjacent
		}
		c.host = end.host
		c.clear = clearSchemes[end.scheme] || end.scheme == ""
	}
	if strings.HasPrefix(c.url, "http://") || strings.HasPrefix(c.url, "ftp://") || strings.HasPrefix(c.url, "git://") {
		c.clear = true
	}
	if g.noCheck {
		note += "; the server's certificate is not checked"
	}
	c.evidence = append(c.evidence, evidenceOf(e.By, note))
	u.signature(&c, f)
	u.uncertain(&c, e)
	c.evidence = append(c.evidence, chainOf(e)...)
	u.add(c)
}

// evidenceOf is a line as evidence.
func evidenceOf(by startup.Site, note string) doorward.Evidence {
	_, list := placeOf(by, note)
	return list[0]
}

// uncertain lowers what depends on a setting or on what a program runs.
func (u *updates) uncertain(c *channel, e *startup.Event) {
	switch st := stateOf(e); {
	case st == off:
		c.lighter++
		c.evidence[0].Note += "; off as shipped: " + conditionWords(e)
	case e.Manager == "program":
		c.certainty = doorward.Likely
		c.evidence[0].Note += "; assumed: the program that holds this string runs it"
	case st == open:
		if words := conditionWords(e); words != "" {
			c.evidence[0].Note += "; only if " + words
		}
	}
}

func privateHost(host string) bool {
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && (a.IsPrivate() || a.IsLinkLocalUnicast())
}

// signature looks through a script for a command that checks a signature.
func (u *updates) signature(c *channel, f *product.File) {
	for i, line := range strings.Split(f.Text(), "\n") {
		t := strings.TrimSpace(line)
		if t == "" || t[0] == '#' {
			continue
		}
		if signatureCheck.MatchString(t) {
			c.signed = "true"
			c.evidence = append(c.evidence, doorward.Evidence{What: t, Note: "checks a signature", Path: f.Path, Line: i + 1})
			return
		}
		if checksumOnly.MatchString(t) && len(c.evidence) < 3 {
			c.evidence = append(c.evidence, doorward.Evidence{What: t, Note: "a checksum is no signature: whoever changes the one changes the other", Path: f.Path, Line: i + 1})
		}
	}
}

// use says what a script does with what it got: "runs it", "unpacks it" ...; ""
// if nothing that changes the product.
func (u *updates) use(events []*startup.Event, g fetched) string {
	e := g.event
	if m := runsPipe.FindStringSubmatch(e.By.Text); m != nil && (g.file == "" || g.file == "-" || g.setting) {
		return doesWith(m[1])
	}
	file := g.file
	for _, x := range events { // wget -O - URL > FILE
		if x.Kind == startup.Write && x.By.Line == e.By.Line && x.By.Line > 0 && (file == "" || file == "-") {
			file = x.Target
		}
	}
	folder := ""
	if e.Applet == "git" {
		folder = strings.TrimSuffix(file, "/")
	}
	for _, x := range events[g.index+1:] {
		if does := usedBy(x, e, file, g.url); does != "" {
			return does
		}
		if does, into := unpackedBy(x, file); does != "" {
			if !temporary(into) {
				return does
			}
			folder = into
		}
		if folder != "" && x.Kind == startup.Start && (strings.HasPrefix(x.Program, folder+"/") || runner(x.Applet) && len(x.Args) > 0 && strings.HasPrefix(x.Args[0], folder+"/")) {
			return "runs what is in it"
		}
	}
	if e.Applet == "git" {
		return "keeps it"
	}
	return ""
}

func doesWith(program string) string {
	switch program {
	case "tar", "gunzip", "zcat", "unzip", "cpio":
		return "unpacks it"
	case "mtd", "dd", "nandwrite":
		return "writes it to flash"
	case "crontab":
		return "makes it a table of timers"
	case "opkg":
		return "installs it"
	}
	return "runs it"
}

func runner(applet string) bool {
	switch applet {
	case "sh", "ash", "bash", "dash", ".", "source", "eval", "python", "python3", "lua", "perl", "php", "insmod":
		return true
	}
	return false
}

// usedBy says what an event does with a file that was fetched.
func usedBy(x, from *startup.Event, file, url string) string {
	switch x.Kind {
	case startup.Start:
		if runner(x.Applet) && takesOutput(x, from) {
			return "runs it"
		}
		if file == "" || file == "-" {
			return ""
		}
		if sameFile(x.Program, file) {
			return "runs it"
		}
		if !argument(x.Args, file) {
			return ""
		}
		switch x.Applet {
		case "mtd", "dd", "flashcp", "nandwrite", "flash_eraseall", "mtd_write", "mtd-write", "sysupgrade", "fw_update", "ubiupdatevol", "ubirsvol", "firmwareupg", "upgrade", "flash", "do_upgrade", "fwupdate", "burn", "swupdate", "rauc", "mender":
			return "writes it to flash"
		case "opkg", "ipkg", "dpkg", "rpm", "apk", "apt", "apt-get", "udpkg":
			return "installs it"
		case "chmod":
			if len(x.Args) > 0 && (strings.Contains(x.Args[0], "x") || strings.Trim(x.Args[0], "01234567") == "" && strings.ContainsAny(x.Args[0], "1357")) {
				return "makes it a program"
			}
		case "crontab":
			return "makes it a table of timers"
		}
		if runner(x.Applet) && len(x.Args) > 0 && argument(x.Args[:1], file) {
			return "runs it"
		}
	case startup.Copy:
		if sameFile(x.From, file) && (strings.HasPrefix(x.Target, "/dev/mtd") || strings.HasPrefix(x.Target, "/dev/mmcblk")) {
			return "writes it to flash"
		}
		if sameFile(x.From, file) && programFolder(x.Target) {
			return "puts it among the programs"
		}
		if sameFile(x.From, file) && keptSettings.MatchString(x.Target) {
			return "keeps it as its settings"
		}
	}
	return ""
}

// takesOutput says that a shell gets what a command printed: by a pipe on the
// same line, or as $(command).
func takesOutput(x, from *startup.Event) bool {
	for _, a := range x.Args {
		if strings.Contains(a, "$("+from.Applet+")") {
			return true
		}
	}
	return false
}

func argument(args []string, file string) bool {
	for _, a := range args {
		if sameFile(strings.TrimPrefix(a, "if="), file) {
			return true
		}
	}
	return false
}

// sameFile compares two names of a file as a script gives them: one may be
// relative to a folder that the script went to.
func sameFile(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if a == b || path.Clean(a) == path.Clean(b) {
		return true
	}
	relative := !strings.HasPrefix(a, "/") || !strings.HasPrefix(b, "/")
	return relative && path.Base(a) == path.Base(b) && !strings.HasPrefix(path.Base(a), "$") && len(path.Base(a)) > 2
}

// keptSettings are the places of settings that outlive a restart.
var keptSettings = regexp.MustCompile(`^/(?:data|config|cfg|nvram|flash|mnt/(?:config|cfg|data|flash|mtd\w*))/.*\.(?:cfg|conf|ini|xml|json|ya?ml|sh)$`)

func programFolder(p string) bool {
	for _, dir := range []string{"/bin", "/sbin", "/usr/", "/etc/", "/lib", "/opt", "/root", "/home", "/jffs", "/overlay"} {
		if strings.HasPrefix(p, dir) {
			return true
		}
	}
	return false
}

// unpackedBy says that an event unpacks a file, and into which folder.
func unpackedBy(x *startup.Event, file string) (does, into string) {
	if file == "" || x.Kind != startup.Start && x.Kind != startup.Copy {
		return "", ""
	}
	if x.Kind == startup.Copy {
		return "", ""
	}
	switch x.Applet {
	case "tar", "unzip", "gunzip", "cpio", "unsquashfs", "bunzip2", "unxz":
	default:
		return "", ""
	}
	if !argument(x.Args, file) {
		return "", ""
	}
	into, _ = option(x.Args, "-C", "-d", "--directory")
	if into == "" && x.Applet == "gunzip" {
		into = path.Dir(file)
	}
	return "unpacks it", strings.TrimSuffix(into, "/")
}

// temporary says that a folder is one of memory, where unpacking alone changes
// nothing.
func temporary(dir string) bool {
	return strings.HasPrefix(dir, "/tmp") || strings.HasPrefix(dir, "/var") || strings.HasPrefix(dir, "/run") || strings.HasPrefix(dir, "/dev/shm")
}
