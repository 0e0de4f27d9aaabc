package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	mit   = "Copyright (c) somebody\n\nPermission is hereby granted, free of charge, to any\nperson obtaining a copy …\nThe above copyright notice and this permission\nnotice shall be included"
	bsd2  = "Redistribution and use in source and binary forms, with or\nwithout modification, are permitted"
	bsd3  = bsd2 + "\n * Neither the name … may be used to\n   endorse or promote products derived from this software"
	isc   = "Permission to use, copy, modify, and/or distribute this software for any purpose is granted, provided that the above copyright notice and this permission notice appear"
	agpl  = "                    GNU AFFERO GENERAL PUBLIC LICENSE\n                       Version 3"
	mozil = "Mozilla Public License, version 2.0 … \"Secondary License\" means the GNU General Public License, Version 2.0"
)

func TestLicencesAreRecognized(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"MIT", mit, "MIT"},
		{"BSD with two clauses", bsd2, "BSD-2-Clause"},
		{"BSD with three clauses", bsd3, "BSD-3-Clause"},
		{"ISC", isc, "ISC"},
		{"one that speaks of the GPL", mozil, "MPL-2.0"},
		{"two in one file", "Apache License\n  Version 2.0, January 2004\n----\n" + mit, "Apache-2.0 MIT"},
	} {
		found, err := recognize(tc.text)
		if err != nil {
			t.Errorf("%s: expected no error, seen %v", tc.name, err)
		}
		if got := strings.Join(found, " "); got != tc.want {
			t.Errorf("%s: expected %q, seen %q", tc.name, tc.want, got)
		}
	}
}

func TestOtherLicencesFail(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"the AGPL":             agpl,
		"MIT with a condition": mit + "\n\"Commons Clause\" License Condition",
		"a text of its own":    "You may use this on Sundays.",
		"BSD with advertising": bsd3 + "\nAll advertising materials mentioning features must display",
		"nothing":              "",
	} {
		if found, err := recognize(text); err == nil {
			t.Errorf("%s: expected an error, seen %q", name, found)
		}
	}
}

// The license files of packages count in addition to those of their module. A module
// without any license file is an error.
func TestLicencesOfPackagesCount(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	inner := filepath.Join(root, "inner")
	m := module{"example.com/m", root, map[string]bool{root: true, inner: true}}
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := m.licences(); err == nil {
		t.Error("expected an error without a license file, seen none")
	}
	for name, text := range map[string]string{filepath.Join(root, "LICENSE"): mit, filepath.Join(inner, "LICENSE.md"): bsd3} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	found, err := m.licences()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"BSD-3-Clause", "MIT"}; !slices.Equal(found, want) {
		t.Errorf("expected %q, seen %q", want, found)
	}
}
