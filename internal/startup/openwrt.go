package startup

import (
	"path"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/doorward/doorward/internal/product"
)

// procd is the instance that an init script describes.
type procd struct {
	open    bool
	command []value
	env     map[string]string
	user    string
	by      Site
}

// library runs the functions that OpenWrt's and the usual init scripts source
// from a library: what they do is known, and clearer than their code.
func (s *shell) library(name string, args []value, n syntax.Node) (result, bool) {
	switch name {
	case "config_load":
		if len(args) > 0 && s.isOpenWrt() {
			s.vars["CONFIG_PACKAGE"] = known(uciPackage(args[0].text))
			return succeeded, true
		}
	case "config_get", "config_get_bool":
		if s.isOpenWrt() {
			return s.configGet(name, args), true
		}
	case "config_foreach":
		if s.isOpenWrt() {
			return s.configForeach(args, n), true
		}
	case "config_list_foreach":
		if s.isOpenWrt() {
			return s.configList(args, n), true
		}
	case "uci_load_validate", "uci_validate_section":
		return s.validateSection(name, args, n), true
	case "uci_get":
		if len(args) >= 3 {
			s.print(s.engine.option(args[0].text, args[1].text, args[2].text))
			return result{}, true
		}
	case "procd_open_instance", "procd_open_service", "procd_add_jail", "procd_add_jail_mount", "procd_open_trigger", "procd_close_trigger", "procd_add_reload_trigger", "procd_add_validation", "procd_close_service", "procd_add_mdns", "procd_open_data", "procd_close_data", "procd_set_config_changed", "procd_open_respawn":
		if name == "procd_open_instance" {
			s.proc = &procd{open: true, env: map[string]string{}}
		}
		return succeeded, true
	case "procd_set_param", "procd_append_param":
		return s.procdParam(name, args, n), true
	case "procd_close_instance":
		return s.procdClose(n), true
	case "db_get", "db_input", "db_go", "db_set", "db_fset", "db_subst", "db_progress", "db_stop", "db_metaget", "db_fget", "db_settitle", "db_capb", "db_title", "db_reset", "db_register", "db_unregister", "db_purge", "db_version", "db_info":
		if s.funcs[name] == nil {
			if name == "db_get" && len(args) > 0 {
				s.vars["RET"] = value{text: "$" + args[0].text, unknown: true, setting: args[0].text}
			}
			return result{}, true
		}
	case "service_start", "daemon", "start_daemon", "startproc":
		if s.funcs[name] != nil && len(args) > 0 {
			if rest, ok := s.wrappers[name](s, args); ok && len(rest) > 0 {
				return s.run(rest, nil, n), true
			}
			return succeeded, true
		}
	case "log_daemon_msg", "log_end_msg", "log_progress_msg", "log_success_msg", "log_failure_msg", "log_warning_msg", "log_action_msg", "log_begin_msg", "log_action_begin_msg", "log_action_end_msg":
		return succeeded, true
	}
	return result{}, false
}

func (s *shell) isOpenWrt() bool {
	return s.v.Exists("etc/config") || s.v.Exists("lib/functions.sh") || s.v.Exists("etc/rc.common")
}

func (s *shell) configGet(name string, args []value) result {
	if len(args) < 3 {
		return result{}
	}
	pkg, _ := s.variable("CONFIG_PACKAGE")
	v := s.engine.option(pkg.text, args[1].text, args[2].text)
	if args[1].unknown || args[2].unknown || pkg.unknown {
		v = unknownValue(args[0].text)
	}
	if v.text == "" && len(args) > 3 {
		v.text, v.unknown = args[3].text, args[3].unknown
	}
	if name == "config_get_bool" && !v.unknown {
		v.text = uciBool(v.text)
	}
	s.vars[args[0].text] = v
	return succeeded
}

func uciBool(t string) string {
	switch t {
	case "1", "on", "true", "yes", "enabled":
		return "1"
	case "0", "off", "false", "no", "disabled":
		return "0"
	}
	return t
}

// configForeach calls a function for each section of a kind.
func (s *shell) configForeach(args []value, n syntax.Node) result {
	if len(args) == 0 {
		return result{}
	}
	pkg, _ := s.variable("CONFIG_PACKAGE")
	kind := ""
	if len(args) > 1 {
		kind = args[1].text
	}
	f := s.funcs[args[0].text]
	if f == nil {
		return result{}
	}
	for _, sec := range s.engine.config(pkg.text).sections {
		if (kind == "" || sec.kind == kind) && s.step() {
			rest := args[min(len(args), 2):]
			s.function(f, append([]value{{text: sec.name, given: true}}, rest...), n)
		}
	}
	return succeeded
}

func (s *shell) configList(args []value, n syntax.Node) result {
	if len(args) < 3 || s.funcs[args[2].text] == nil {
		return result{}
	}
	pkg, _ := s.variable("CONFIG_PACKAGE")
	v := s.engine.option(pkg.text, args[0].text, args[1].text)
	for i, f := range strings.Fields(v.text) {
		if i < maxLoop && s.step() {
			s.function(s.funcs[args[2].text], append([]value{{text: f, setting: v.setting}}, args[3:]...), n)
		}
	}
	return succeeded
}

// validateSection sets the options that its specifications "name:type:default"
// give, then calls the function that is named after the section.
func (s *shell) validateSection(name string, args []value, n syntax.Node) result {
	if len(args) < 3 {
		return result{}
	}
	pkg, section := args[0].text, args[2].text
	specs := args[3:]
	var callback string
	if name == "uci_load_validate" && len(args) > 3 {
		callback, specs = args[3].text, args[4:]
	}
	for _, spec := range specs {
		parts := strings.SplitN(spec.text, ":", 3)
		v := s.engine.option(pkg, section, parts[0])
		if v.text == "" && len(parts) > 2 {
			v.text = parts[2]
		}
		if len(parts) > 1 && strings.HasPrefix(parts[1], "bool") {
			v.text = uciBool(v.text)
		}
		s.vars[parts[0]] = v
	}
	if f := s.funcs[callback]; f != nil {
		return s.function(f, []value{{text: section, given: true}, known("0")}, n)
	}
	return succeeded
}

func (s *shell) procdParam(name string, args []value, n syntax.Node) result {
	if s.proc == nil || len(args) == 0 {
		return succeeded
	}
	rest := args[1:]
	switch args[0].text {
	case "command":
		if name == "procd_set_param" {
			s.proc.command = nil
			s.proc.by = s.at(n)
		}
		s.proc.command = append(s.proc.command, rest...)
	case "env":
		for _, a := range rest {
			if k, v, ok := strings.Cut(a.text, "="); ok {
				s.proc.env[k] = v
			}
		}
	case "user":
		if len(rest) > 0 {
			s.proc.user = rest[0].text
		}
	}
	return succeeded
}

func (s *shell) procdClose(n syntax.Node) result {
	p := s.proc
	if p == nil || len(p.command) == 0 {
		return succeeded
	}
	s.proc = nil
	oldUser, oldManager := s.user, s.manager
	s.user, s.manager = p.user, "procd"
	site := p.by
	old := s.site
	s.site = &site
	s.run(p.command, p.env, n)
	s.site, s.user, s.manager = old, oldUser, oldManager
	return succeeded
}

// afterScript calls what a service manager calls of a script that only defines
// functions.
func (s *shell) afterScript(f *product.File, sc *script) {
	if len(sc.lines) == 0 || s.flow == exited {
		return
	}
	head := sc.lines[0]
	action := ""
	if len(s.args) > 0 {
		action = s.args[0].text
	}
	switch {
	case !strings.HasPrefix(head, "#!"):
	case strings.Contains(head, "rc.common"):
		s.rcCommon(f, action)
	case strings.Contains(head, "openrc-run"), strings.Contains(head, "runscript"):
		s.openRC(f, action)
	}
}

// rcCommon is what OpenWrt's /etc/rc.common does for "boot" and "start".
func (s *shell) rcCommon(f *product.File, action string) {
	if action != "start" && action != "boot" && action != "restart" && action != "reload" {
		return
	}
	names := []string{"start_service", "start"}
	if action == "boot" {
		names = []string{"boot", "start_service", "start"}
	}
	s.vars["initscript"] = known("/" + f.Path)
	for _, name := range names {
		if fn := s.funcs[name]; fn != nil {
			s.function(fn, nil, fn.body)
			if name == "boot" && s.funcs["start"] == nil && s.funcs["start_service"] != nil {
				fn := s.funcs["start_service"]
				s.function(fn, nil, fn.body)
			}
			return
		}
	}
}

// openRC is what OpenRC does for start: the function, or command with
// command_args.
func (s *shell) openRC(f *product.File, action string) {
	if action != "start" {
		return
	}
	s.vars["RC_SVCNAME"] = known(path.Base(s.name))
	for _, name := range []string{"start_pre", "start"} {
		if fn := s.funcs[name]; fn != nil {
			s.function(fn, nil, fn.body)
			if name == "start" {
				return
			}
		}
	}
	cmd, ok := s.variable("command")
	if !ok || cmd.text == "" {
		return
	}
	site := Site{File: f, Line: s.script.find("command="), Text: "command=" + cmd.text}
	s.site = &site
	s.src = f
	line := cmd.text
	for _, name := range []string{"command_args", "command_args_background"} {
		if v, ok := s.variable(name); ok {
			line += " " + v.text
		}
	}
	if stmts, ok := parseShell(line, syntax.LangBash); ok {
		s.list(stmts)
	}
}

// find is the first line, from 1, that starts with a text; 0 if none does.
func (s *script) find(prefix string) int {
	if s == nil {
		return 0
	}
	for i, line := range s.lines {
		if strings.HasPrefix(strings.TrimSpace(line), prefix) {
			return i + 1
		}
	}
	return 0
}
