package firmware

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/doorward/doorward"
	"github.com/doorward/doorward/internal/product"
)

func keyFixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "key", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func der(t testing.TB, name string) string {
	block, _ := pem.Decode([]byte(keyFixture(t, name)))
	return string(block.Bytes)
}

// TestFingerprints compares every form with what ssh-keygen -l and openssl pkey
// -pubout | sha256sum say (fingerprints.txt).
func TestFingerprints(t *testing.T) {
	for line := range strings.Lines(keyFixture(t, "fingerprints.txt")) {
		name, want, _ := strings.Cut(strings.TrimSpace(line), " ")
		text := keyFixture(t, name)
		holders := map[string]string{
			"a file":                     text,
			"a program":                  "\x7fELF\x01\x01\x01\x00\x00\x00config\x00" + text + "\x00more\x00",
			"a file with text around it": "name=x\n" + text + "\nend=y\n",
		}
		if strings.HasSuffix(name, ".pem") {
			holders["DER"] = der(t, name)
			holders["DER in a program"] = "\x7fELF\x01\x01\x01\x00\x00\x00\x30\x82" + der(t, name) + "\x00\x00"
			holders["one line of JSON"] = `{"key": "` + strings.ReplaceAll(text, "\n", `\n`) + `"}`
		}
		for how, content := range holders {
			doors := doorsOf(t, Key, system(file{path: "usr/lib/blob", text: content})...)
			if len(doors) != 1 {
				t.Errorf("%s in %s: %d doors", name, how, len(doors))
				continue
			}
			if got := doors[0].Detail.Text("fingerprint"); got != want {
				t.Errorf("%s in %s: fingerprint %s, want %s", name, how, got, want)
			}
			if len(doors[0].Secrets) == 0 {
				t.Errorf("%s in %s: the key is not among the secrets", name, how)
			}
		}
	}
}

func TestKeys(t *testing.T) {
	const ssh = "AAAAC3NzaC1lZDI1NTE5AAAAIB9r4Kp3wV6mSjZ4Lq3mJ8v0yT5n1x2c3d4e5f6g7h8i"
	dropbear := file{path: "usr/sbin/dropbear", text: "\x7fELFdropbear /etc/dropbear/dropbear_rsa_host_key"}
	tests := []struct {
		name  string
		files []file
		want  []string
	}{
		{"host key that a server names", system(dropbear, file{path: "etc/dropbear/dropbear_rsa_host_key", text: keyFixture(t, "dropbear_rsa")}),
			[]string{"key high path=etc/dropbear/dropbear_rsa_host_key algorithm=rsa private=true used_by=dropbear"}},
		{"empty host key", system(dropbear, file{path: "etc/dropbear/dropbear_rsa_host_key"}), nil},
		{"one key in two files", system(file{path: "etc/a.pem", text: keyFixture(t, "rsa_pkcs1.pem")}, file{path: "etc/b.key", text: keyFixture(t, "rsa_pkcs8.pem")},
			file{path: "etc/lighttpd.conf", text: "ssl.pemfile = \"/etc/b.key\"\n"}),
			[]string{"key high path=etc/b.key algorithm=rsa private=true used_by=lighttpd.conf"}},
		{"its own certificate", system(file{path: "etc/server.pem", text: keyFixture(t, "rsa_pkcs1.pem") + keyFixture(t, "cert_rsa.pem")}),
			[]string{"key medium path=etc/server.pem algorithm=rsa private=true"}},
		{"documentation", system(file{path: "usr/share/doc/x/key.pem", text: keyFixture(t, "rsa_pkcs1.pem")}, file{path: "usr/lib/node/test/key.pem", text: keyFixture(t, "ec_sec1.pem")}), nil},
		{"headers in a library", system(file{path: "usr/lib/libssl.so", text: "\x7fELF\x00-----BEGIN RSA PRIVATE KEY-----\x00-----END RSA PRIVATE KEY-----\x00"}), nil},
		{"a passphrase", system(file{path: "etc/k", text: keyFixture(t, "openssh_encrypted")}), []string{"key low path=etc/k algorithm=ecdsa private=true"}},
		{"PKCS #12", system(file{path: "etc/server.p12", text: keyFixture(t, "server.p12")}), []string{"key medium path=etc/server.p12 algorithm=rsa private=true"}},
		{"authorized key of root", system(dropbear, file{path: "root/.ssh/authorized_keys", text: "# nobody\nssh-ed25519 " + ssh + " dev@maker\n"}),
			[]string{"key critical path=root/.ssh/authorized_keys algorithm=ed25519 private=false used_by=dropbear"}},
		{"authorized key that a script writes", system(dropbear, file{path: "usr/bin/support.sh", text: "#!/bin/sh\necho 'ssh-ed25519 " + ssh + " x' >> /root/.ssh/authorized_keys\n"}),
			[]string{"key critical path=usr/bin/support.sh algorithm=ed25519 private=false used_by=dropbear"}},
		{"public keys of hosts", system(file{path: "etc/ssh/ssh_host_ed25519_key.pub", text: "ssh-ed25519 " + ssh + " x\n"}, file{path: "root/.ssh/known_hosts", text: "h ssh-ed25519 " + ssh + "\n"}), nil},
		{"WireGuard", system(file{path: "etc/wireguard/wg0.conf", text: "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n[Peer]\nPublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n"}),
			[]string{"key high path=etc/wireguard/wg0.conf algorithm=wireguard private=true"}},
		{"Wi-Fi", system(file{path: "etc/hostapd.conf", text: "ssid=cam\n#wpa_passphrase=commented99\nwpa_passphrase=maker2016\nwpa_key_mgmt=WPA-PSK\n"}), []string{"key medium path=etc/hostapd.conf algorithm=wpa psk private=true"}},
		{"Wi-Fi placeholders", system(file{path: "etc/hostapd.conf", text: "wpa_passphrase=$PASSPHRASE\nwpa_psk_file=/etc/hostapd.wpa_psk\n"}, file{path: "etc/b.conf", text: "wpa_passphrase=YOUR_PASSWORD\n"}), nil},
		{"IPsec", system(file{path: "etc/ipsec.secrets", text: "# : PSK \"no\"\n%any : PSK \"tunnel-77-key\"\n"}), []string{"key high path=etc/ipsec.secrets algorithm=ipsec psk private=true"}},
		{"JWT", system(file{path: "etc/app.yaml", text: "jwt_secret: \"9f86d081884c7d659a2feaa0c55ad015\"\n"}), []string{"key high path=etc/app.yaml algorithm=shared secret private=true"}},
		{"tokens", system(file{path: "usr/bin/cloud", text: "\x7fELF\x00AKIAIOSFODNN7QRTZWXY\x00AKIAIOSFODNN7EXAMPLE\x00"}), []string{"key medium path=usr/bin/cloud algorithm=token private=true"}},
		{"trusted certificate", system(file{path: "etc/ssl/ca.pem", text: keyFixture(t, "vendor_ca.pem")}), []string{"key low path=etc/ssl/ca.pem algorithm=rsa private=false"}},
		{"name of a public root", system(file{path: "etc/ssl/certs/x.pem", text: keyFixture(t, "fake_root.pem")}), []string{"key medium path=etc/ssl/certs/x.pem algorithm=rsa private=false"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wantLines(t, lines(doorsOf(t, Key, test.files...), "path", "algorithm", "private", "used_by"), test.want)
		})
	}
}

func TestOneDoorNamesEveryPlace(t *testing.T) {
	doors := doorsOf(t, Key, system(file{path: "etc/a.pem", text: keyFixture(t, "rsa_pkcs1.pem")}, file{path: "etc/b.key", text: keyFixture(t, "rsa_pkcs8.pem")})...)
	if len(doors) != 1 || len(doors[0].Where) != 2 || len(doors[0].Evidence) != 2 || doors[0].Certainty != doorward.Likely {
		t.Errorf("%+v", doors)
	}
}

func TestPublicRootsAreSilent(t *testing.T) {
	// The machine's own bundle may hold an authority of its owner: a door.
	files, _ := filepath.Glob("/usr/share/ca-certificates/mozilla/*.crt")
	if len(files) == 0 {
		t.Skip("this machine has no public roots (Debian's ca-certificates)")
	}
	bundle := ""
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		bundle += string(b)
	}
	if doors := doorsOf(t, Key, system(file{path: "etc/ssl/certs/ca-certificates.crt", text: bundle})...); len(doors) != 0 {
		t.Errorf("public roots: %v", lines(doors, "path"))
	}
	doors := doorsOf(t, Key, system(file{path: "etc/ssl/certs/ca-certificates.crt", text: bundle + keyFixture(t, "vendor_ca.pem")})...)
	wantLines(t, lines(doors, "path", "private"), []string{"key medium path=etc/ssl/certs/ca-certificates.crt private=false"})
}

func TestKeyFormsNeverPanic(t *testing.T) {
	seeds := []string{keyFixture(t, "dropbear_rsa"), keyFixture(t, "dropbear_ecdsa"), keyFixture(t, "dropbear_ed25519"), der(t, "rsa_pkcs1.pem"), der(t, "dsa.pem"), der(t, "openssh_ed25519")}
	rapid.Check(t, func(t *rapid.T) {
		b := []byte(rapid.SampledFrom(seeds).Draw(t, "seed"))
		for range rapid.IntRange(1, 4).Draw(t, "edits") {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "value")
		}
		b = b[:rapid.IntRange(0, len(b)).Draw(t, "cut")]
		dropbearKey(b)
		parsePrivate(b)
		opensshKey(b)
		puttyKey(string(b))
		sshBlobType(b)
		for at := range min(len(b), 8) {
			derAround(b, int64(at))
		}
	})
}

// TestKeysOfABenchmark has a program with RSA keys of three sizes, as the
// benchmarks of crypto tools do, and one with a single key.
func TestKeysOfABenchmark(t *testing.T) {
	der := func(bits int) string {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return string(x509.MarshalPKCS1PrivateKey(key))
	}
	one, two, three := der(1024), der(1536), der(2048)
	program := func(keys ...string) file {
		return file{path: "usr/bin/tool", text: "\x7fELF\x01\x01\x01" + strings.Repeat("\x00", 64) + strings.Join(keys, "\x00\x00\x00\x00") + "\x00", mode: 0o755}
	}
	for _, d := range doorsOf(t, Key, program(one, two, three)) {
		if d.Weight != doorward.Low || d.Certainty != doorward.Hint {
			t.Errorf("a key of a benchmark: %s %s", d.Weight, d.Title)
		}
	}
	if got := doorsOf(t, Key, program(one)); len(got) != 1 || got[0].Weight.Rank() < doorward.Medium.Rank() {
		t.Errorf("a single key: %q", lines(got, "path"))
	}
}

// TestKeysInPackedDocumentation: what a compressed file in a quiet place holds is
// as quiet as the place.
func TestKeysInPackedDocumentation(t *testing.T) {
	f := &product.File{Path: "gzip@0x0"}
	if quietFile(f) || !quietPlace("usr/share/doc/x/README.gz/gzip@0x0") {
		t.Error("a region by itself is not quiet, one within documentation is")
	}
}
