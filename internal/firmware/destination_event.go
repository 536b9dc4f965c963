package firmware

import (
	"path"
	"strings"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/startup"
)

// eventSightings are the hosts of commands that run when the product starts,
// with the values that sourced files and settings give to their variables.
func eventSightings(p *product.Product) []sighting {
	var found []sighting
	for _, ev := range startup.Of(p).Events {
		if ev.Kind != startup.Start || ev.By.File == nil || ev.Holds() == startup.False {
			continue
		}
		name := ev.Applet
		if name == "" {
			name = path.Base(ev.Program)
		}
		command := name + " " + strings.Join(ev.Args, " ")
		if len(command) > 4096 || contactingIn(command) == "" {
			continue
		}
		for _, s := range commandSightings(name, command) {
			s.file, s.line, s.offset = ev.By.File, ev.By.Line, ev.By.Offset
			s.certainty = doorward.Shown
			if s.text = ev.By.Text; s.text == "" {
				s.text = command
			}
			if s.payload == "" {
				s.payload = strings.TrimSpace(sends.FindString(ev.By.Text))
			}
			found = append(found, s)
		}
	}
	return found
}

// commandSightings are the hosts that one command contacts.
func commandSightings(name, command string) []sighting {
	var found []sighting
	payload := strings.TrimSpace(sends.FindString(command))
	for _, e := range endpointsOf(command, true, true) {
		s := sighting{endpoint: e, text: command, program: name, payload: payload}
		s.bySort(command)
		found = append(found, s)
	}
	return found
}

// bySort fills in what the contacting program's sort tells of port and
// encryption.
func (s *sighting) bySort(command string) {
	switch s.program {
	case "ntpd", "ntpdate", "ntpclient", "sntp", "rdate", "chronyd":
		s.scheme, s.port, s.payload = "", 123, ""
	case "nc", "ncat", "netcat", "telnet", "tftp", "ftpput", "ftpget", "ftp":
		if s.scheme == "" {
			s.scheme = "tcp"
		}
		s.port = portAfter(command, s.host, s.port)
	}
}

// maxTable is the size up to which data is read as a table of settings.
const maxTable = 512 << 10

// tableSightings reads KEY=value settings that NULs part: nvram defaults, a
// boot loader's environment.
func tableSightings(f *product.File) []sighting {
	if f.Size > maxTable || f.Size < 16 {
		return nil
	}
	b := f.Bytes()
	if strings.Count(string(b), "=") < 4 {
		return nil
	}
	var found []sighting
	forStrings(b, 6, func(off int, s string) bool {
		key, value, ok := strings.Cut(s, "=")
		if !ok || !hostKey.MatchString(key) || isComment(s) {
			return true
		}
		for _, e := range endpointsOf(key+"="+value, false, true) {
			if !isCited(e.host) {
				found = append(found, sighting{endpoint: e, file: f, offset: int64(off), text: s, certainty: doorward.Likely})
			}
		}
		return len(found) < 200
	})
	return found
}
