package firmware

import (
	"bytes"
	"regexp"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
)

// tokenRule knows the form that one service gives its tokens.
type tokenRule struct {
	head    string // what stands in every one
	before  int    // bytes of the token before the head
	pattern *regexp.Regexp
	service string
}

var tokenRules = []tokenRule{
	{"AKIA", 0, regexp.MustCompile(`^AKIA[0-9A-Z]{16}$`), "Amazon Web Services access key"},
	{"AIza", 0, regexp.MustCompile(`^AIza[0-9A-Za-z_-]{35}$`), "Google API key"},
	{"ghp_", 0, regexp.MustCompile(`^ghp_[0-9A-Za-z]{36}$`), "GitHub token"},
	{"gho_", 0, regexp.MustCompile(`^gho_[0-9A-Za-z]{36}$`), "GitHub token"},
	{"ghs_", 0, regexp.MustCompile(`^ghs_[0-9A-Za-z]{36}$`), "GitHub token"},
	{"github_pat_", 0, regexp.MustCompile(`^github_pat_[0-9A-Za-z]{22}_[0-9A-Za-z]{59}$`), "GitHub token"},
	{"xoxb-", 0, regexp.MustCompile(`^xoxb-[0-9]{8,}-[0-9A-Za-z-]{20,}$`), "Slack token"},
	{"xoxp-", 0, regexp.MustCompile(`^xoxp-[0-9]{8,}-[0-9A-Za-z-]{20,}$`), "Slack token"},
	{"glpat-", 0, regexp.MustCompile(`^glpat-[0-9A-Za-z_-]{20}$`), "GitLab token"},
	{"sk_live_", 0, regexp.MustCompile(`^sk_live_[0-9A-Za-z]{24,}$`), "Stripe key"},
	{"npm_", 0, regexp.MustCompile(`^npm_[0-9A-Za-z]{36}$`), "npm token"},
	{"SG.", 0, regexp.MustCompile(`^SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}$`), "SendGrid key"},
	{":AA", 10, regexp.MustCompile(`^[0-9]{8,10}:AA[0-9A-Za-z_-]{33}$`), "Telegram bot token"},
}

func tokenPatterns() []string {
	var list []string
	for _, r := range tokenRules {
		list = append(list, r.head)
	}
	return list
}

// tokens reports tokens of services whose form leaves no doubt.
func (k *keys) tokens(f *product.File) {
	if !f.Type.IsText() && !f.Type.Executable() && !isBlob(f) {
		return
	}
	for i := range tokenRules {
		rule := &tokenRules[i]
		hits := f.Hits(rule.head)
		for _, at := range hits {
			k.token(f, rule, at)
		}
	}
}

func (k *keys) token(f *product.File, rule *tokenRule, at int64) {
	b, from := f.Near(at, int64(rule.before)+1, 201)
	if at -= from; at >= int64(len(b)) {
		return
	}
	start, end := at, at
	for start > 0 && at-start < int64(rule.before) && b[start-1] >= '0' && b[start-1] <= '9' {
		start--
	}
	for end < int64(len(b)) && end-at < 200 && (isTokenByte(b[end]) || b[end] == ':' && rule.before > 0) {
		end++
	}
	value := string(b[start:end])
	if start > 0 && isTokenByte(b[start-1]) || !rule.pattern.MatchString(value) || isPlaceholder(value) || !manyLetters(value) {
		return
	}
	x := keyFound{file: f, offset: from + start, algorithm: "token", private: true, fingerprint: hexFingerprint([]byte(value)), found: value, gain: doorward.UserData, reach: doorward.Remote,
		lighter: 1, certainty: doorward.Likely, references: []string{"CWE-798", "T1552.001"}, secrets: []string{value},
		title: rule.service + " that is the same on every unit", note: "whoever has the image can use the service in the maker's name (assumes that it is still valid)"}
	if f.Type.IsText() {
		x.line = 1 + bytes.Count(f.Bytes()[:from+start], []byte("\n"))
	}
	k.add(x)
}

func isTokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'
}

// manyLetters refuses runs of one letter, and counting ones.
func manyLetters(s string) bool {
	seen := map[rune]bool{}
	for _, c := range s {
		seen[c] = true
	}
	return len(seen) >= 10
}
