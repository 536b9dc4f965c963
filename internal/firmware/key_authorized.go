package firmware

import (
	"encoding/base64"
	"path"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
)

// authorized reports the keys that may log in: lines of authorized_keys, also
// where a boot script writes or copies them, and adb's.
func (k *keys) authorized(f *product.File) {
	if !f.Type.IsText() {
		return
	}
	if f.Base() == "adb_keys" {
		k.adb(f)
		return
	}
	if !f.Has(" AAAA") {
		return
	}
	listed := k.isAuthorizedList(f)
	number := 0
	for line := range strings.Lines(f.Text()) {
		number++
		target := f.Path
		if !listed {
			// A script that writes the line itself.
			at := strings.Index(line, "authorized_keys")
			if at < 0 || strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
			line = strings.NewReplacer(`"`, " ", `'`, " ").Replace(line[:at])
			target = "root"
		}
		if key, ok := parseAuthorized(line); ok {
			k.addAuthorized(f, number, line, target, key)
		}
	}
}

// isAuthorizedList says that a file is read by an SSH server as the list of
// keys that may log in.
func (k *keys) isAuthorizedList(f *product.File) bool {
	names := append(k.log.RunPath(f), f.Path)
	for _, p := range names {
		if strings.HasPrefix(path.Base(p), "authorized_keys") {
			return true
		}
	}
	if f.Volume == nil {
		return false
	}
	for _, conf := range f.Volume.Glob("etc/ssh/sshd_config") {
		for line := range strings.Lines(conf.Text()) {
			words := strings.Fields(line)
			if len(words) > 1 && strings.EqualFold(words[0], "AuthorizedKeysFile") {
				for _, w := range words[1:] {
					if strings.HasPrefix(w, "/") && path.Base(w) == f.Base() {
						return true
					}
				}
			}
		}
	}
	return false
}

func (k *keys) addAuthorized(f *product.File, number int, line, target string, key authorizedKey) {
	user := authorizedUser(target)
	x := keyFound{file: f, offset: -1, line: number, algorithm: sshBlobType(key.blob), fingerprint: sshFingerprint(key.blob), found: strings.TrimSpace(line),
		gain: doorward.UserData, reach: doorward.Remote, certainty: doorward.Shown, references: []string{"CWE-798", "T1098.004"},
		title: "a fixed key may log in as " + user, note: "whoever has its private half logs in to every unit"}
	if key.comment != "" {
		x.note += "; the key is marked " + clip(key.comment, 60)
	}
	if user == "root" {
		x.gain = doorward.Control
	}
	switch server := k.sshServer(f.Volume); {
	case server == "":
		x.certainty, x.lighter = doorward.Likely, 2
		x.note += "; no SSH server was found in the product"
	default:
		x.usedBy = []string{server}
	}
	if strings.Contains(key.options, "command=") || strings.Contains(key.options, "restrict") || strings.Contains(key.options, "from=") {
		x.lighter++
		x.note += "; restricted by " + clip(key.options, 80)
	}
	k.add(x)
}

// authorizedUser is whose login a list opens.
func authorizedUser(p string) string {
	p = "/" + p
	if i := strings.LastIndex(p, "/home/"); i >= 0 {
		user, _, _ := strings.Cut(p[i+len("/home/"):], "/")
		return user
	}
	return "root"
}

// sshServer is the program that reads the list.
func (k *keys) sshServer(v *product.Volume) string {
	if v == nil || !v.IsRoot() {
		return ""
	}
	for i := range k.log.Events {
		e := &k.log.Events[i]
		if e.Kind == startup.Start && e.Volume == v && (e.Applet == "sshd" || e.Applet == "dropbear") {
			return e.Applet
		}
	}
	for _, name := range []string{"sshd", "dropbear", "tinysshd"} {
		for _, dir := range []string{"usr/sbin/", "sbin/", "usr/bin/", "bin/", "usr/local/sbin/"} {
			if v.Exists(dir + name) {
				return name
			}
		}
	}
	return ""
}

// adb reports adb_keys: base64 of a structure of 524 bytes, and a name.
func (k *keys) adb(f *product.File) {
	number := 0
	for line := range strings.Lines(f.Text()) {
		number++
		text, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(b) < 100 {
			continue
		}
		k.add(keyFound{file: f, offset: -1, line: number, algorithm: "RSA 2048", fingerprint: hexFingerprint(b), found: strings.TrimSpace(line), gain: doorward.Control,
			reach: doorward.Physical, certainty: doorward.Shown, usedBy: []string{"adbd"}, references: []string{"CWE-798", "T1098.004"},
			title: "a fixed key may use adb", note: "whoever has its private half gets a shell over adb; marked " + clip(name, 60)})
	}
}
