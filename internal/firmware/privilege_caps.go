package firmware

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
)

// capabilityNames are those of linux/capability.h, by number.
var capabilityNames = []string{
	"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "linux_immutable",
	"net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot",
	"sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease",
	"audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read",
	"perfmon", "bpf", "checkpoint_restore",
}

// rootLike are the capabilities that are as good as being root.
var rootLike = []string{"chown", "dac_override", "dac_read_search", "fowner", "setuid", "setgid", "setfcap", "sys_module", "sys_rawio", "sys_ptrace", "sys_admin", "mknod", "bpf"}

// parseCapabilities reads the attribute security.capability (struct
// vfs_cap_data, revisions 1 to 3, little-endian) and names what it permits.
func parseCapabilities(attr string) (names []string, ok bool) {
	b := []byte(attr)
	if len(b) < 12 {
		return nil, false
	}
	words := 1
	switch binary.LittleEndian.Uint32(b) >> 24 {
	case 1:
	case 2, 3:
		words = 2
	default:
		return nil, false
	}
	if len(b) < 4+8*words {
		return nil, false
	}
	for w := range words {
		permitted := binary.LittleEndian.Uint32(b[4+8*w:])
		for bit := range 32 {
			if permitted>>bit&1 == 0 {
				continue
			}
			n := w*32 + bit
			if n < len(capabilityNames) {
				names = append(names, "cap_"+capabilityNames[n])
			} else {
				names = append(names, "cap_"+strconv.Itoa(n))
			}
		}
	}
	return names, true
}

func (r *privileges) capabilities(f *product.File, attr string) {
	names, ok := parseCapabilities(attr)
	if !ok || len(names) == 0 {
		return
	}
	x := right{what: "capability", certainty: doorward.Shown, found: strings.Join(names, ","), weight: doorward.Info,
		title: f.Base() + " runs with " + strings.Join(names, ", "), note: "a right short of root", check: "unpack the product with its attributes; getcap " + f.Path}
	for _, n := range names {
		if contains(rootLike, strings.TrimPrefix(n, "cap_")) {
			x.weight, x.gain, x.certainty = "", doorward.UserData, doorward.Likely
			x.note = n + " is as good as root, if the program can be made to use it"
			if usualSetuid()[f.Base()] || f.Base() == "newuidmap" {
				x.weight = doorward.Info
			} else if interprets(f.Base()) {
				x.gain, x.certainty = doorward.Control, doorward.Shown
				x.note = n + " is as good as root, and this program does what its user writes"
			}
			break
		}
	}
	r.report(f, x)
}

// interprets says that a program runs what its user gives it.
func interprets(name string) bool {
	name = strings.TrimRight(name, "0123456789.")
	switch name {
	case "python", "perl", "ruby", "node", "lua", "php", "php-cli", "sh", "bash", "dash", "ash", "gdb", "gdbserver", "vim", "vi", "tar", "awk", "gawk", "tclsh", "busybox", "cp", "dd":
		return true
	}
	return false
}
