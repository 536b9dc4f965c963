package report_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/report"
)

func masked(d doorward.Door) doorward.Door {
	r := &doorward.Report{Doors: []doorward.Door{d}}
	report.Mask(r)
	return r.Doors[0]
}

func TestMask(t *testing.T) {
	const secret = "Vq7#tallow-29"
	d := doorward.Door{
		Kind: "account", Title: "User bob logs in with " + secret,
		Evidence:   []doorward.Evidence{{What: "bob:" + secret + "x\n" + secret, Note: "the password is " + secret}},
		Check:      "log in with " + secret,
		Detail:     doorward.Detail{"user": "bob", "password": secret, "arguments": "-p " + secret, "chain": []string{"a", secret}},
		DeclaredBy: &doorward.DeclaredBy{Claim: "trigger value=" + secret},
		Secrets:    []string{secret},
	}
	got := masked(d)
	text, _ := json.Marshal(got)
	if bytes.Contains(text, []byte("tallow")) {
		t.Errorf("the secret is still there: %s", text)
	}
	const want = "V…[13 characters, sha256:2a4d0d1e]"
	if report.Masked(secret)[:len("V…[13 characters, sha256:")] != want[:len("V…[13 characters, sha256:")] {
		t.Errorf("it is masked as %q", report.Masked(secret))
	}
	if got.Detail["user"] != "bob" || got.Detail["password"] != report.Masked(secret) {
		t.Errorf("detail is %v", got.Detail)
	}
	if d.Evidence[0].What == got.Evidence[0].What || d.Detail["password"] != secret || got.Secrets != nil {
		t.Error("the original was changed, or the secrets are still listed")
	}
}

// Short and plain secrets do not mangle what only looks like them.
func TestMaskShortSecrets(t *testing.T) {
	m := report.Masked
	cases := []struct {
		secret, user             string
		what, title              string
		wantWhat, wantTitle, why string
	}{
		{"root", "root", `root:root:0`, `User root has the password "root"`, m("root") + ":" + m("root") + ":0", `User root has the password "` + m("root") + `"`, "user and password are equal"},
		{"1", "admin", "pw=1 port=10 1", "1 door: password 1 of admin", "pw=" + m("1") + " port=10 " + m("1"), "1 door: password 1 of admin", "one digit"},
		{"admin", "x", "administrator:admin", "x has admin", "administrator:" + m("admin"), "x has admin", "an ordinary word in our own text stays"},
		{"hunter", "x", "hunters hunter_2 hunter", "x logs in with hunter", "hunters hunter_2 " + m("hunter"), "x logs in with " + m("hunter"), "whole words"},
		{"joshua", "x", `system\njoshua\x00joshua`, "", `system\n` + m("joshua") + `\x00` + m("joshua"), "", "behind an escape"},
		{"password", "x", "password=password", "the default password", m("password") + "=" + m("password"), "the default password", "the word password"},
		{"", "x", "nothing", "nothing", "nothing", "nothing", "an empty secret"},
		{"пароль", "x", "pw=пароль пароли", "пароль", "pw=" + m("пароль") + " пароли", m("пароль"), "letters of other scripts"},
	}
	for _, c := range cases {
		got := masked(doorward.Door{Title: c.title, Evidence: []doorward.Evidence{{What: c.what}}, Detail: doorward.Detail{"user": c.user}, Secrets: []string{c.secret}})
		if got.Evidence[0].What != c.wantWhat || got.Title != c.wantTitle || got.Detail["user"] != c.user {
			t.Errorf("%s:\ngot  %q %q\nwant %q %q", c.why, got.Evidence[0].What, got.Title, c.wantWhat, c.wantTitle)
		}
	}
}

// A password is masked even if the detector forgot to list it; a secret of one
// door is masked in the evidence of another; a trigger's digest survives.
func TestMaskAcrossDoors(t *testing.T) {
	r := &doorward.Report{Doors: []doorward.Door{
		{Kind: "account", Detail: doorward.Detail{"password": "forgot3n!"}, Secrets: []string{"Other-Secret1"}},
		{Kind: "trigger", Detail: doorward.Detail{"value": "Other-Secret1"}, Evidence: []doorward.Evidence{{What: "cmp Other-Secret1"}}, Secrets: []string{"Other-Secret1"}},
	}}
	id := r.Doors[1]
	id.SetID()
	report.Mask(r)
	if r.Doors[0].Detail["password"] != report.Masked("forgot3n!") || strings.Contains(r.Doors[1].Evidence[0].What, "Other") {
		t.Errorf("%+v", r.Doors)
	}
	again := r.Doors[1]
	again.SetID()
	if again.ID != id.ID {
		t.Error("masking changed the door's identity")
	}
	before, _ := json.Marshal(r)
	report.Mask(r)
	if after, _ := json.Marshal(r); !bytes.Equal(before, after) {
		t.Error("masking twice changed the report")
	}
}

// Whatever the secret, it does not stand as a word of its own in the JSON.
func TestNoSecretSurvives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[A-Z][a-z]{3,6}[0-9]{2,4}[#!$%&.-]?`).Draw(t, "secret")
		around := rapid.SampledFrom([]string{"%s", "u:%s:0", "echo '%s' | chpasswd", "x%sx", `\n%s\n`, "%s%s", "-p%s"}).Draw(t, "text")
		text := strings.ReplaceAll(around, "%s", secret)
		got := masked(doorward.Door{Evidence: []doorward.Evidence{{What: text}}, Detail: doorward.Detail{"password": secret}, Secrets: []string{secret}})
		whole := len(secret) >= 8 || around != "x%sx" && around != "%s%s"
		if whole && strings.Contains(got.Evidence[0].What, secret) {
			t.Fatalf("%q is left in %q", secret, got.Evidence[0].What)
		}
	})
}
