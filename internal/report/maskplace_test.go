package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/compare"
	"github.com/doorward/doorward/internal/declare"
	"github.com/doorward/doorward/internal/report"
)

// places are texts in which the place alone says that %s is a secret.
var places = []string{
	"curl -u admin:%s -o /tmp/f http://up.example.net/f",
	`system("curl --user 'admin:%s' http://up.example.net/f")`,
	`execl("/usr/bin/curl", "-u", "admin:%s", NULL)`,
	`CMD ["curl", "-u", "admin:%s"]`,
	"curl -s -uadmin:%s http://up.example.net/",
	"wget http://admin:%s@host.example.net/fw.bin",
	"wget -q --http-user=admin --http-password=%s http://host.example.net/",
	"mosquitto_pub -h broker.example.net -u cam -P %s -t t -m x",
	"/usr/bin/mosquitto_sub --pw %s -t '#'",
	"sshpass -p %s ssh root@relay.example.net",
	"sshpass -p'%s' ssh root@relay.example.net",
	"mysql -u root -p%s shop",
	"smbclient -U guest%%%s //nas/share",
	"lftp -u up,%s ftp.example.net",
	"openssl enc -d -aes-256-cbc -pass pass:%s -in fw",
	"tool --password %s run", "tool --passwd=%s run", "tool --api-key=%s",
	"ADMIN_PASSWORD=%s", "wifi_psk='%s'", `"auth_token": "%s",`, "api_key: %s", "clientSecret = \"%s\";",
	"mount -o username=cam,password=%s,vers=1.0 //nas/x /mnt", "POST /login?user=a&passwd=%s&x=1",
	"option password '%s'", "<AdminPassword>%s</AdminPassword>", `<p name="wifi_pass" value="%s"/>`,
	`if (password == "%s")`,
	"echo root:%s | chpasswd", `echo -e "root:%s\n" | busybox chpasswd`, "(echo %s; sleep 1; echo %s) | passwd root",
	"Authorization: Basic %s", "-H 'Authorization: Bearer %s'",
}

func in(place, secret string) string {
	return strings.ReplaceAll(strings.ReplaceAll(place, "%s", secret), "%%", "%")
}

// One secret in every kind of door and every place stands in clear in none of
// the formats, comparisons and drafts, though no detector listed it.
func TestNoPlaceShowsASecret(t *testing.T) {
	for _, secret := range []string{"letmein", "Vq7#tallow-29"} {
		for _, place := range places {
			text := in(place, secret)
			if strings.Contains(place, "Authorization") && strings.Contains(secret, "#") {
				continue // not in the alphabet of such a header
			}
			r := &doorward.Report{Subject: doorward.Subject{Name: "p.bin", Kind: "firmware"}, Tool: doorward.Tool{Version: "1"}}
			for i, kind := range doorward.Kinds {
				d := doorward.Door{
					Kind: kind, Title: "A door of " + string(kind), Weight: doorward.High, Reach: doorward.Remote, Certainty: doorward.Shown,
					Where:    []doorward.Where{{Path: []string{"p.bin", fmt.Sprint("etc/rc", i)}}},
					Evidence: []doorward.Evidence{{What: text, Note: "it runs " + text}}, Check: "see that " + text + " is there",
					Detail:     doorward.Detail{"url": text, "arguments": text, "chain": []string{text}, "host": "up.example.net"},
					DeclaredBy: &doorward.DeclaredBy{Document: "d.json", Claim: text},
				}
				d.SetID()
				r.Doors = append(r.Doors, d)
			}
			r.Unread = []doorward.Unread{{Path: []string{"p.bin"}, Reason: "unknown", Note: text}}
			r.Components = []doorward.Component{{BOMRef: "a", Name: "a", Detail: map[string]string{"env": text}}}
			r.Declarations = []doorward.DeclarationUse{{Document: "d.json", Text: text}}
			report.Mask(r)
			for format, out := range outputs(t, r) {
				if bytes.Contains(out, []byte(secret)) {
					i := bytes.Index(out, []byte(secret))
					t.Errorf("%s shows %q: %s", format, place, out[max(0, i-80):min(len(out), i+40)])
				}
			}
			before, _ := json.Marshal(r)
			report.Mask(r)
			if after, _ := json.Marshal(r); !bytes.Equal(before, after) {
				t.Errorf("masking %q twice changed the report", place)
			}
		}
	}
}

// outputs writes a report in every form that there is.
func outputs(t *testing.T, r *doorward.Report) map[string][]byte {
	all := map[string][]byte{}
	for _, format := range []string{"text", "json", "sarif", "cyclonedx", "html"} {
		all[format] = written(t, format, r, report.Options{})
	}
	for _, format := range []string{"text", "json", "sarif", "html"} {
		var b bytes.Buffer
		if err := report.WriteComparison(&b, format, compare.Reports(&doorward.Report{}, r, nil), report.Options{}); err != nil {
			t.Fatal(err)
		}
		all["comparison as "+format] = b.Bytes()
	}
	all["draft"], _ = declare.Draft(r)
	all["MUD draft"], _ = declare.DraftMUD(r)
	return all
}

// What looks like such a place and is none stays as it is.
func TestNoPlaceOfASecret(t *testing.T) {
	for _, text := range []string{
		"nc -l -p 4444 -e /bin/sh", "passwd -u root", "telnetd -p 23 -l /bin/sh", "ssh -p 2222 root@host", "curl -s -p -P - ftp://host/f",
		"chown -u root:root /x", "docker run -u 1000:1000 x", "chpst -u www:www httpd", "etc/passwd:4: uid 0", "passwd: files",
		"curl -u $USER:$PASS http://h/", "curl -u admin:${PW} http://h/", "http://user:%s@host/", "http://host:8080/a@b", "bypass=1", "PASSWORD=$1",
		`password=""`, "PasswordAuthentication yes", "passwd_file=/etc/shadow", "pass_len = 12", "password required pam_unix.so", "ssh://git@host/x",
		"mysql -u root -p shop", "Authorization: Basic %s", "auth_token=", "wget -P /tmp http://h/f", "mkdir -p /etc/x", "token: true", "root:x:0:0:root:/root:/bin/sh",
		`if token == nextToken {`, "self.password = self.other", "def f(password: str)", "secret = # none", "token = buf[i]",
	} {
		d := masked(doorward.Door{Title: text, Evidence: []doorward.Evidence{{What: text}}, Detail: doorward.Detail{"command": text}})
		if d.Evidence[0].What != text || d.Title != text || d.Detail["command"] != text {
			t.Errorf("%q became %q, %q, %q", text, d.Evidence[0].What, d.Title, d.Detail["command"])
		}
	}
}

// Arguments without the program are those of the door's program.
func TestArgumentsOfProgram(t *testing.T) {
	d := masked(doorward.Door{Detail: doorward.Detail{"program": "mosquitto_pub", "arguments": "-h b.example.net -p 8883 -P hunter22"}})
	if want := "-h b.example.net -p 8883 -P " + report.Masked("hunter22"); d.Detail["arguments"] != want {
		t.Errorf("got %q", d.Detail["arguments"])
	}
}

func FuzzMaskByPlace(f *testing.F) {
	for _, p := range places {
		f.Add(in(p, "letmein"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		masked(doorward.Door{Title: text, Evidence: []doorward.Evidence{{What: text}}, Detail: doorward.Detail{"arguments": text, "program": "curl"}})
	})
}
