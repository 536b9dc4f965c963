package declare

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/doorward/doorward"
)

const sampleBOM = `{
  "bomFormat": "CycloneDX",
  "specVersion": "1.6",
  "metadata": {"component": {
    "type": "device", "bom-ref": "cam", "name": "Cam", "version": "1.2",
    "hashes": [{"alg": "SHA-1", "content": "00"}, {"alg": "SHA-256", "content": "AB"}],
    "properties": [
      {"name": "other", "value": "x"},
      {"name": "doorward:door", "value": "account user=support"},
      {"name": "doorward:no-door", "value": "debug trigger"},
      {"name": "doorward:no-hidden-function", "value": "outflow manipulation injection"},
      {"name": "doorward:report:place", "value": "anything"}
    ]
  }},
  "components": [
    {"type": "library", "bom-ref": "outer", "name": "outer", "components": [
      {"type": "library", "bom-ref": "inner", "name": "inner", "purl": "pkg:generic/inner@1", "properties": [
        {"name": "doorward:door", "value": "service port=22"}]}]}
  ],
  "services": [
    {"name": "sshd", "description": "repair", "endpoints": ["tcp://0.0.0.0:22", "https://api.example.com", "/api", "udp://[::]:161", "tcp://0.0.0.0"],
     "services": [{"name": "x", "endpoints": ["mqtts://mq.example.com"], "properties": [{"name": "doorward:door", "value": "tracker id=7"}]}]}
  ],
  "declarations": {"targets": {"components": [{"bom-ref": "t", "type": "library", "name": "target"}]}, "claims": [
    {"bom-ref": "c1", "target": "cam", "predicate": "doorward:no-door key"},
    {"bom-ref": "c2", "target": "t", "predicate": "doorward:door account user=x"},
    {"bom-ref": "c3", "target": "cam", "predicate": "we use strong passwords"}
  ]}
}`

func TestReadCycloneDX(t *testing.T) {
	d, err := Read("cam.cdx.json", []byte(sampleBOM))
	if err != nil {
		t.Fatal(err)
	}
	if d.Subject.Name != "Cam" || d.Subject.Versions[0] != "1.2" || d.Subject.SHA256[0] != "ab" {
		t.Errorf("subject is %+v", d.Subject)
	}
	want := []string{
		"/metadata/component/properties/1/value door account user=support in -",
		"/metadata/component/properties/2/value no-door debug trigger in -",
		"/metadata/component/properties/3/value no-hidden-function outflow manipulation injection in -",
		"/components/0/components/0/properties/0/value door service port=22 in inner",
		"/services/0/endpoints/0 door service proto=tcp port=22 program=sshd in -",
		"/services/0/endpoints/1 door destination host=api.example.com port=443 in -",
		"/services/0/endpoints/3 door service proto=udp port=161 program=sshd in -",
		"/services/0/services/0/properties/0/value door tracker id=7 in -",
		"/services/0/services/0/endpoints/0 door destination host=mq.example.com port=8883 in -",
		"/declarations/claims/0/predicate no-door key in -",
		"/declarations/claims/1/predicate door account user=x in target",
	}
	compare(t, d, want)
}

func compare(t *testing.T, d *doorward.Declaration, want []string) {
	t.Helper()
	var got []string
	for _, c := range d.Claims {
		text := strings.TrimPrefix(string(c.Says), "doorward:") + " " + c.Text
		if c.Says == doorward.SaysDoor && len(c.Kinds) > 0 {
			text = "door " + string(c.Kinds[0])
			for _, p := range c.Pairs {
				text += " " + p.Key + "=" + p.Value
			}
		}
		within := "-"
		if c.Within != nil {
			within = c.Within.Name
		}
		got = append(got, fmt.Sprintf("%s %s in %s", c.Pointer, text, within))
	}
	if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
		t.Errorf("claims are\n%s\nwant\n%s", a, b)
	}
}

// Errors say the line and the column in the document, past JSON's own escapes.
func TestErrorsSayWhere(t *testing.T) {
	bom := func(name, value string) string {
		return "{\"bomFormat\": \"CycloneDX\",\n \"specVersion\": \"1.5\",\n \"metadata\": {\"component\": {\"properties\": [\n{\"name\": \"" + name + "\", \"value\": \"" + value + "\"}]}}}"
	}
	cases := []struct{ text, want string }{
		{bom("doorward:door", "account usr=x"), `d.json:4:45: doorward:door: an account has no key "usr"`},
		{bom("doorward:door", `account purpose=\"\u00e9\ud83d\ude00\" usr=x`), `d.json:4:76: doorward:door: an account has no key "usr"`},
		{bom("doorward:dor", "x"), `d.json:4:36: doorward:dor: unknown statement`},
		{`{"bomFormat": "CycloneDX", "specVersion": "1.3"}`, `d.json:1:43: CycloneDX "1.3" is not read`},
		{"{\n\"a\": tru}", "d.json:2:6: not JSON"},
		{"{\"a\": 1", "not JSON: unexpected EOF"},
		{"{} {}", "something stands after"},
		{"[]", "neither a CycloneDX document"},
		{strings.Repeat("[", 1000), "nested more than"},
		{`{"ietf-mud:mud": {"mud-version": 1, "from-device-policy": {"access-lists": {"access-list": [{"name": "x"}]}}}}`, `"x", which is not in the file`},
	}
	for _, c := range cases {
		_, err := Read("d.json", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestReadMUD(t *testing.T) {
	d, err := Read("lamp.json", []byte(`{"ietf-mud:mud": {"mud-version": 1, "mud-url": "https://lamp.example/x", "model-name": "Lamp", "firmware-rev": "2.0",
"ietf-mud-transparency:transparency": {"sboms": [{"version-info": "2.0", "sbom-url": "https://lamp.example/sbom"}]},
"from-device-policy": {"access-lists": {"access-list": [{"name": "f"}]}},
"to-device-policy": {"access-lists": {"access-list": [{"name": "t"}]}}},
"ietf-access-control-list:acls": {"acl": [
{"name": "f", "aces": {"ace": [
 {"name": "0", "matches": {"ipv4": {"protocol": 6, "ietf-acldns:dst-dnsname": "Cloud.example"}, "tcp": {"destination-port": {"operator": "eq", "port": 443}, "ietf-mud:direction-initiated": "from-device"}}, "actions": {"forwarding": "accept"}},
 {"name": "1", "matches": {"ipv4": {"destination-ipv4-network": "203.0.113.0/24"}, "udp": {"destination-port": {"operator": "range", "lower-port": 100, "upper-port": 200}}}, "actions": {"forwarding": "accept"}},
 {"name": "2", "matches": {"ietf-mud:mud": {"local-networks": [null]}, "tcp": {"source-port": {"operator": "eq", "port": 80}}}, "actions": {"forwarding": "accept"}},
 {"name": "3", "matches": {"ipv4": {"ietf-acldns:dst-dnsname": "denied.example"}}, "actions": {"forwarding": "drop"}}]}},
{"name": "t", "aces": {"ace": [
 {"name": "0", "matches": {"ietf-mud:mud": {"local-networks": [null]}, "tcp": {"destination-port": {"operator": "eq", "port": 80}, "ietf-mud:direction-initiated": "to-device"}}, "actions": {"forwarding": "accept"}},
 {"name": "1", "matches": {"ipv4": {"ietf-acldns:src-dnsname": "cloud.example"}, "tcp": {"source-port": {"operator": "eq", "port": 443}}}, "actions": {"forwarding": "accept"}},
 {"name": "2", "matches": {"tcp": {"destination-port": {"operator": "gte", "port": 1024}, "ietf-mud:direction-initiated": "from-device"}}, "actions": {"forwarding": "accept"}}]}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	const at = "/ietf-access-control-list:acls/acl/"
	compare(t, d, []string{
		at + "0/aces/ace/0 door destination host=cloud.example port=443 in -",
		at + "0/aces/ace/1 door destination host=203.0.113.0/24 port=100-200 in -",
		at + "0/aces/ace/2 door from-device proto=tcp peer=local-networks source-port=80 in -",
		at + "1/aces/ace/0 door service proto=tcp port=80 in -",
		at + "1/aces/ace/1 door to-device proto=tcp peer=cloud.example source-port=443 in -",
		at + "1/aces/ace/2 door to-device proto=tcp port=1024-65535 direction-initiated=from-device in -",
	})
	if len(d.SBOMs) != 1 || d.SBOMs[0] != "https://lamp.example/sbom" || d.Subject.Versions[0] != "2.0" {
		t.Errorf("SBOMs %v, subject %+v", d.SBOMs, d.Subject)
	}
}

// Real MUD files: each is read, its hosts are destinations, and most of its
// to-device entries, being ways back, are no services.
func TestRealMUDFiles(t *testing.T) {
	dir := os.Getenv("DOORWARD_CORPUS")
	if dir == "" {
		dir = "../../../shared/corpus"
	}
	files, _ := filepath.Glob(filepath.Join(dir, "traffic/mud/*/*Mud.json"))
	if len(files) == 0 {
		t.Skip("the corpus of real MUD files is not here")
	}
	var destinations, services, others int
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Read(filepath.Base(f), text)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		for _, c := range d.Claims {
			switch {
			case len(c.Kinds) == 0:
				others++
			case c.Kinds[0] == doorward.KindDestination:
				destinations++
			default:
				services++
			}
		}
	}
	t.Logf("%d files: %d destinations, %d services, %d entries that declare neither", len(files), destinations, services, others)
	// Counted from the files' entries by a script: 24 to-device entries name a
	// destination port (all of them initiated from outside, or over UDP).
	if services != 24 || destinations < 400 || others < 400 {
		t.Errorf("%d destinations, %d services, %d others", destinations, services, others)
	}
}

// The demo product's declaration is one by another hand.
func TestDemoDeclaration(t *testing.T) {
	text, err := os.ReadFile("../../testdata/demo/camera.cdx.json")
	if err != nil {
		t.Fatal(err)
	}
	d, err := Read("camera.cdx.json", text)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Claims) != 13 || d.Subject.Versions[0] != "1.4.2" {
		t.Errorf("%d claims, subject %+v", len(d.Claims), d.Subject)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(sampleBOM))
	f.Add([]byte(`{"ietf-mud:mud": {"mud-version": 1, "to-device-policy": {"access-lists": {"access-list": [{"name": "t"}]}}}, "ietf-access-control-list:acls": {"acl": [{"name": "t"}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) { _, _ = Read("x", text) })
}

// What a maker wrote stays, byte for byte, wherever the lines are added.
func TestUpdateKeepsBytes(t *testing.T) {
	door := doorward.Door{Kind: doorward.KindService, Detail: doorward.Detail{"port": 23, "proto": "tcp"}}
	line := `{"name": "doorward:door", "value": "service proto=tcp port=23 purpose=\"to be stated by the maker\""}`
	for old, want := range map[string]string{
		`{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{}}}`:                                                                    "{\n  \"properties\": [\n    " + line + "\n  ]}}}",
		`{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"name":"x"  }}}`:                                                        `{"name":"x",` + "\n  \"properties\": [\n    " + line + "\n  ]  }}}",
		`{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"properties":[ ], "name":"x"}}}`:                                        "{\"properties\":[\n    " + line + "\n  ], \"name\":\"x\"}}}",
		"{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\",\"metadata\":{\"component\":{\"properties\":[\n\t{\"name\":\"a\",\"value\":\"b\"}\n]}}}": "[\n\t{\"name\":\"a\",\"value\":\"b\"},\n\t" + line + "\n]}}}",
	} {
		got, added, _, err := Update("d.json", []byte(old), []doorward.Door{door}, doorward.Subject{}, false)
		if err != nil || added != 1 || !strings.HasSuffix(string(got), want) {
			t.Errorf("%s\nbecomes %s, %v\nwant ... %s", old, got, err, want)
		}
		if _, err := Read("d.json", got); err != nil {
			t.Error(err)
		}
		if same, added, _, err := Update("d.json", got, []doorward.Door{door}, doorward.Subject{}, false); err != nil || added != 0 || string(same) != string(got) {
			t.Errorf("a second time it becomes %s, %v", same, err)
		}
	}
	for _, bad := range []string{`{"ietf-mud:mud":{}}`, `{"bomFormat":"CycloneDX","specVersion":"1.6"}`, `{"bomFormat":`, `{"bomFormat":"CycloneDX","metadata":{"component":7}}`} {
		if _, _, _, err := Update("d.json", []byte(bad), []doorward.Door{door}, doorward.Subject{}, false); err == nil {
			t.Errorf("%s is updated", bad)
		}
	}
}

func FuzzUpdate(f *testing.F) {
	f.Add([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"metadata":{"component":{"version":"1","hashes":[{"alg":"SHA-256","content":"x"}],"properties":[{"name":"a","value":"b"}]}}}`))
	f.Add([]byte("{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\",\"metadata\":{\"component\":{\n\t\"name\" : \"x\" }}}"))
	door := doorward.Door{Kind: doorward.KindService, Detail: doorward.Detail{"port": 23}}
	f.Fuzz(func(t *testing.T, old []byte) {
		if _, err := Read("d.json", old); err != nil {
			return
		}
		got, _, _, err := Update("d.json", old, []doorward.Door{door}, doorward.Subject{Version: "2", SHA256: strings.Repeat("a", 64)}, true)
		if err != nil {
			return
		}
		if _, err := Read("d.json", got); err != nil {
			t.Fatalf("%v\n%s\n%s", err, old, got)
		}
	})
}
