package origin

import "testing"

func TestHolderOfACopyrightLine(t *testing.T) {
	for line, want := range map[string]string{
		"opyright (C) 2022 Free Software Foundation, Inc.":                  "Free Software Foundation, Inc.",
		"opyright 1995-2022 Jean-loup Gailly and Mark Adler ":               "Jean-loup Gailly",
		"opyright (c) 1999-2006 Igor Pavlov, 2010 Somebody Else":            "Igor Pavlov",
		"opyright (c) 2003 Andrew G. Morgan <morgan@kernel.org>":            "Andrew G. Morgan",
		"opyright 2012 Example Networks Co., Ltd. All rights reserved.":     "Example Networks Co., Ltd.",
		"opyright (C) 1998-2015 Erik Andersen, Rob Landley, Denys Vlasenko": "Erik Andersen",
		"opyright © 2020 Musterwerk GmbH. This program is free software":    "Musterwerk GmbH",
		"opyright (c) 2011-2019, present Acorn Works":                       "Acorn Works",
		"opyright notice and this permission notice shall be included":      "",
		"opyright (C) %s %s":               "",
		"opyright 1991 The Regents of the": "",
		"opyright (c) YEAR NAME":           "",
	} {
		got := ""
		if m := copyrightLine.FindStringSubmatch(line); m != nil {
			if got = holder(m[1]); unfinished.MatchString(got) {
				got = ""
			}
		}
		if got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
