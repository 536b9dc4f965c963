package startup

import (
	"encoding/json"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// container runs what an image's configuration names: nothing else of its root
// file system starts (OCI image specification, config.md).
func (e *engine) container(config string) {
	var c struct {
		Config struct {
			Entrypoint, Cmd, Env []string
			User, WorkingDir     string
		} `json:"config"`
	}
	if json.Unmarshal([]byte(config), &c) != nil {
		return
	}
	words := append(c.Config.Entrypoint, c.Config.Cmd...)
	if len(words) == 0 || len(words) > 1000 {
		return
	}
	user, _, _ := strings.Cut(c.Config.User, ":")
	if user == "0" {
		user = ""
	}
	f, where := e.program(words[0], "", "/"+strings.TrimPrefix(c.Config.WorkingDir, "/"))
	by := Site{File: f, Line: 1, Text: entryText(c.Config.Entrypoint, c.Config.Cmd), Image: true}
	if f != nil && !isScript(f) {
		by.Line = 0
	}
	s := e.newShell(context{manager: "container", trigger: "boot", user: noRoot(user)})
	s.site, s.src = &by, f
	if c.Config.WorkingDir != "" {
		s.cwd = s.abs(c.Config.WorkingDir)
	}
	s.env = map[string]value{}
	for _, x := range c.Config.Env {
		if k, v, ok := strings.Cut(x, "="); ok && len(s.env) < 1000 {
			s.env[k] = value{text: v, setting: k}
			s.vars[k] = s.env[k]
		}
	}
	list := []value{known(where)}
	for _, w := range words[1:] {
		list = append(list, value{text: w, given: true})
	}
	s.run(list, nil, &syntax.CallExpr{Args: []*syntax.Word{{Parts: []syntax.WordPart{&syntax.Lit{Value: where}}}}})
}

// entryText is what the image's configuration says.
func entryText(entry, cmd []string) string {
	var parts []string
	for _, x := range []struct {
		name  string
		words []string
	}{{"Entrypoint", entry}, {"Cmd", cmd}} {
		if b, err := json.Marshal(x.words); err == nil && len(x.words) > 0 {
			parts = append(parts, x.name+": "+string(b))
		}
	}
	return strings.Join(parts, ", ")
}
