package settle

import (
	"path"
	"slices"
	"strings"

	"github.com/doorward/doorward"
)

// fold gives each fact to the most specific kind that has it: the host of an
// update door is no destination again, a debug daemon that listens is a
// service, a fixed value accepted at a login is an account.
func fold(list []*door) []*door {
	better := map[string]*door{} // key of a fact -> the door that has it
	for _, d := range list {
		for _, key := range owns(d) {
			if better[key] == nil {
				better[key] = d
			}
		}
	}
	return slices.DeleteFunc(list, func(d *door) bool {
		for _, key := range yields(d) {
			if owner := better[key]; owner != nil {
				owner.take(d)
				return true
			}
		}
		return false
	})
}

// owns returns the facts that a door has for itself.
func owns(d *door) []string {
	switch d.Kind {
	case doorward.KindUpdate:
		return fact("host", d.Detail.Text("host"))
	case doorward.KindService:
		return fact("program", d.volume(), d.Detail.Text("program"))
	case doorward.KindAccount:
		return fact("value", d.volume(), "at"+d.InnerPath(), d.Detail.Text("password"))
	}
	return nil
}

// yields returns the facts for which a door gives way to one that owns them.
func yields(d *door) []string {
	switch d.Kind {
	case doorward.KindDestination:
		return fact("host", d.Detail.Text("host"))
	case doorward.KindDebug:
		if what := d.Detail.Text("what"); what == "daemon" || what == "adb" {
			return fact("program", d.volume(), debugProgram(d))
		}
	case doorward.KindTrigger:
		// A value that skips the login stays a trigger.
		if !strings.Contains(d.Detail.Text("effect"), "bypass") {
			return fact("value", d.volume(), "at"+d.InnerPath(), d.Detail.Text("value"))
		}
	}
	return nil
}

func debugProgram(d *door) string {
	if p := d.Detail.Text("program"); p != "" {
		return p
	}
	if p := d.Detail.Text("path"); p != "" {
		return path.Base(p)
	}
	return path.Base(d.InnerPath())
}

func fact(parts ...string) []string {
	if slices.Contains(parts[1:], "") {
		return nil
	}
	if parts[0] == "host" {
		parts[1] = strings.ToLower(strings.TrimSuffix(parts[1], "."))
	}
	return []string{strings.Join(parts, "\x00")}
}
