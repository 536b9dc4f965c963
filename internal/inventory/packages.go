package inventory

import (
	"path"
	"slices"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
)

// pack is one installed or given package, whatever its format.
type pack struct {
	format     string // deb, opkg, apk, rpm
	name       string
	version    string
	arch       string
	maker      string
	maintainer string // as the package says it, with the address
	vendor     string // who built it: Vendor of rpm, Origin of dpkg
	packager   string // of rpm
	buildHost  string // of rpm
	licence    string
	source     string
	cpe        string
	homepage   string
	epoch      string    // of rpm
	files      []string  // paths below the root that the database belongs to
	sums       []fileSum // of these files, as far as the database has them
	from       *product.File
	systemName string // of a package that says for which system it is
}

// maxPackages bounds what one database may list.
const maxPackages = 50_000

// packages reads every package database and every package that was given by
// itself. Databases are found by their place below any folder: a product may
// hold several roots.
func (in *inventory) packages() {
	for _, v := range in.product.Volumes {
		if v.Format == "deb" {
			continue
		}
		for _, f := range v.List() {
			if f.Deleted() {
				continue
			}
			if root, ok := cutRoot(f.Path, "var/lib/dpkg/status"); ok {
				in.addAll(v, root, dpkgPackages(v, f, "deb", path.Join(root, "var/lib/dpkg/info")))
			} else if root, ok := cutRoot(f.Path, "var/lib/dpkg/status.d"); ok {
				in.addAll(v, root, statusD(v, f))
			} else if root, dir, ok := opkgStatus(f.Path); ok {
				in.addAll(v, root, dpkgPackages(v, f, "opkg", path.Join(dir, "info")))
			} else if root, ok := cutRoot(f.Path, "lib/apk/db/installed"); ok {
				in.addAll(v, strings.TrimSuffix(root, "/usr"), apkPackages(f))
			} else if root, ok := rpmRoot(f.Path); ok {
				in.addAll(v, root, rpmPackages(f))
			}
		}
	}
	for _, v := range in.product.Volumes {
		in.givenPackage(v)
	}
}

// cutRoot says that a path ends in a database's place, or lies in it, and gives
// the root before it.
func cutRoot(p, place string) (string, bool) {
	if strings.HasSuffix(place, ".d") {
		p = path.Dir(p)
	}
	if p == place {
		return ".", true
	}
	return strings.CutSuffix(p, "/"+place)
}

func opkgStatus(p string) (root, dir string, ok bool) {
	if path.Base(p) != "status" {
		return "", "", false
	}
	for _, place := range []string{"usr/lib/opkg", "var/lib/opkg", "opt/lib/opkg", "usr/lib/ipkg", "var/lib/ipkg"} {
		if root, ok := cutRoot(p, place+"/status"); ok {
			return root, path.Dir(p), true
		}
	}
	return "", "", false
}

// addAll adds the packages of one database. root is the folder to which their
// files belong.
func (in *inventory) addAll(v *product.Volume, root string, list []pack) {
	s := in.systemAround(v, root)
	for i := range list[:min(len(list), maxPackages)] {
		p := &list[i]
		c := in.addPackage(v, p, s)
		in.named[scope{v, p.name}] = true
		for _, name := range p.files {
			in.own(v.File(path.Join(root, name)), c)
		}
		in.sums.add(v, root, p, c)
	}
}

// addPackage makes a component of a package.
func (in *inventory) addPackage(v *product.Volume, p *pack, s System) *doorward.Component {
	c := doorward.Component{
		Type: "library", Name: p.name, Version: p.version, Maker: p.maker, CPE: p.cpe, Found: p.foundBy(), PURL: p.purl(s),
		Detail: map[string]string{},
	}
	if p.from != nil {
		c.Where, c.SHA256 = p.from.Where(), ""
	}
	if !strings.HasPrefix(p.name, "lib") {
		c.Type = "application"
	}
	for k, text := range map[string]string{"arch": p.arch, "licence": p.licence, "source": p.source, "homepage": p.homepage,
		"maintainer": p.maintainer, "vendor": p.vendor, "packager": p.packager, "build-host": p.buildHost} {
		if text != "" {
			c.Detail[k] = text
		}
	}
	if c.CPE == "" {
		c.CPE = knownCPE(first(p.source, p.name), upstream(p.version))
	}
	if os := in.os[v]; os != nil {
		c.Parent = os.BOMRef
	}
	listed := in.add(v, c)
	if id := (release{p.format, p.name, p.version, p.arch}); in.packed[id] == nil {
		in.packed[id] = listed
	}
	return listed
}

// release is a package in one version, wherever it lies.
type release struct{ format, name, version, arch string }

// addGiven adds a package that was given by itself. One that is installed, too,
// is the same component in one more place.
func (in *inventory) addGiven(v *product.Volume, p *pack) *doorward.Component {
	if c := in.packed[release{p.format, p.name, p.version, p.arch}]; c != nil {
		c.Where = append(c.Where, p.from.Where()...)
		return c
	}
	return in.addPackage(v, p, System{})
}

func (p *pack) foundBy() string {
	if p.format == "deb" {
		return "dpkg"
	}
	return p.format
}

// purl gives a package its URL. Its namespace is the system that the package
// was made for, as far as that is known.
func (p *pack) purl(s System) string {
	namespace := p.systemName
	if isSystemID(s.ID) {
		namespace = s.ID
	}
	distro := ""
	if isSystemID(s.ID) && s.Version != "" {
		distro = s.ID + "-" + s.Version
	}
	switch {
	case namespace != "":
	case p.format == "deb":
		namespace = "debian"
	case p.format == "apk":
		namespace = "alpine"
	}
	return purl(p.format, namespace, p.name, p.version, "arch", p.arch, "distro", distro, "epoch", p.epoch)
}

// paragraphs splits text in the format of Debian's control files: fields of
// paragraphs that an empty line separates, continued by a leading blank.
func paragraphs(text string) []map[string]string {
	var list []map[string]string
	var m map[string]string
	last := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.TrimSpace(line) == "":
			m = nil
		case line[0] == ' ' || line[0] == '\t':
			if m != nil && last != "" && (len(m[last]) < 4096 || last == "conffiles" && len(m[last]) < 1<<18) {
				m[last] += "\n" + strings.TrimSpace(line)
			}
		default:
			k, value, ok := strings.Cut(line, ":")
			if !ok {
				continue
			}
			if m == nil {
				m = map[string]string{}
				list = append(list, m)
			}
			last = strings.ToLower(k)
			m[last] = strings.TrimSpace(value)
		}
	}
	return list
}

// bigText is the text of a database, which may be larger than what counts as
// text elsewhere.
func bigText(f *product.File) string {
	const most = 64 << 20
	b := f.Bytes()
	return string(b[:min(len(b), most)])
}

// dpkgPackages reads a status file of dpkg or opkg; the list of a package's
// files stands in the folder beside.
func dpkgPackages(v *product.Volume, f *product.File, format, info string) []pack {
	var list []pack
	for _, m := range paragraphs(bigText(f)) {
		if status := m["status"]; m["package"] == "" || status != "" && !strings.HasSuffix(status, " installed") {
			continue
		}
		p := fromControl(m, format)
		if m["version"] == "" || m["architecture"] == "" {
			fill(&p, v.File(path.Join(info, p.name+".control")), format)
		}
		p.from = f
		for _, name := range []string{p.name, p.name + ":" + p.arch} {
			if g := v.File(path.Join(info, name+".list")); g != nil {
				p.files = strings.Split(strings.ReplaceAll(bigText(g), "\r", ""), "\n")
			}
			for _, kind := range sumFiles {
				if g := v.File(path.Join(info, name+kind)); g != nil {
					p.sums = append(p.sums, sumLines(bigText(g))...)
				}
			}
		}
		p.sums = append(p.sums, confFiles(m["conffiles"])...)
		list = append(list, p)
	}
	return list
}

// fill adds what the status file leaves to the control file beside.
func fill(p *pack, control *product.File, format string) {
	if control == nil {
		return
	}
	if all := paragraphs(bigText(control)); len(all) > 0 {
		*p = fromControl(all[0], format)
	}
}

// fromControl makes a package of the fields of a control file.
func fromControl(m map[string]string, format string) pack {
	p := pack{format: format, name: m["package"], version: m["version"], arch: m["architecture"], licence: m["license"], homepage: m["homepage"]}
	p.maker, p.maintainer, p.vendor = person(first(m["origin"], m["maintainer"])), m["maintainer"], m["origin"]
	p.source, _, _ = strings.Cut(m["source"], " ")
	if strings.Contains(p.source, "/") { // of opkg: a folder of feeds
		p.source = path.Base(p.source)
	}
	p.cpe = cpeOfURI(m["cpe-id"], upstream(p.version))
	return p
}

// person is a name without the address.
func person(s string) string {
	name, _, _ := strings.Cut(s, "<")
	return strings.TrimSpace(name)
}

// statusD reads one file of the folder that images without a package manager
// have: a control file per package, its files in NAME.md5sums.
func statusD(v *product.Volume, f *product.File) []pack {
	if strings.HasSuffix(f.Path, ".md5sums") {
		return nil
	}
	all := paragraphs(f.Text())
	if len(all) == 0 || all[0]["package"] == "" {
		return nil
	}
	p := fromControl(all[0], "deb")
	p.from = f
	if sums := v.File(f.Path + ".md5sums"); sums != nil {
		p.sums = sumLines(bigText(sums))
		for line := range strings.Lines(bigText(sums)) {
			if _, name, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
				p.files = append(p.files, name)
			}
		}
	}
	return []pack{p}
}

// apkPackages reads apk's database: single letters, a paragraph per package, F
// for a folder and R for a file in it (https://wiki.alpinelinux.org/wiki/Apk_spec).
func apkPackages(f *product.File) []pack {
	var list []pack
	p := pack{}
	folder := ""
	flush := func() {
		if p.name != "" {
			p.format, p.from = "apk", f
			list = append(list, p)
		}
		p, folder = pack{}, ""
	}
	for line := range strings.Lines(bigText(f)) {
		line = strings.TrimRight(line, "\r\n")
		k, value, ok := strings.Cut(line, ":")
		if line == "" {
			flush()
		}
		if !ok || len(k) != 1 {
			continue
		}
		switch k[0] {
		case 'P':
			p.name = value
		case 'V':
			p.version = value
		case 'A':
			p.arch = value
		case 'L':
			p.licence = value
		case 'o':
			p.source = value
		case 'm':
			p.maker, p.maintainer = person(value), value
		case 'U':
			p.homepage = value
		case 'F':
			folder = value
		case 'R':
			p.files = append(p.files, path.Join(folder, value))
		case 'Z':
			if n := len(p.files); n > 0 {
				p.sums = append(p.sums, apkSum(p.files[n-1], value)...)
			}
		}
	}
	flush()
	return list
}

// givenPackage looks for what a package says of itself where the volume is the
// content of one: of an apk beside the files, of a deb and an ipk in the control
// archive, whose sibling holds the files.
func (in *inventory) givenPackage(v *product.Volume) {
	if f := v.File(".PKGINFO"); f != nil {
		if p := pkgInfo(f); p.name != "" {
			in.ownAll(v, in.addGiven(v, &p))
		}
		return
	}
	if f := v.File("rpm-header"); f != nil && isPart(v, "rpm:header") {
		if p := rpmHeader(f.Bytes()); p.name != "" {
			p.from = f
			c := in.addGiven(v, &p)
			for _, files := range in.product.Volumes {
				if files != v && holdsPart(files, v) {
					in.ownAll(files, c)
				}
			}
		}
		return
	}
	f := v.File("control")
	if f == nil || !isControlArchive(v) {
		return
	}
	all := paragraphs(f.Text())
	if len(all) == 0 || all[0]["package"] == "" || all[0]["version"] == "" {
		return
	}
	p := fromControl(all[0], in.controlFormat(v))
	p.from = f
	c := in.addGiven(v, &p)
	in.ownAll(v, c)
	if g := v.File("md5sums"); g != nil {
		p.sums = sumLines(bigText(g))
	}
	for _, data := range in.product.Volumes {
		if data != v && isSibling(v, data) {
			in.ownAll(data, c)
			in.sums.given(data, &p, c)
		}
	}
}

func (in *inventory) ownAll(v *product.Volume, c *doorward.Component) {
	for _, f := range v.List() {
		in.own(f, c)
	}
}

// isPart says that the volume is a part of that name.
func isPart(v *product.Volume, name string) bool {
	for _, place := range v.Places {
		if place[len(place)-1] == name {
			return true
		}
	}
	return false
}

// holdsPart says that part is a part of the volume's own object.
func holdsPart(v, part *product.Volume) bool {
	for _, a := range v.Places {
		for _, b := range part.Places {
			if len(b) == len(a)+1 && slices.Equal(a, b[:len(a)]) {
				return true
			}
		}
	}
	return false
}

// isControlArchive says that the volume lies in a step named control.tar.*.
func isControlArchive(v *product.Volume) bool {
	for _, place := range v.Places {
		if _, ok := archiveOf(place, "control.tar"); ok {
			return true
		}
	}
	return false
}

// archiveOf returns the package's place if the place lies in its control or its
// data archive.
func archiveOf(place []string, name string) (string, bool) {
	for i := len(place) - 1; i > 0; i-- {
		base := path.Base(place[i][strings.LastIndexByte(place[i], ':')+1:])
		if strings.HasPrefix(base, name) {
			return strings.Join(place[:i], "\x00"), true
		}
	}
	return "", false
}

// controlFormat tells opkg's packages from Debian's: they are a tar archive, or
// say so by their architecture's name.
func (in *inventory) controlFormat(v *product.Volume) string {
	if in.product.Format == "deb" && !strings.HasSuffix(in.product.Name, ".ipk") {
		return "deb"
	}
	for _, place := range v.Places {
		for _, step := range place {
			if strings.HasSuffix(step, ".deb") || strings.HasSuffix(step, ".udeb") {
				return "deb"
			}
		}
	}
	return "opkg"
}

func isSibling(control, data *product.Volume) bool {
	for _, a := range control.Places {
		one, ok := archiveOf(a, "control.tar")
		for _, b := range data.Places {
			if other, yes := archiveOf(b, "data.tar"); ok && yes && one == other {
				return true
			}
		}
	}
	return false
}

// pkgInfo reads the description in an apk or a pacman package: "key = value".
func pkgInfo(f *product.File) pack {
	m := map[string]string{}
	for line := range strings.Lines(f.Text()) {
		if k, v, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(k, "#") {
			if k = strings.TrimSpace(k); m[k] == "" {
				m[k] = strings.TrimSpace(v)
			}
		}
	}
	return pack{format: "apk", name: m["pkgname"], version: m["pkgver"], arch: m["arch"], licence: m["license"], maker: person(first(m["maintainer"], m["packager"])), maintainer: m["maintainer"], source: m["origin"], homepage: m["url"], from: f}
}
