package startup

import (
	"path"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// copyFiles records cp, mv and install: each source, to where it is then seen.
func copyFiles(s *shell, args []value, n syntax.Node) (result, bool) {
	_, rest := operands(args, "tmog")
	if len(rest) < 2 {
		return succeeded, true
	}
	to := rest[len(rest)-1]
	target := s.abs(to.text)
	for _, from := range rest[:len(rest)-1] {
		src := s.abs(from.text)
		dst := target
		if len(rest) > 2 || strings.HasSuffix(to.text, "/") || s.isFolder(target) {
			dst = path.Join(target, path.Base(src))
		}
		if b := path.Base(src); b == "." || strings.HasSuffix(from.text, "/.") {
			dst = target
		}
		if base := path.Base(src); isGlob(base) {
			src, dst = path.Dir(src), target
		}
		s.happen(Event{Kind: Copy, From: src, Target: dst}, n)
		s.fill(src, dst, from.unknown || to.unknown)
	}
	return succeeded, true
}

// isFolder says that a path is a folder when the system runs, as far as known.
func (s *shell) isFolder(p string) bool {
	if at, ok := s.v.Tree.Resolve(p); ok {
		return isDir(s.v, at)
	}
	w := s.written[path.Clean(p)]
	return w != nil && w.s == folderMark
}

// folderMark is the content of a folder that a script makes: none that text
// can have.
const folderMark = "\x00folder"

// fill remembers where the content at dst comes from.
func (s *shell) fill(src, dst string, unknown bool) {
	if unknown || !s.alive() {
		return
	}
	at := s.fs.absolute(dst)
	if w := s.written[src]; w != nil && w.s != folderMark {
		s.engine.store(at, value{text: w.s, unknown: w.unknown}, false, s.sure() && w.sure)
		return
	}
	delete(s.written, at)
	s.fs.add(fill{target: at, from: s.fs.absolute(src), sure: s.sure()})
}

func link(s *shell, args []value, n syntax.Node) (result, bool) {
	_, rest := operands(args, "tS")
	if len(rest) == 0 {
		return succeeded, true
	}
	from := rest[0]
	to := value{text: path.Base(from.text)}
	if len(rest) > 1 {
		to = rest[len(rest)-1]
	}
	target := s.abs(to.text)
	if strings.HasSuffix(to.text, "/") || s.isFolder(target) {
		target = path.Join(target, path.Base(from.text))
	}
	src := from.text
	if !strings.HasPrefix(src, "/") {
		src = path.Join(path.Dir(target), src)
	}
	s.happen(Event{Kind: Link, From: src, Target: target}, n)
	s.fill(src, target, from.unknown || to.unknown)
	return succeeded, true
}

func untar(s *shell, args []value, n syntax.Node) (result, bool) {
	var archive, into value
	extract := false
	for i, a := range args {
		opt := strings.TrimPrefix(a.text, "-")
		if i > 0 && !strings.HasPrefix(a.text, "-") {
			continue
		}
		if strings.HasPrefix(a.text, "--") {
			if d, ok := strings.CutPrefix(a.text, "--directory="); ok {
				into = known(d)
			}
			continue
		}
		extract = extract || strings.Contains(opt, "x")
		if strings.HasSuffix(opt, "f") && i+1 < len(args) {
			archive = args[i+1]
		}
		if strings.HasSuffix(opt, "C") && i+1 < len(args) {
			into = args[i+1]
		}
	}
	if !extract || archive.text == "" {
		return succeeded, false
	}
	if into.text == "" {
		into = known(s.cwd)
	}
	s.happen(Event{Kind: Copy, From: archive.text, Target: s.abs(into.text)}, n)
	s.unpacked(archive, into)
	return succeeded, false
}

// unpacked makes the members of a shipped archive seen where it is unpacked.
func (s *shell) unpacked(archive, into value) {
	if archive.unknown || into.unknown || !s.alive() {
		return
	}
	f := s.file(s.abs(archive.text))
	if f == nil {
		return
	}
	for _, v := range s.product.Volumes {
		for _, place := range v.Places {
			for _, w := range f.Where() {
				if len(place) >= len(w.Path) && strings.Join(place[:len(w.Path)], "\x00") == strings.Join(w.Path, "\x00") {
					s.fs.add(fill{target: s.fs.absolute(s.abs(into.text)), from: "/", volume: v, sure: s.sure()})
				}
			}
		}
	}
}

func mount(s *shell, args []value, n syntax.Node) (result, bool) {
	opts, rest := operands(args, "otLU")
	if len(rest) < 2 {
		return result{}, true
	}
	from, to := rest[0], rest[1]
	target := s.abs(to.text)
	s.happen(Event{Kind: Mount, From: from.text, Target: target, Text: opts['t']}, n)
	bind := strings.Contains(opts['o'], "bind")
	for _, a := range args {
		bind = bind || a.text == "--bind"
	}
	switch {
	case to.unknown:
	case bind:
		s.fill(s.abs(from.text), target, from.unknown)
	case opts['t'] != "proc" && opts['t'] != "sysfs" && opts['t'] != "tmpfs" && opts['t'] != "ramfs" && opts['t'] != "devpts" && opts['t'] != "devtmpfs" && target != "/" && len(s.mounts) < 64:
		s.engine.mounts = append(s.engine.mounts, fill{target: target, from: from.text})
	}
	return result{}, true
}

func tee(s *shell, args []value, n syntax.Node) (result, bool) {
	opts, rest := operands(args, "")
	_, appends := opts['a']
	v := unknownValue("_")
	if s.stdin != nil {
		v = *s.stdin
	}
	for _, f := range rest {
		target := f.text
		if !f.unknown {
			target = s.abs(target)
		}
		s.write(Event{Kind: Write, Target: target, Append: appends}, v, n)
	}
	s.print(v)
	return succeeded, true
}

func touch(s *shell, args []value, n syntax.Node) (result, bool) {
	_, rest := operands(args, "tdr")
	for _, f := range rest {
		if !f.unknown && s.exists(s.abs(f.text)) != True {
			s.write(Event{Kind: Write, Target: s.abs(f.text), Append: true}, value{}, n)
		}
	}
	return succeeded, true
}

func mkdir(s *shell, args []value, n syntax.Node) (result, bool) {
	_, rest := operands(args, "m")
	for _, f := range rest {
		if p := s.abs(f.text); !f.unknown && s.exists(p) != True && len(s.written) < maxWritten {
			s.written[p] = &text{s: folderMark, unknown: true, sure: s.sure()}
		}
	}
	return succeeded, true
}

func remove(s *shell, args []value, n syntax.Node) (result, bool) {
	_, rest := operands(args, "")
	for _, f := range rest {
		if !f.unknown && s.sure() {
			delete(s.written, s.abs(f.text))
		}
	}
	return succeeded, true
}

func dd(s *shell, args []value, n syntax.Node) (result, bool) {
	ev := Event{Kind: Copy}
	for _, a := range args {
		if t, ok := strings.CutPrefix(a.text, "if="); ok {
			ev.From = t
		}
		if t, ok := strings.CutPrefix(a.text, "of="); ok {
			ev.Target = t
		}
	}
	if ev.From != "" && ev.Target != "" {
		s.happen(ev, n)
	}
	return result{}, false
}
