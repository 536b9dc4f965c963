package crypt

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Computed with libcrypt (perl's crypt) and openssl passwd.
var known = []struct{ kind, password, text string }{
	{"des", "admin", "abOV.DfJmdnYw"},
	{"des", "averylongpassword", "ab8rPp61EtyKo"},
	{"des", "", "abmF1QH4PEr.E"},
	{"des", "pass", "zzvgk9NL0Urf2"},
	{"bsdi", "averylongpassword", "_J9..rasmuF/eZ3BoUQE"},
	{"bsdi", "admin", "_J9..rasmVg5xP995t1o"},
	{"md5crypt", "admin123", "$1$abcdefgh$Qlx6NNORPMsnE3/ehfisr1"},
	{"md5crypt", long, "$1$abcdefgh$rIoP3QbGC2.1yAGBU.upq0"},
	{"apr1", "admin123", "$apr1$abcdefgh$/3tZzVTo.siZRxZAT28f6/"},
	{"sha256crypt", "admin123", "$5$saltsalt$H..3oBcIbZUCyOQJTtZ9B57TdN8Y/GXRRtBLGcG74R3"},
	{"sha256crypt", long, "$5$saltsalt$N8rT5w3wcVEb9GQo6n48ktbzAp2uwiXBpLbswv2g0A4"},
	{"sha256crypt", "admin", "$5$rounds=1234$xy$XYgb6bGL6p2xCK8I489u6z.4VZfg9eJlGX0M7L1xl/B"},
	{"sha512crypt", "admin123", "$6$saltsalt$R/al3WpzpwnOAjyk4icGxW6fCRaUtE6kNJnAakHs220z43YXmDnXm0n3.v1ycAmkvbT3al2H8qMPIy0nP8jVI/"},
	{"sha512crypt", long, "$6$saltsalt$Yfo186gVhvIbbSSg.sWpSP9fxNKNcwg/e/wZTQjJ41nmA9DsFp570TWPWfh8.JIUFzUfIkk7CAnJbNO2xtW2T1"},
	{"bcrypt", "admin", "$2b$04$abcdefghijklmnopqrstuuQe66hACgXZ.ImKMvPGdqru0gQrWJ8Ju"},
}

const long = "averyveryverylongpassword_of_more_than_64_bytes_0123456789012345678901234567890"

func TestKnownHashes(t *testing.T) {
	for _, k := range known {
		h, ok := Parse(k.text)
		if !ok || h.Kind != k.kind {
			t.Errorf("%s: %v, want kind %s", k.text, h, k.kind)
			continue
		}
		if !h.Verify("", k.password) || h.Verify("", "x"+k.password) {
			t.Errorf("%s: %q is not told from another", k.kind, k.password)
		}
	}
}

func TestOtherKinds(t *testing.T) {
	sha, _ := ParseWeb("{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc=") // printf admin | openssl sha1 -binary | base64
	digest, _ := ParseDigest("realm", "ae7cdd2406201487bcce77064b5fe10c")
	md5, _ := ParsePlain("21232f297a57a5a743894a0e4a801fc3")
	mysql, _ := ParsePlain("*4ACFE3202A5FF5CF467898FC58AAB1D615029441")
	nt, _ := ParseNT("209C6174DA490CAEB422F3FA5A7AE634")
	lm, _ := ParseLM("F0D412BD764FFE81AAD3B435B51404EE")
	for name, h := range map[string]*Hash{"sha": sha, "md5": md5, "mysql": mysql, "nt": nt, "lm": lm} {
		if h == nil || !h.Verify("", "admin") || h.Verify("", "admim") {
			t.Errorf("%s: admin is not told from another", name)
		}
	}
	if digest == nil || !digest.Verify("admin", "admin") || digest.Verify("admin", "no") {
		t.Error("htdigest: a wrong password passes")
	}
}

func TestNoHash(t *testing.T) {
	for _, s := range []string{
		"", "x", "*", "!", "!!", "*LK*", "password", "administrator", "defaultuserxx", "$1$", "$1$salt$short", "$6$salt$" + strings.Repeat("a", 85),
		"$2a$99$abcdefghijklmnopqrstuuQe66hACgXZ.ImKMvPGdqru0gQrWJ8Ju", "$PASSWORD$x$y", "!$1$abcdefgh$Qlx6NNORPMsnE3/ehfisr1", "2024010112000",
	} {
		if h, ok := Parse(s); ok {
			t.Errorf("%q taken for %s", s, h.Kind)
		}
	}
	if h, ok := Parse("$y$j9T$abcdefgh$y7YixSZSrQy8hU6ORzd2u2Wa2NMN3ZDzpKLLnB2kgT9"); !ok || h.Kind != "yescrypt" || h.Can() {
		t.Error("yescrypt must be recognised, and not be computed")
	}
}

func TestParseNeverPanics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[_$*!]?(1|5|6|2a|apr1|y)?\$?(rounds=[0-9]{0,12}\$)?[./0-9A-Za-z$]{0,90}`).Draw(t, "s")
		if h, ok := Parse(s); ok && h.Cost < 5000 {
			h.Verify("u", "p")
		}
		ParseWeb(s)
		ParsePlain(s)
	})
}
