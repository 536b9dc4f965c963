package firmware

import (
	"path"
	"regexp"
	"strings"
)

// citingKey are the names of fields that tell people where to read more.
var citingKey = regexp.MustCompile(`(?i)^\s*["'<]?(?:home[-_ ]?page|home[-_]?url|documentation|doc[-_]?url|bugs?|bug[-_]?(?:report|reports|tracker)(?:[-_]?url)?|vcs-[a-z]+|support[-_]?url|privacy[-_]?policy[-_]?url|licen[cs]e|author|authors|copyright|maintainer|organization|contact|web[-_]?site|(?:model|manufacturer|presentation)url|namespace|(?:target)?namespace|schemalocation|dtd|rationale|seealso|reference)["'>]?\s*[:=> ]`)

// citesOnly says that a line names a host for people or for matching names, and
// for no connection.
func citesOnly(line string) bool {
	return citingKey.MatchString(line) || strings.Contains(line, "mailto:") || strings.Contains(line, "xmlns") || strings.Contains(line, "-//")
}

var namespacePath = regexp.MustCompile(`(?i)/(?:ns|xml|xmlns|xmlschema|schemas?|namespaces?|specifications?|guidelines|rdf|dtd|xsd|soap/envelope|yang|rfc\d+|standards?)(?:[/#.-]|$)`)

// readingHosts are the names of hosts that hold what people read.
var readingHosts = map[string]bool{"docs": true, "doc": true, "documentation": true, "wiki": true, "bugs": true, "bugzilla": true, "lists": true, "manpages": true}

// isNamespace says that a URL names something and leads nowhere: a fragment, a
// path of schemas, a host of manuals.
func isNamespace(u string) bool {
	_, rest, _ := strings.Cut(u, "://")
	host, path, ok := strings.Cut(rest, "/")
	if strings.HasPrefix(host, "schemas.") || strings.HasPrefix(host, "purl.") || strings.HasPrefix(host, "ns.") {
		return true
	}
	if label, _, _ := strings.Cut(host, "."); readingHosts[label] {
		return true
	}
	return ok && (strings.Contains(path, "#") || namespacePath.MatchString("/"+path))
}

// isHomepage says that a URL is a site's front page: programs show it, or name
// their maker by it. An endpoint has a path, a port or a host's own name.
func isHomepage(e endpoint) bool {
	_, rest, ok := strings.Cut(e.url, "://")
	if !ok || !strings.HasPrefix(e.scheme, "http") {
		return false
	}
	authority, path, _ := strings.Cut(rest, "/")
	if path != "" || strings.ContainsAny(authority, ":@?%") {
		return false
	}
	first, _, _ := strings.Cut(e.host, ".")
	return strings.HasPrefix(first, "www") || strings.Count(e.host, ".") == 1
}

// madeUp are names in the self-tests of programs.
var madeUp = regexp.MustCompile(`^(?:[a-z]{1,2}-?)?(?:foo|bar|baz|quux|test|abc|xyz|xxx)+[0-9]*\.`)

// withoutComment drops a markup comment, which may go over several lines.
func withoutComment(line string, hidden bool) (string, bool) {
	kept := ""
	for line != "" {
		mark := "<!--"
		if hidden {
			mark = "-->"
		}
		before, after, found := strings.Cut(line, mark)
		if !hidden {
			kept += before
		}
		if !found {
			break
		}
		hidden, line = !hidden, after
	}
	return strings.TrimSpace(kept), hidden
}

// reading is what stands before a URL that people are to open.
var reading = regexp.MustCompile(`(?i)\b(?:see|visit|refer to|read|browse|more (?:info\w*|details)|documented|available|found|details|post|download(?:ed)?)\b(?:\s+(?:at|from|in|on|to|the|also|it))*\W{0,3}$`)

// isProse says that a line of a text tells people where to look.
func isProse(line string) bool {
	before, _, ok := strings.Cut(line, "://")
	if !ok {
		return false
	}
	before = strings.TrimRight(before, "abcdefghijklmnopqrstuvwxyz")
	return reading.MatchString(before) || !strings.ContainsAny(before, "=\"'<{[/*$|") && len(strings.Fields(before)) > 5
}

// describesPackage says that a file tells who made a package of a language and
// where its sources are, for people and for the tools of developers.
func describesPackage(p string) bool {
	base := path.Base(p)
	switch base {
	case "package.json", "package-lock.json", "composer.json", "composer.lock", "bower.json", "setup.py", "setup.cfg", "pyproject.toml", "Cargo.toml", "PKG-INFO", "METADATA":
		return true
	}
	return strings.HasSuffix(base, ".gemspec")
}

// fetches is a command that contacts a host: what describes a package may name
// one to be run when it is installed.
var fetches = regexp.MustCompile(`\b(?:curl|wget|nc|ncat|tftp|ftpget|scp|ssh)\s+[^\s"':]`)

var manualDir = regexp.MustCompile(`(?i)(?:^|/)(?:docs?|documentation|manual[^/]*)/`)

// isManual says that a text is for people to read.
func isManual(p string) bool {
	lower := strings.ToLower(p)
	return strings.HasSuffix(lower, ".txt") && (manualDir.MatchString(p) || strings.HasPrefix(path.Base(lower), "manual"))
}
