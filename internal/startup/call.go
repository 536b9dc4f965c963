package startup

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/doorward/doorward/internal/product"
	"github.com/doorward/doorward/internal/unpack"
)

// call runs a simple command.
func (s *shell) call(c *syntax.CallExpr) result {
	if len(c.Args) == 0 {
		return s.assign(c.Assigns)
	}
	if r, ok := s.alternatives(c); ok {
		return r
	}
	words := s.fields(c.Args)
	if len(words) == 0 {
		s.assign(c.Assigns)
		return succeeded
	}
	env := map[string]string{}
	saved := map[string]*value{}
	for _, a := range c.Assigns {
		v := s.word(a.Value)
		env[a.Name.Value] = v.text
		saved[a.Name.Value] = nil
		if old, ok := s.vars[a.Name.Value]; ok {
			saved[a.Name.Value] = &old
		}
		s.vars[a.Name.Value] = v
	}
	r := s.run(words, env, c)
	for name, old := range saved {
		if old == nil {
			delete(s.vars, name)
		} else {
			s.vars[name] = *old
		}
	}
	return r
}

// alternatives runs a command once for each value that a variable in it can
// have.
func (s *shell) alternatives(c *syntax.CallExpr) (result, bool) {
	name := ""
	var alts []string
	for _, w := range c.Args {
		syntax.Walk(w, func(n syntax.Node) bool {
			if p, ok := n.(*syntax.ParamExp); ok && p.Param != nil && name == "" {
				if v := s.vars[p.Param.Value]; v.unknown && len(v.alts) > 1 {
					name, alts = p.Param.Value, v.alts
				}
			}
			_, inner := n.(*syntax.CmdSubst)
			return !inner
		})
	}
	if name == "" {
		return result{}, false
	}
	for _, alt := range alts {
		if !s.step() {
			break
		}
		sub := s.fork()
		sub.vars[name] = known(alt)
		sub.conds = s.conditioned(Condition{Text: name + "=" + alt, Name: name, Want: alt})
		sub.call(c)
	}
	return result{}, true
}

func (s *shell) assign(list []*syntax.Assign) result {
	r := succeeded
	for _, a := range list {
		if a.Name == nil {
			continue
		}
		name := a.Name.Value
		v := s.word(a.Value)
		if a.Value != nil && hasSubstitution(a.Value) {
			r = result{}
		}
		if a.Array != nil {
			v = s.array(name, a.Array)
		}
		if a.Append {
			old, _ := s.variable(name)
			v = join(old, v)
		}
		if a.Index != nil {
			if w, ok := a.Index.(*syntax.Word); ok {
				name += "[" + s.word(w).text + "]"
			}
		}
		s.set(name, v)
	}
	return r
}

func (s *shell) set(name string, v value) {
	if _, ok := s.vars[name]; !ok && len(s.vars) > 4096 {
		return
	}
	if v.unknown && v.setting == "" {
		v.setting = name
	}
	s.vars[name] = v
}

func (s *shell) array(name string, a *syntax.ArrayExpr) value {
	var all value
	for i, el := range a.Elems {
		v := s.word(el.Value)
		if i > 0 {
			all.text += " "
		}
		all = join(all, v)
		if i < 256 {
			s.vars[name+"["+itoa(i)+"]"] = v
		}
	}
	return all
}

func hasSubstitution(w *syntax.Word) bool {
	found := false
	syntax.Walk(w, func(n syntax.Node) bool {
		if _, ok := n.(*syntax.CmdSubst); ok {
			found = true
		}
		return !found
	})
	return found
}

func (s *shell) declare(args []*syntax.Assign) {
	for _, a := range args {
		if a.Name == nil || a.Naked {
			continue
		}
		s.assign([]*syntax.Assign{a})
	}
}

// run decides what a command word means: function, builtin, or program.
func (s *shell) run(words []value, env map[string]string, n syntax.Node) result {
	name := words[0].text
	args := words[1:]
	if f := s.funcs[name]; f != nil {
		if r, ok := s.library(name, args, n); ok {
			return r
		}
		return s.function(f, args, n)
	}
	if b := s.builtins[name]; b != nil {
		return b(s, args, n)
	}
	if r, ok := s.library(name, args, n); ok {
		return r
	}
	base := path.Base(name)
	if w := s.wrappers[base]; w != nil && !words[0].unknown {
		if rest, ok := w(s, args); ok {
			if len(rest) == 0 {
				return result{}
			}
			return s.run(rest, env, n)
		}
	}
	return s.external(words, env, n)
}

// function calls a shell function.
func (s *shell) function(f *function, args []value, n syntax.Node) result {
	if s.calls >= maxCalls || !s.step() {
		return result{}
	}
	oldArgs, oldFile, oldScript, oldSite, oldConds, oldText := s.args, s.src, s.script, s.site, s.conds, s.text
	exits := len(s.exits)
	s.args, s.src, s.script, s.site, s.text = args, f.file, f.script, f.site, f.text
	s.calls++
	r := s.stmt(f.body)
	s.calls--
	if s.flow == returned {
		s.flow, s.cutBy = onward, nil
		r = s.status
	}
	s.args, s.src, s.script, s.site, s.text = oldArgs, oldFile, oldScript, oldSite, oldText
	s.conds = oldConds
	if len(s.exits) > exits {
		s.conds = s.conditioned(s.exits[exits:]...)
	}
	return r
}

// external starts a program or script of the volume.
func (s *shell) external(words []value, env map[string]string, n syntax.Node) result {
	name := words[0].text
	args := words[1:]
	var file *product.File
	where := name
	if !words[0].unknown {
		paths := ""
		if v, ok := s.vars["PATH"]; ok {
			paths = v.text
		}
		file, where = s.program(name, paths, s.cwd)
	}
	ev := Event{Kind: Start, Program: name, File: file, Args: texts(args), Env: env, Applet: path.Base(name)}
	if file != nil && isMultiCall(path.Base(name), file) && len(args) > 0 {
		ev.Applet = ev.Args[0]
		if ev.Applet == "sh" || ev.Applet == "ash" || s.wrappers[ev.Applet] != nil || s.tools[ev.Applet] != nil {
			return s.run(args, env, n)
		}
	}
	if s.stdin != nil && s.stdin.text != "" {
		ev.Stdin = s.stdin.text
	}
	if len(env) == 0 {
		ev.Env = nil
	}
	r := result{}
	if t := s.tools[ev.Applet]; t != nil && (file == nil || !isScript(file)) {
		var quiet bool
		if r, quiet = t(s, args, n); quiet {
			return r
		}
	} else if s.out != nil {
		s.out.unknown = true
	}
	ev.By = s.at(n)
	if len(args) == 1 && args[0].text == "enabled" && strings.HasPrefix(where, "/etc/init.d/") {
		return s.enabled(path.Base(where), n)
	}
	s.record(ev)
	if w := s.written[where]; file == nil && w != nil && !w.foreign() && s.calls < maxCalls && s.alive() {
		sub := s.fork() // a script that a script wrote
		sub.args = args
		sub.runText(w.s, n)
	}
	s.follow(file, where, args, ev.By)
	s.keeps(ev)
	if file != nil && !isScript(file) && s.tools[ev.Applet] == nil && !handlesFiles[ev.Applet] {
		s.argumentRuns(args, ev, n)
	}
	return r
}

// handlesFiles are programs whose arguments are files that they do not run.
var handlesFiles = map[string]bool{
	"chmod": true, "chown": true, "chgrp": true, "ls": true, "stat": true, "md5sum": true, "sha256sum": true, "rmdir": true, "vi": true, "wc": true,
	"cmp": true, "diff": true, "file": true, "kill": true, "killall": true, "pidof": true, "pgrep": true, "pkill": true, "gzip": true, "gunzip": true, "zcat": true,
	"du": true, "df": true, "strip": true, "ldconfig": true, "setcap": true, "wget": true, "curl": true, "tftp": true, "scp": true, "insmod": true, "modprobe": true,
	"useradd": true, "usermod": true, "adduser": true, "chsh": true, "add-shell": true, "ipkg": true, "dpkg": true, "restorecon": true, "cpio": true, "grep": true, "logread": true,
}

// argumentRuns follows a program that an unknown program is given to run, such
// as "steal-ctty /dev/console /sbin/setup".
func (s *shell) argumentRuns(args []value, outer Event, n syntax.Node) {
	for i, a := range args {
		if a.unknown || !strings.HasPrefix(a.text, "/") || i > 8 {
			continue
		}
		f := s.engine.runnable(a.text)
		if f == nil || f.Mode().Perm()&0o111 == 0 || isScript(f) && f.Type != unpack.TypeScript {
			continue
		}
		sub := s.fork()
		if !isScript(f) {
			sub.conds = s.conditioned(Condition{Text: outer.Program + " runs the program that it is given"})
		}
		sub.run(args[i:], nil, n)
		return
	}
}

// enabled is what OpenWrt's init scripts answer: whether a start link is there.
func (s *shell) enabled(name string, n syntax.Node) result {
	links := s.fs.glob("/etc/rc.d/S[0-9][0-9]" + name)
	r := result{truth: truthOf(len(links) > 0, false)}
	r.conds = []Condition{{Text: s.source(n), Name: "/etc/init.d/" + name + " enabled", Default: map[bool]string{true: "yes", false: "no"}[len(links) > 0], Holds: r.truth}}
	return r
}

func isMultiCall(base string, f *product.File) bool {
	switch base {
	case "busybox", "toybox", "toolbox":
		return f.Type == unpack.TypeELF
	}
	return false
}

func isScript(f *product.File) bool { return f.Type.IsText() }

func texts(args []value) []string {
	if len(args) == 0 {
		return nil
	}
	list := make([]string, len(args))
	for i, a := range args {
		list[i] = a.text
	}
	return list
}

// follow looks into a program that was started: a script is evaluated, and the
// command lines in a program are taken for what it may run.
func (s *shell) follow(f *product.File, where string, args []value, by Site) {
	if f == nil || s.depth >= maxDepth || !s.step() {
		return
	}
	c := s.context
	c.chain = append(s.chain[:len(s.chain):len(s.chain)], by)
	c.depth++
	if !s.alive() {
		return // what a setting switches off is named, not followed
	}
	if !isScript(f) {
		s.engine.programRuns(f, c)
		return
	}
	s.engine.runScript(f, where, args, c, s.env)
}

// runScript evaluates a script in a shell of its own.
func (e *engine) runScript(f *product.File, where string, args []value, c context, env map[string]value) {
	sc := e.parse(f)
	key := f.Path + "\x00" + strings.Join(texts(args), "\x00") + conditionKey(c.conds)
	e.ran[f] = true
	if !sc.shell || e.runs[key] > 0 || e.runs[f.Path] >= maxRuns*8 || len(e.runs) > 1<<15 {
		return
	}
	e.runs[key]++
	e.runs[f.Path]++
	s := e.newShell(c)
	s.name, s.args = where, args
	for k, v := range env {
		s.vars[k] = v
	}
	s.body(f, sc)
	s.afterScript(f, sc)
}

// conditionKey tells runs under a guard from those without.
func conditionKey(conds []Condition) string {
	key := ""
	for _, c := range conds {
		if c.Holds != True {
			key += "\x01" + c.Text
		}
	}
	return key
}

// body runs the commands of a script in this shell.
func (s *shell) body(f *product.File, sc *script) {
	oldFile, oldScript, oldSite, oldConds, oldText := s.src, s.script, s.site, s.conds, s.text
	s.src, s.script, s.site, s.text = f, sc, nil, sc.text
	if sc.loose {
		s.conds = s.conditioned(Condition{Text: "a line of a script that does not parse as a whole"})
	}
	s.list(sc.stmts)
	s.src, s.script, s.site, s.text = oldFile, oldScript, oldSite, oldText
	if sc.loose {
		s.conds = oldConds
	}
}

// source runs a file in this shell: the dot command.
func (s *shell) dot(f *product.File, args []value, n syntax.Node) result {
	if s.depth >= maxDepth || !s.step() {
		return result{}
	}
	if slices.ContainsFunc(s.chain, func(x Site) bool { return x.File == f }) && s.dots > maxDepth {
		return result{}
	}
	sc := s.parse(f)
	s.ran[f] = true
	if !sc.shell || s.dots > maxDepth {
		return result{}
	}
	s.dots++
	oldChain, oldArgs := s.chain, s.args
	s.chain = append(s.chain[:len(s.chain):len(s.chain)], s.at(n))
	if len(args) > 0 {
		s.args = args
	}
	before := map[string]value{}
	config := onlyAssignments(sc)
	if config {
		for k, v := range s.vars {
			before[k] = v
		}
	}
	s.body(f, sc)
	if config {
		s.markSettings(before)
	}
	if s.flow == returned {
		s.flow, s.cutBy = onward, nil
	}
	s.dots--
	s.chain, s.args = oldChain, oldArgs
	return succeeded
}

// onlyAssignments says that a sourced file is a configuration.
func onlyAssignments(sc *script) bool {
	n := 0
	for _, st := range sc.stmts {
		switch c := st.Cmd.(type) {
		case *syntax.CallExpr:
			if len(c.Args) > 0 {
				return false
			}
			n++
		case *syntax.DeclClause:
			n++
		default:
			return false
		}
	}
	return n > 0
}

// markSettings names what a configuration file sets as something that can be
// changed.
func (s *shell) markSettings(before map[string]value) {
	for k, v := range s.vars {
		if old, ok := before[k]; ok && old.text == v.text && old.setting == v.setting {
			continue
		}
		if v.setting == "" {
			v.setting = k
			s.vars[k] = v
		}
		if _, ok := s.log.Settings[k]; !ok && !v.unknown && len(s.log.Settings) < maxSettings {
			s.log.Settings[k] = v.text
		}
	}
}
