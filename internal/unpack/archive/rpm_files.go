package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/doorward/doorward/internal/unpack"
)

// Tags of files, each a list with one value per file.
const (
	rpmTagOldNames    = 1027
	rpmTagSizes       = 1028
	rpmTagModes       = 1030
	rpmTagRdevs       = 1033
	rpmTagTimes       = 1034
	rpmTagLinks       = 1036
	rpmTagFlags       = 1037
	rpmTagUsers       = 1039
	rpmTagGroups      = 1040
	rpmTagDevices     = 1095
	rpmTagInodes      = 1096
	rpmTagDirIndexes  = 1116
	rpmTagBaseNames   = 1117
	rpmTagDirNames    = 1118
	rpmTagLongSizes   = 5008
	rpmTagCaps        = 5010
	rpmFlagGhost      = 1 << 6 // owned, but not in the payload
	rpmNobody         = 65534
	rpmStrippedMagic  = "07070X"
	rpmStrippedHeader = 14
	rpmCpioHeader     = 110
	rpmCpioEnd        = "TRAILER!!!"
	rpmMaxName        = 64 << 10
)

// rpmFile is a file as the header describes it.
type rpmFile struct {
	unpack.Entry
	size  int64
	ghost bool
	found bool
	group int // of hard links: the index of the last
}

// list reads the files of the header.
func (p *rpmPackage) list() []rpmFile {
	h := p.header
	var names []string
	dirs, index := h.texts(rpmTagDirNames), h.numbers(rpmTagDirIndexes)
	for i, base := range h.texts(rpmTagBaseNames) {
		if i < len(index) && index[i] < uint64(len(dirs)) {
			base = dirs[index[i]] + base
		}
		names = append(names, base)
	}
	if names == nil {
		names = h.texts(rpmTagOldNames)
	}
	sizes := h.numbers(rpmTagLongSizes)
	if sizes == nil {
		sizes = h.numbers(rpmTagSizes)
	}
	modes, rdevs, times, flags := h.numbers(rpmTagModes), h.numbers(rpmTagRdevs), h.numbers(rpmTagTimes), h.numbers(rpmTagFlags)
	links, users, groups, caps := h.texts(rpmTagLinks), h.texts(rpmTagUsers), h.texts(rpmTagGroups), h.texts(rpmTagCaps)
	devices, inodes := h.numbers(rpmTagDevices), h.numbers(rpmTagInodes)
	files := make([]rpmFile, len(names))
	last := map[[2]uint64]int{}
	for i := range files {
		f := &files[i]
		f.Path, f.group = names[i], -1
		f.Mode = unpack.UnixMode(uint32(at(modes, i)))
		f.size = int64(at(sizes, i) & (1<<62 - 1))
		f.ghost = at(flags, i)&rpmFlagGhost != 0
		f.ModTime = time.Unix(int64(at(times, i)), 0).UTC()
		if f.Mode&fs.ModeSymlink != 0 {
			f.Link = at(links, i)
		}
		if f.Mode&fs.ModeDevice != 0 {
			f.Major, f.Minor = uint32(at(rdevs, i)>>8&0xff), uint32(at(rdevs, i)&0xff)
		}
		f.owners(at(users, i), at(groups, i))
		if s := at(caps, i); s != "" {
			f.attribute("security.capability", capability(s))
		}
		if f.Mode.IsRegular() && !f.ghost && at(inodes, i) != 0 {
			last[[2]uint64{at(devices, i), at(inodes, i)}] = i
		}
	}
	for i := range files {
		if j, ok := last[[2]uint64{at(devices, i), at(inodes, i)}]; ok && files[i].Mode.IsRegular() && !files[i].ghost {
			files[i].group = j
			if j != i {
				files[i].Inode, files[j].Inode = uint64(j)+1, uint64(j)+1
			}
		}
	}
	return files
}

// at is the i-th value of a list that may be shorter.
func at[T any](list []T, i int) (v T) {
	if i < len(list) {
		v = list[i]
	}
	return v
}

func (f *rpmFile) attribute(name, value string) {
	if value == "" {
		return
	}
	if f.Xattrs == nil {
		f.Xattrs = map[string]string{}
	}
	f.Xattrs[name] = value
}

func (f *rpmFile) owners(user, group string) {
	if user != "root" && user != "" {
		f.UID = rpmNobody
		f.attribute("rpm.user", user)
	}
	if group != "root" && group != "" {
		f.GID = rpmNobody
		f.attribute("rpm.group", group)
	}
}

// files decodes the payload and adds the files that it holds.
func (p *rpmPackage) files(g *unpack.Gatherer) {
	files := p.list()
	if format := p.header.text(rpmTagPayload); format != "" && format != "cpio" {
		g.Damage(fmt.Errorf("rpm: a payload in the format %q: %w", format, unpack.ErrUnsupported))
		return
	}
	out, err := decodeStream(p.in, p.compressor(), unpack.Window(p.in.Data, p.payload, p.end-p.payload))
	if err != nil {
		g.Damage(fmt.Errorf("rpm: payload: %w", err))
	}
	c := &rpmCpio{data: out, files: files, byName: map[string]int{}}
	for i := range files {
		c.byName[unpack.CleanPath(files[i].Path)] = i
	}
	if bad := c.walk(g); bad != nil && err == nil {
		g.Damage(fmt.Errorf("rpm: payload: %w", bad))
	}
	missing := 0
	files = c.files[:len(files)]
	for i := range files {
		f := &files[i]
		if f.group >= 0 && f.group != i {
			first := &files[f.group]
			f.Data, f.Err, f.Order, f.found = first.Data, first.Err, first.Order, f.found || first.found
		}
		switch {
		case f.found:
			g.Add(f.Entry)
		case !f.ghost:
			missing++
		}
	}
	if missing > 0 {
		g.Damage(fmt.Errorf("rpm: %d of %d files are not in the payload", missing, len(files)))
	}
}

// rpmCpio walks the payload: cpio, whose headers may be stripped to the number
// of the file in the package's header.
type rpmCpio struct {
	data   []byte
	at     int
	files  []rpmFile
	byName map[string]int
}

var errRPMPayload = errors.New("damaged cpio")

func (c *rpmCpio) walk(g *unpack.Gatherer) error {
	for !g.Stop() {
		magic := string(c.data[min(c.at, len(c.data)):min(c.at+6, len(c.data))])
		var f *rpmFile
		var size int64
		var err error
		switch magic {
		case rpmStrippedMagic:
			f, size, err = c.stripped()
		case "070701", "070702":
			f, size, err = c.named(g)
		default:
			err = errRPMPayload
		}
		if err != nil {
			return fmt.Errorf("%w at 0x%x", err, c.at)
		}
		if f == nil {
			return nil
		}
		if size > int64(len(c.data)-c.at) {
			f.found, f.Err = true, fmt.Errorf("rpm: the content of %q is cut off", f.Path)
			return f.Err
		}
		f.found, f.Order = true, int64(c.at)
		if content := c.data[c.at : c.at+int(size) : c.at+int(size)]; size > 0 && f.Mode.IsRegular() {
			f.Data = unpack.Slice(content)
		} else if f.Mode&fs.ModeSymlink != 0 && size < rpmMaxName {
			f.Link = strings.TrimRight(string(content), "\x00")
		}
		c.at = min((c.at+int(size)+3)&^3, len(c.data))
	}
	return nil
}

// stripped reads a header that is only a number.
func (c *rpmCpio) stripped() (*rpmFile, int64, error) {
	if len(c.data)-c.at < rpmStrippedHeader {
		return nil, 0, errRPMPayload
	}
	i, err := strconv.ParseUint(string(c.data[c.at+6:c.at+rpmStrippedHeader]), 16, 32)
	if err != nil || i >= uint64(len(c.files)) || c.files[i].found {
		return nil, 0, errRPMPayload
	}
	c.at = min((c.at+rpmStrippedHeader+3)&^3, len(c.data))
	f := &c.files[i]
	if f.group >= 0 && f.group != int(i) || f.Mode.IsDir() {
		return f, 0, nil
	}
	if !f.Mode.IsRegular() && f.Mode&fs.ModeSymlink == 0 {
		return f, 0, nil
	}
	return f, f.size, nil
}

// named reads a full header; nil at the end of the archive. A file that the
// package's header does not list is added as the payload has it.
func (c *rpmCpio) named(g *unpack.Gatherer) (*rpmFile, int64, error) {
	if len(c.data)-c.at < rpmCpioHeader {
		return nil, 0, errRPMPayload
	}
	h := c.data[c.at:]
	field := func(i int) int64 {
		v, err := strconv.ParseUint(string(h[6+8*i:14+8*i]), 16, 32)
		if err != nil {
			return -1
		}
		return int64(v)
	}
	mode, size, nameSize := field(1), field(6), field(11)
	if mode < 0 || size < 0 || nameSize < 1 || nameSize > rpmMaxName || nameSize > int64(len(h)-rpmCpioHeader) {
		return nil, 0, errRPMPayload
	}
	name := string(h[rpmCpioHeader : rpmCpioHeader+nameSize-1])
	c.at = min((c.at+rpmCpioHeader+int(nameSize)+3)&^3, len(c.data))
	if name == rpmCpioEnd {
		return nil, 0, nil
	}
	if i, ok := c.byName[unpack.CleanPath(name)]; ok && !c.files[i].found {
		return &c.files[i], size, nil
	}
	g.Damage(fmt.Errorf("rpm: the payload has a file %q that the header does not list", name))
	c.files = append(c.files, rpmFile{group: -1})
	f := &c.files[len(c.files)-1]
	f.Path, f.Mode = name, unpack.UnixMode(uint32(mode))
	if size <= int64(len(c.data)-c.at) && size > 0 && f.Mode.IsRegular() {
		f.Data = unpack.Slice(c.data[c.at : c.at+int(size)])
	}
	g.Add(f.Entry)
	return f, size, nil
}

// capabilityNames are the capabilities in the order of their numbers
// (include/uapi/linux/capability.h).
var capabilityNames = strings.Fields(`chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap
	linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot
	sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write
	audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore`)

// capability turns the text of file capabilities (cap_from_text(3)) into the
// kernel's attribute (struct vfs_cap_data, revision 2). It is empty for text
// that it does not understand.
func capability(text string) string {
	var permitted, inheritable uint64
	effective := false
	for clause := range strings.FieldsSeq(text) {
		i := strings.IndexAny(clause, "=+-")
		if i < 0 {
			return ""
		}
		set, ok := capabilitySet(clause[:i])
		if !ok {
			return ""
		}
		op := byte(0)
		for _, c := range []byte(clause[i:]) {
			switch c {
			case '=':
				op = c
				permitted, inheritable = permitted&^set, inheritable&^set
			case '+', '-':
				op = c
			case 'e':
				effective = op != '-'
			case 'p':
				permitted = with(permitted, set, op)
			case 'i':
				inheritable = with(inheritable, set, op)
			default:
				return ""
			}
		}
	}
	magic := uint32(0x02000000)
	if effective {
		magic |= 1
	}
	var b []byte
	for _, v := range []uint32{magic, uint32(permitted), uint32(inheritable), uint32(permitted >> 32), uint32(inheritable >> 32)} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return string(b)
}

func with(all, set uint64, op byte) uint64 {
	if op == '-' {
		return all &^ set
	}
	return all | set
}

// capabilitySet reads a list of names; none, or "all", is every one.
func capabilitySet(list string) (set uint64, ok bool) {
	if list == "" || list == "all" {
		return 1<<len(capabilityNames) - 1, true
	}
	for name := range strings.SplitSeq(list, ",") {
		found := false
		for i, known := range capabilityNames {
			if strings.EqualFold(name, "cap_"+known) {
				set, found = set|1<<i, true
			}
		}
		if !found {
			return 0, false
		}
	}
	return set, true
}
