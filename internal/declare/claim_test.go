package declare

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/doorward/doorward"
)

func TestParseClaim(t *testing.T) {
	c, err := ParseClaim(doorward.SaysDoor, `account user=support purpose="remote \"repair\", see manual\\9" until=2027-12-31`)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Kinds, []doorward.Kind{"account"}) || !slices.Equal(c.Pairs, []doorward.Pair{{Key: "user", Value: "support"}}) {
		t.Errorf("kinds %v, pairs %v", c.Kinds, c.Pairs)
	}
	if c.Purpose != `remote "repair", see manual\9` || c.Until != "2027-12-31" {
		t.Errorf("purpose %q, until %q", c.Purpose, c.Until)
	}
	c, err = ParseClaim(doorward.SaysNoDoor, " debug  trigger ")
	if err != nil || !slices.Equal(c.Kinds, []doorward.Kind{"debug", "trigger"}) {
		t.Errorf("no-door: %v, %v", c.Kinds, err)
	}
}

func TestClaimsThatAreRead(t *testing.T) {
	for _, text := range []string{
		"service proto=tcp port=22 program=dropbear",
		"destination host=*.updates.example.com port=443",
		"key path=/etc/ssl/update-ca.pem",
		"account user=* credential=none",
		"trigger program=httpd function=check_ua",
		"trigger value-sha256=" + strings.Repeat("0a", 32),
		`logic gates="g1 g2"`,
		"sensor what=camera program=vidd reach=remote",
		"privilege path=bin/su",
		`privilege path="bin/a b"`,
		`key path=/etc/\*.pem`,
		"tracker radio=ble",
		"transfer peer=198.51.100.7",
	} {
		if _, err := ParseClaim(doorward.SaysDoor, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestClaimsThatAreRefused(t *testing.T) {
	cases := []struct {
		says doorward.Says
		text string
		at   int
		what string
	}{
		{doorward.SaysDoor, "", 0, "no kind of door"},
		{doorward.SaysDoor, "door user=x", 0, "no kind of door"},
		{doorward.SaysDoor, "account usr=x", 8, `no key "usr"`},
		{doorward.SaysDoor, "account user=x user=y", 15, "twice"},
		{doorward.SaysDoor, "account user=", 8, "no value"},
		{doorward.SaysDoor, `account user=""`, 8, "no value"},
		{doorward.SaysDoor, "account support", 8, "no key=value pair"},
		{doorward.SaysDoor, "account =x", 8, "no key before"},
		{doorward.SaysDoor, `account user="x`, 13, "never closed"},
		{doorward.SaysDoor, `account user="x"y`, 16, "white space must follow"},
		{doorward.SaysDoor, `account user=x"y`, 14, "quote within a value"},
		{doorward.SaysDoor, `account user="\x"`, 14, "unknown escape"},
		{doorward.SaysDoor, "account credential=default", 26, "told by its user"},
		{doorward.SaysDoor, "key path=/etc/*.pem", 19, "without a wildcard"},
		{doorward.SaysDoor, "trigger program=httpd", 21, "program with function"},
		{doorward.SaysDoor, "service port=ssh", 13, "a port is a number"},
		{doorward.SaysDoor, "destination host=https://x.example.com/", 17, "never a URL"},
		{doorward.SaysDoor, "destination host=*.com", 17, "two labels"},
		{doorward.SaysDoor, "account user=x until=tomorrow", 21, "YYYY-MM-DD"},
		{doorward.SaysDoor, "account user=x until=2026-13-01", 21, "YYYY-MM-DD"},
		{doorward.SaysDoor, "account user=x reach=far", 21, "reach is"},
		{doorward.SaysDoor, "trigger value-sha256=abc", 21, "64 hex"},
		{doorward.SaysNoDoor, "", 0, "no kind of door"},
		{doorward.SaysNoDoor, "debug doors", 6, `"doors" is no kind`},
		{doorward.SaysNoHidden, "outflow leaks", 8, `"leaks" is no part`},
		{"doorward:dor", "account user=x", 0, "unknown statement"},
	}
	for _, c := range cases {
		_, err := ParseClaim(c.says, c.text)
		e, ok := err.(*claimError)
		if !ok || e.at != c.at || !strings.Contains(e.what, c.what) {
			t.Errorf("%s %q: got %#v, want %q at %d", c.says, c.text, err, c.what, c.at)
		}
	}
}

// What quote writes, a claim gives back.
func TestQuote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.StringN(1, 20, -1).Draw(t, "value")
		words, err := splitWords("a=b user=" + quote(want) + " c=d")
		if err != nil || len(words) != 3 || words[1].value != want {
			t.Fatalf("%q was read as %v (%v)", want, words, err)
		}
	})
}

func FuzzParseClaim(f *testing.F) {
	f.Add(`account user="a \" b" until=2027-01-01`)
	f.Add("service port=22")
	f.Fuzz(func(t *testing.T, text string) {
		for _, says := range []doorward.Says{doorward.SaysDoor, doorward.SaysNoDoor, doorward.SaysNoHidden} {
			_, err := ParseClaim(says, text)
			if e, ok := err.(*claimError); ok && (e.at < 0 || e.at > len(text)) {
				t.Fatalf("the error is at %d of %d", e.at, len(text))
			}
		}
	})
}
