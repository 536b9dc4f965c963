package startup

import (
	"path"
	"strings"

	"github.com/doorward/doorward/internal/product"
)

// timers runs what cron starts: the tables that are shipped and those that
// scripts write.
func (e *engine) timers() {
	c := context{manager: "cron", trigger: "timer"}
	if e.isWhole() {
		conds, found := e.cronStarted()
		if !found {
			c.conds = []Condition{{Text: "crond is started", Holds: False}}
		} else {
			c.conds = conds
		}
	}
	for _, p := range append(e.fs.glob("/etc/cron.d/*"), "/etc/crontab") {
		if f := e.file(p); f != nil && !e.ran[f] {
			e.crontab(f.Text(), f, true, c)
		}
	}
	for _, pattern := range []string{"/etc/crontabs/*", "/var/spool/cron/crontabs/*", "/var/spool/cron/*", "/etc/cron/crontabs/*", "/var/cron/tabs/*", "/etc/spool/cron/crontabs/*"} {
		for _, p := range e.fs.glob(pattern) {
			if f := e.file(p); f != nil && f.Type.IsText() && !e.ran[f] {
				own := c
				own.user = noRoot(path.Base(p))
				e.crontab(f.Text(), f, false, own)
			}
		}
	}
	for _, dir := range []string{"minutely", "5mins", "15min", "hourly", "daily", "weekly", "monthly"} {
		for _, p := range append(e.fs.glob("/etc/cron."+dir+"/*"), e.fs.glob("/etc/periodic/"+dir+"/*")...) {
			if f := e.file(p); f != nil && !e.ran[f] && f.Base() != ".placeholder" && f.Mode().Perm()&0o111 != 0 {
				e.runFile(f, p, c)
			}
		}
	}
	e.writtenTables(c)
}

// cronStarted finds a crond among the events.
func (e *engine) cronStarted() (conds []Condition, found bool) {
	for i := range e.log.Events {
		ev := &e.log.Events[i]
		if ev.Volume != e.v || ev.Kind != Start || ev.Holds() == False {
			continue
		}
		switch ev.Applet {
		case "crond", "cron", "cronie", "fcron", "dcron", "anacron", "crondaemon", "mcron":
			var open []Condition
			for _, c := range ev.Condition {
				if c.Holds != True {
					open = append(open, c)
				}
			}
			if !found || len(open) < len(conds) {
				conds, found = open, true
			}
		}
	}
	return conds, found
}

// crontab runs the lines of a table. One of the system names a user in each.
func (e *engine) crontab(text string, f *product.File, system bool, c context) {
	if f != nil {
		e.ran[f] = true
	}
	for i, line := range strings.Split(text, "\n") {
		cmd, user, reboot, ok := cronLine(line, system)
		if !ok || !e.step() {
			continue
		}
		own := c
		if system {
			own.user = noRoot(user)
		}
		if reboot {
			own.trigger = "boot"
		}
		e.line(cmd, Site{File: f, Line: i + 1, Text: strings.TrimSpace(line)}, own)
	}
}

// cronLine splits a line of a crontab.
func cronLine(line string, system bool) (cmd, user string, reboot, ok bool) {
	t := strings.TrimSpace(line)
	if t == "" || t[0] == '#' {
		return "", "", false, false
	}
	fields := strings.Fields(t)
	n := 5
	if t[0] == '@' {
		n, reboot = 1, fields[0] == "@reboot"
	} else if strings.Trim(fields[0], "0123456789*/,-~") != "" {
		return "", "", false, false // MAILTO=root
	}
	if system {
		n++
	}
	if len(fields) <= n {
		return "", "", false, false
	}
	if system {
		user = fields[n-1]
	}
	rest := t
	for range n {
		cut := strings.IndexAny(rest, " \t")
		if cut < 0 {
			return "", "", false, false
		}
		rest = strings.TrimLeft(rest[cut:], " \t")
	}
	if cut := strings.Index(rest, "%"); cut > 0 && rest[cut-1] != '\\' && !strings.Contains(rest[:cut], "date") {
		rest = rest[:cut]
	}
	return strings.ReplaceAll(rest, `\%`, "%"), user, reboot, rest != ""
}

// writtenTables runs crontabs and inittab lines that scripts wrote.
func (e *engine) writtenTables(c context) {
	for i := 0; i < len(e.log.Events); i++ {
		ev := e.log.Events[i]
		if ev.Volume != e.v || ev.Kind != Write || ev.Text == "" {
			continue
		}
		chain := append(ev.Chain[:len(ev.Chain):len(ev.Chain)], ev.By)
		switch {
		case strings.Contains(ev.Target, "/cron"):
			own := c
			own.chain = chain
			own.conds = append(ev.Condition[:len(ev.Condition):len(ev.Condition)], c.conds...)
			system := strings.Contains(ev.Target, "/cron.d/") || strings.HasSuffix(ev.Target, "/crontab")
			for line := range strings.SplitSeq(ev.Text, "\n") {
				if cmd, user, reboot, ok := cronLine(line, system); ok && e.step() {
					own.user = noRoot(user)
					own.trigger = "timer"
					if reboot {
						own.trigger = "boot"
					}
					e.line(cmd, ev.By, own)
				}
			}
		case ev.Target == "/etc/inittab":
			for line := range strings.SplitSeq(ev.Text, "\n") {
				if e.step() {
					e.inittabLine(strings.TrimSpace(line), ev.By, chain, ev.Condition)
				}
			}
		}
	}
}
