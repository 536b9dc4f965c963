package doorward

import "testing"

func TestEntityKey(t *testing.T) {
	for name, want := range map[string]string{
		"Hikvision Digital Technology Co., Ltd.": "hikvision-digital-technology",
		"HIKVISION  Digital-Technology Company":  "hikvision-digital-technology",
		"Télécom S.A.":                           "telecom",
		"Te\u0301le\u0301com SA":                 "telecom",
		"Siemens AG":                             "siemens",
		"Limited":                                "limited", // all that there is
		"AT&T Inc.":                              "at-t",
		"O'Reilly Media, Inc.":                   "oreilly-media",
		"华为技术有限公司":                               "华为技术有限公司",
		"":                                       "",
	} {
		if got := EntityKey(name); got != want {
			t.Errorf("EntityKey(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestFactID(t *testing.T) {
	f := OriginFact{Subject: "c", Axis: Development, Country: "AA"}
	f.SetID()
	g := f
	g.Stage, g.Country = "", "BB"
	g.SetID()
	if f.ID == g.ID || len(f.ID) != len("fact-")+16 {
		t.Errorf("%s, %s", f.ID, g.ID)
	}
}
