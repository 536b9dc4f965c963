package startup

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// redirected runs a command whose output or input may be a file.
func (s *shell) redirected(st *syntax.Stmt) result {
	oldIn, oldOut := s.stdin, s.out
	defer func() { s.stdin, s.out = oldIn, oldOut }()
	var target *Event
	var out value
	for _, r := range st.Redirs {
		switch r.Op {
		case syntax.Hdoc, syntax.DashHdoc:
			v := s.word(r.Hdoc)
			if r.Op == syntax.DashHdoc {
				v.text = untab(v.text)
			}
			s.stdin = &v
		case syntax.WordHdoc:
			v := s.word(r.Word)
			v.text += "\n"
			s.stdin = &v
		case syntax.RdrIn:
			v := s.word(r.Word)
			in := unknownValue("_")
			if !v.unknown {
				in, _ = s.content(s.abs(v.text))
			}
			s.stdin = &in
			if onlyRedirects(st.Cmd) && !v.unknown && isTerminal(v.text) {
				s.terminal = strings.TrimPrefix(v.text, "/dev/") // for all that follows
			}
		case syntax.RdrOut, syntax.AppOut, syntax.RdrClob, syntax.RdrAll, syntax.AppAll:
			if ev := s.outputFile(r); ev != nil {
				target = ev
				s.out = &out
			}
		}
	}
	res := s.command(st.Cmd)
	if target != nil {
		s.write(*target, out, st)
	}
	return res
}

// outputFile is the file that standard output goes to; nil if it is none worth
// a word, or if another stream is meant.
func (s *shell) outputFile(r *syntax.Redirect) *Event {
	if r.N != nil && r.N.Value != "1" {
		return nil
	}
	v := s.word(r.Word)
	if v.text == "" || strings.HasPrefix(v.text, "/dev/null") || strings.HasPrefix(v.text, "&") {
		return nil
	}
	target := v.text
	if !v.unknown {
		target = s.abs(v.text)
	}
	return &Event{Kind: Write, Target: target, Append: r.Op == syntax.AppOut || r.Op == syntax.AppAll}
}

func untab(t string) string {
	lines := strings.Split(t, "\n")
	for i := range lines {
		lines[i] = strings.TrimLeft(lines[i], "\t")
	}
	return strings.Join(lines, "\n")
}

// write records text that goes into a file.
func (s *shell) write(ev Event, out value, n syntax.Node) {
	ev.Text = out.text
	if strings.HasPrefix(ev.Target, "/dev/") {
		return
	}
	s.happen(ev, n)
	if strings.Contains(ev.Target, "$") {
		return
	}
	s.engine.store(ev.Target, out, ev.Append, s.sure())
}

// sure says that the current commands run whatever the settings.
func (s *shell) sure() bool {
	for _, c := range s.conds {
		if c.Holds != True {
			return false
		}
	}
	return true
}

// maxWritten is how many files that scripts write are remembered.
const maxWritten = 2048

func (e *engine) store(p string, v value, appended, sure bool) {
	old := e.written[p]
	w := &text{s: v.text, unknown: v.unknown, sure: sure}
	if appended {
		var before value
		if old != nil {
			before = value{text: old.s, unknown: old.unknown}
			w.sure = w.sure || old.sure
		} else if f := e.file(p); f != nil {
			before, _ = e.content(p)
			w.sure = true
		}
		w.s, w.unknown = before.text+v.text, before.unknown || v.unknown
	} else if old != nil && !sure {
		w.sure, w.unknown = old.sure, true
	}
	if !sure {
		w.unknown = true
	}
	if len(w.s) > maxOutput {
		w.s, w.unknown = w.s[:maxOutput], true
	}
	if old != nil || len(e.written) < maxWritten {
		e.written[p] = w
	}
}

// happen records an event at a line of the current script.
func (s *shell) happen(ev Event, n syntax.Node) {
	ev.By = s.at(n)
	s.record(ev)
}

func (s *shell) record(ev Event) {
	ev.Chain = s.chain
	ev.Manager, ev.Trigger, ev.User = s.manager, s.trigger, s.user
	ev.Terminal, ev.Respawn, ev.Socket = s.terminal, s.respawn, s.socket
	ev.Condition = s.conds
	s.emit(ev)
}

// onlyRedirects says that a command is an exec without a program: the script's
// own input and output go elsewhere from there on.
func onlyRedirects(cmd syntax.Command) bool {
	c, ok := cmd.(*syntax.CallExpr)
	return ok && len(c.Args) == 1 && c.Args[0].Lit() == "exec"
}

// isTerminal says that a device is one that a person sits at: a serial line, a
// screen, the console.
func isTerminal(p string) bool {
	name, ok := strings.CutPrefix(p, "/dev/")
	return ok && (strings.HasPrefix(name, "tty") || strings.HasPrefix(name, "hvc") || name == "console")
}
