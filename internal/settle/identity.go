package settle

import (
	"path"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// join says which findings of one kind in one file system are one fact though
// they stand in different files: those with equal loose and tight keys. One
// that does not know its tight key joins the strongest with the same loose key.
type join struct {
	keys func(d *door) (loose, tight string, ok bool)
}

var joins = []join{
	{accountKeys}, {keyKeys}, {servicePortKeys}, {serviceProgramKeys}, {debugKeys}, {updateKeys}, {sensorKeys}, {destinationKeys},
}

func scoped(d *door, kind doorward.Kind, parts ...string) (string, bool) {
	if d.Kind != kind || slices.Contains(parts, "") {
		return "", false
	}
	return string(kind) + "\x00" + d.volume() + "\x00" + strings.Join(parts, "\x00"), true
}

// accountKeys: a user of the operating system is one, whether it stands in
// passwd, in shadow or in a script that makes it. Users of two applications
// that share a name are two.
func accountKeys(d *door) (string, string, bool) {
	if !isSystemAccount(d) {
		return "", "", false
	}
	loose, ok := scoped(d, doorward.KindAccount, d.Detail.Text("user"))
	return loose, d.Detail.Text("password"), ok
}

var systemFiles = []string{"passwd", "passwd-", "shadow", "shadow-", "master.passwd", "gshadow"}

func isSystemAccount(d *door) bool {
	if d.Detail.Text("uid") != "" || d.Detail.Text("made_by") != "" {
		return true
	}
	return slices.Contains(systemFiles, path.Base(d.InnerPath()))
}

// keyKeys: the same key in two files is one door, but a private key and the
// permission to log in with it are two.
func keyKeys(d *door) (string, string, bool) {
	loose, ok := scoped(d, doorward.KindKey, d.Detail.Text("fingerprint"))
	private := d.Detail.Text("private")
	if private == "" {
		private = "false"
	}
	return loose, private, ok
}

// servicePortKeys: one door per port, unless two programs claim it.
func servicePortKeys(d *door) (string, string, bool) {
	loose, ok := scoped(d, doorward.KindService, proto(d), d.Detail.Text("port"))
	return loose, d.Detail.Text("program"), ok
}

// serviceProgramKeys: a program seen to start and the same program with its
// port are one door. Programs that serve anything that they are told to
// (shells, relays, super-servers) say too little by their name.
func serviceProgramKeys(d *door) (string, string, bool) {
	program := d.Detail.Text("program")
	if slices.Contains(relays, program) {
		return "", "", false
	}
	loose, ok := scoped(d, doorward.KindService, program)
	port := d.Detail.Text("port")
	if port != "" {
		port = proto(d) + "/" + port
	}
	return loose, port, ok
}

var relays = []string{
	"nc", "ncat", "netcat", "socat", "sh", "ash", "bash", "busybox", "toybox", "inetd", "xinetd", "tcpsvd", "udpsvd",
	"tcpserver", "systemd", "python", "python3", "perl", "lua", "node", "java",
}

func proto(d *door) string {
	if p := d.Detail.Text("proto"); p != "" {
		return p
	}
	return "tcp"
}

func debugKeys(d *door) (string, string, bool) {
	loose, ok := scoped(d, doorward.KindDebug, d.Detail.Text("what"), d.Detail.Text("device"))
	return loose, "one", ok
}

// updateKeys: one channel per host, unless two programs use it or it is
// checked once and once not.
func updateKeys(d *door) (string, string, bool) {
	loose, ok := scoped(d, doorward.KindUpdate, d.Detail.Text("host"))
	tight := d.Detail.Text("path")
	if signed := d.Detail.Text("signed"); signed == "true" || signed == "false" {
		tight += "\x00" + signed
	}
	return loose, tight, ok
}

func sensorKeys(d *door) (string, string, bool) {
	loose, ok := scoped(d, doorward.KindSensor, d.Detail.Text("what"), d.Detail.Text("program"))
	return loose, d.Detail.Text("device"), ok
}

func destinationKeys(d *door) (string, string, bool) {
	loose, ok := scoped(d, doorward.KindDestination, d.Detail.Text("host"))
	return loose, d.Detail.Text("port"), ok
}
