package sandbox

import (
	"fmt"
	"os"
	"runtime"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/landlock-lsm/go-landlock/landlock"
	"github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Enter confines the process, all threads, for good. It returns the layers, of
// which none may be active: an old kernel is no reason not to inspect.
func Enter(p Policy) []Layer {
	return []Layer{files(p), calls()}
}

// Supported says that the kernel confines files.
func Supported() bool {
	version, err := syscall.LandlockGetABIVersion()
	return err == nil && version > 0
}

const (
	filesDoc = "only the files that were named can be read, only the folders of the output and of the cache be written; no TCP"
	callsDoc = "no sockets, no other programs, no other processes, no mounts, no modules"
)

// files confines by Landlock, as far as the kernel's version of it goes.
func files(p Policy) Layer {
	l := Layer{Name: "landlock", Doc: filesDoc}
	version, err := syscall.LandlockGetABIVersion()
	if err != nil || version < 1 {
		l.Note = "the kernel does not have it, or it is not switched on"
		return l
	}
	var rules []landlock.Rule
	for _, path := range p.Read {
		switch info, err := os.Stat(path); {
		case err != nil:
		case info.IsDir():
			rules = append(rules, landlock.RODirs(path))
		default:
			rules = append(rules, landlock.ROFiles(path))
		}
	}
	for _, path := range p.Write {
		// Renaming within a folder needs no right of its own (REFER).
		rules = append(rules, landlock.RWDirs(path).IgnoreIfMissing())
	}
	if err := landlock.V5.BestEffort().Restrict(rules...); err != nil {
		l.Note = err.Error()
		return l
	}
	l.Active, l.Note = true, fmt.Sprintf("version %d of the kernel's interface", version)
	return l
}

// denied are the system calls that no inspection makes. What is not listed
// stays allowed: Go's runtime chooses its calls by its version.
var denied = []string{
	// the network, and talking to other processes
	"socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg",
	// other programs
	"execve", "execveat", "fork", "vfork",
	// other processes
	"ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "pidfd_send_signal",
	// the kernel and the system
	"mount", "umount2", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick", "pivot_root", "chroot", "unshare", "setns",
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "settimeofday", "clock_settime",
	"bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl", "add_key", "request_key",
	"name_to_handle_at", "open_by_handle_at", "acct", "quotactl", "personality",
	// other rights
	"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid", "capset",
}

// calls loads a seccomp filter into all threads; a refused call gives EPERM.
func calls() Layer {
	l := Layer{Name: "seccomp", Doc: callsDoc}
	table, err := arch.GetInfo(runtime.GOARCH)
	if err != nil {
		l.Note = "no table of system calls for " + runtime.GOARCH
		return l
	}
	if !seccomp.Supported() {
		l.Note = "the kernel does not have it"
		return l
	}
	var names []string
	for _, name := range denied {
		if _, known := table.SyscallNames[name]; known {
			names = append(names, name)
		}
	}
	err = seccomp.LoadFilter(seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionAllow,
			Syscalls:      []seccomp.SyscallGroup{{Action: seccomp.ActionErrno, Names: names}},
		},
	})
	if err != nil {
		l.Note = err.Error()
		return l
	}
	l.Active, l.Note = true, fmt.Sprintf("%d system calls are refused", len(names))
	return l
}
