// Package startup is one evaluator of boot scripts and service managers. It
// reads, for each root file system of a product, what happens from the first
// program on, as a careful reader would: through sourced files, variables,
// loops and guards. It runs nothing. Its events are what the detectors of
// accounts, services, updates and debug interfaces read, instead of each being
// a small shell of its own.
package startup

import "github.com/doorward/doorward/internal/product"

// Kind says what an event is.
type Kind string

// The kinds of events.
const (
	Start Kind = "start" // a program is run: Program, Args
	Write Kind = "write" // text goes into a file: Target, Text, Append
	Copy  Kind = "copy"  // files are copied or moved: From, Target
	Link  Kind = "link"  // a link is made: Target points to From
	Mount Kind = "mount" // a file system is mounted: From (device), Target
	Set   Kind = "set"   // a setting is changed (nvram set, uci set, setprop, sysctl): Target is the name, Text the value
)

// Event is one thing that happens when the product starts, on a timer, or when
// something is plugged in or somebody logs in.
type Event struct {
	Kind   Kind
	Volume *product.Volume

	Program string        // as called, a base name or a path, variables expanded as far as known
	File    *product.File // the program, links followed; nil if the volume does not have it
	Applet  string        // what a multi-call program acts as (telnetd of busybox); else the base name
	Args    []string      // without the program's name; what is unknown stands as $NAME
	Env     map[string]string
	User    string // "" is root
	Stdin   string // text that is piped in, as far as known (echo root:pw | chpasswd)

	Target string // absolute path, or a setting's name
	From   string
	Text   string
	Append bool

	By        Site        // the line that does it
	Chain     []Site      // from the first program to By; the first is the entry
	Manager   string      // inittab, rc, systemd, procd, xinetd, inetd, runit, s6, openrc, upstart, init.rc, profile, cron, hotplug, program, package, container
	Trigger   string      // "boot", "timer", "login", "hotplug", "connection" (inetd), "install" (package scripts)
	Terminal  string      // of inittab: the device that the program runs on (ttyS0)
	Respawn   string      // of inittab: the action as written (askfirst, respawn); of systemd the Type
	Condition []Condition // all must hold; none: it always happens
	Socket    string      // for inetd, xinetd and socket units: "tcp/23"
}

// Site is a line of a file; of a program, an offset in it.
type Site struct {
	File   *product.File
	Line   int // 1-based; 0 if the file is a program
	Offset int64
	Text   string // the line, or the string in the program
	Image  bool   // Text is of the container image's configuration; File is what it starts
}

// Condition is a guard that could not be decided, or was decided by a default
// that somebody can change.
type Condition struct {
	Text    string // as written: [ "$telnet_enable" = "1" ]
	Name    string // the setting that decides, if one does: telnet_enable
	Want    string // the value that lets it pass, if known
	Default string // what the product ships for Name; "" if unknown
	Holds   Truth  // with that default
}

// Truth is true, false or not known.
type Truth int

// The truth values.
const (
	Unknown Truth = iota
	True
	False
)

// Holds says whether the event happens as the product is shipped: False if one
// condition is false, True if all are true (or there are none), else Unknown.
func (e *Event) Holds() Truth {
	all := True
	for _, c := range e.Condition {
		switch c.Holds {
		case False:
			return False
		case Unknown:
			all = Unknown
		}
	}
	return all
}

// Log is everything that was found for a product.
type Log struct {
	Events   []Event
	Settings map[string]string // shipped defaults of nvram, uci, properties and KEY=value files, by name
	Limits   []Limit           // what was left out because it was too much
	filled   map[*product.Volume]*fills
}
