package firmware

import (
	"path"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/crypt"
	"github.com/doorward/doorward/internal/product"
)

// passwordFiles reports the users of every file of the shape of passwd or
// shadow.
func (a *accounts) passwordFiles() {
	var volumes []*product.Volume
	for _, f := range a.product.Files {
		if !a.maybeUserFile(f) {
			continue
		}
		u := readUserFile(f)
		if u == nil {
			continue
		}
		a.out.Looked(doorward.KindAccount, 1, "password file")
		if a.dbs[f.Volume] == nil {
			volumes = append(volumes, f.Volume)
		}
		a.dbs[f.Volume] = append(a.dbs[f.Volume], u)
	}
	for _, v := range volumes {
		for _, u := range a.dbs[v] {
			a.users(u)
		}
	}
}

func (a *accounts) maybeUserFile(f *product.File) bool {
	if !f.Type.IsText() || f.Size > maxUserFile || quietFile(f) {
		return false
	}
	base := strings.ToLower(f.Base())
	if strings.Contains(base, "passw") || strings.Contains(base, "shadow") {
		return true
	}
	for _, p := range accountPatterns[:11] {
		if f.Has(p) {
			return true
		}
	}
	return false
}

// users reports the usable accounts of one file.
func (a *accounts) users(u *userFile) {
	for _, l := range u.lines {
		shown, secret := l, u
		if u.shadow {
			if at := a.partner(u, l.user); at != nil {
				shown.uid, shown.shell, shown.home = at.uid, at.shell, at.home
			}
		} else if l.field == "x" || l.field == "*" || l.field == "!" {
			continue // shadow has it, or nothing does
		}
		a.user(shown, secret)
	}
}

// partner finds the user of a shadow file in the passwd file that belongs to
// it: the one beside it, or else another of the volume.
func (a *accounts) partner(u *userFile, user string) *userLine {
	var best *userLine
	for _, other := range a.dbs[u.file.Volume] {
		if other.shadow {
			continue
		}
		beside := path.Dir(other.file.Path) == path.Dir(u.file.Path)
		switch at, ok := other.byName[user]; {
		case ok && beside:
			best = &other.lines[at[1]]
		case ok && best == nil:
			best = &other.lines[at[0]]
		}
	}
	return best
}

// live says whether a file is the one that login programs read.
func (a *accounts) live(f *product.File) bool {
	if f.Volume == nil {
		return false
	}
	for _, p := range a.log.RunPath(f) {
		if dir, base := path.Split(p); (dir == "/etc/" || dir == "/system/etc/") && (base == "passwd" || base == "shadow") {
			return true
		}
	}
	for _, p := range []string{"etc/passwd", "etc/shadow", "system/etc/passwd"} {
		if a.log.Source(f.Volume, p) == f {
			return true
		}
	}
	return false
}

func (a *accounts) user(l userLine, u *userFile) {
	h, isHash := crypt.Parse(passwordField(l.field))
	if !isHash && l.field != "" {
		return // locked, or a text that no password gives
	}
	f := u.file
	d := login{
		user: l.user, uid: l.uid, shell: l.shell, gain: doorward.UserData, certainty: doorward.Shown,
		where: f.Where(), check: checkLine(f, l.line),
	}
	if l.uid == 0 || l.uid < 0 && l.user == "root" {
		d.gain = doorward.Control
	}
	note := "the password is empty"
	d.credential = "empty"
	if isHash {
		note = a.setHash(&d, h)
	} else if !u.shadow && l.shell == "" && l.home == "" {
		return
	}
	d.evidence = []doorward.Evidence{lineEvidence(f, l.line, l.text, note)}
	a.placeUser(&d, f)
	d.title = userTitle(&d)
	a.report(d)
}

// passwordField drops what shadow keeps behind the hash (Solaris, BSD ages).
func passwordField(s string) string {
	if i := strings.IndexByte(s, ','); i == 13 {
		return s[:i]
	}
	return s
}

// placeUser sets reach, certainty and weight of a system user by where its file
// lies and who asks for the password.
func (a *accounts) placeUser(d *login, f *product.File) {
	v := f.Volume
	reach, lighter, note := a.placeOf(v, d.credential == "empty")
	d.reach, d.lighter = reach, lighter
	if isNoLogin(d.shell) {
		a.noShell(d, v)
	} else {
		d.note(note)
	}
	if d.uid == 0 && d.user != "root" {
		d.note("uid 0: this user is root under another name")
	}
	switch {
	case f.Deleted():
		d.certainty, d.limit = doorward.Hint, doorward.Low
		d.note("only in a deleted layer or file: still in the artifact")
	case !a.live(f) && isBackup(f.Path):
		d.certainty, d.limit = doorward.Hint, doorward.Low
		d.note("a backup copy; login programs do not read it")
	case !a.live(f):
		if d.certainty == doorward.Shown {
			d.certainty = doorward.Likely
		}
		d.note("assumes that this file becomes /etc/" + fileRole(d) + " when the product runs")
	}
}

func fileRole(d *login) string {
	if d.uid >= 0 {
		return "passwd"
	}
	return "shadow"
}

func isBackup(p string) bool {
	base := path.Base(p)
	return strings.HasSuffix(base, "-") || strings.HasSuffix(base, "~") || strings.HasSuffix(base, ".old") || strings.HasSuffix(base, ".bak")
}

// noShell is a user whose shell forbids logins: file servers often let it in
// all the same.
func (a *accounts) noShell(d *login, v *product.Volume) {
	d.gain = doorward.UserData
	if v != nil {
		if w := a.waysOf(v).ftp; w.known {
			d.reach, d.certainty = doorward.Remote, doorward.Likely
			d.note("the shell forbids logins, but " + w.program + " may ask for the password alone")
			return
		}
	}
	d.reach, d.certainty, d.limit = doorward.Local, doorward.Hint, doorward.Low
	d.note("the shell forbids logins; services that ask for the password alone would accept it")
}

func (d *login) note(text string) {
	e := &d.evidence[0]
	if e.Note != "" {
		e.Note += "; "
	}
	e.Note += text
}

func userTitle(d *login) string {
	who := "user " + d.user
	if d.uid == 0 && d.user != "root" {
		who = "second root user " + d.user
	}
	switch d.credential {
	case "empty":
		return clip(who+" logs in with an empty password", 90)
	case "default":
		return clip(who+" has a published default password", 90)
	}
	return clip(who+" has a fixed password, the same on every unit", 90)
}
