package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// refused matches the headings of licenses that are not allowed, and terms that turn an
// allowed license into a different one. It is case-sensitive, because other licenses
// mention the GNU ones in lower case.
var refused = regexp.MustCompile(`GNU (AFFERO |LESSER |LIBRARY )?GENERAL PUBLIC LICENSE|Server Side Public License|Business Source License|Elastic License|Commons Clause|Creative Commons Attribution|Eclipse Public License|European Union Public Licence`)

// licences are the allowed licenses, by SPDX identifier. Each is recognized by words that
// no other license has.
var licences = []struct {
	name        string
	has, hasNot []string
}{
	{"Apache-2.0", []string{"apache license", "version 2.0"}, nil},
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy", "the above copyright notice and this permission notice"}, nil},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "endorse or promote products derived"}, []string{"all advertising materials"}},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms"}, []string{"endorse or promote products derived"}},
	{"ISC", []string{"permission to use, copy, modify, and", "distribute this software for any", "provided that the above copyright notice"}, nil},
	{"0BSD", []string{"permission to use, copy, modify, and", "distribute this software for any"}, []string{"provided that the above copyright notice"}},
	{"MPL-2.0", []string{"mozilla public license", "2.0"}, nil},
	{"CC0-1.0", []string{"cc0 1.0 universal"}, nil},
	{"Unlicense", []string{"this is free and unencumbered software released into the public domain"}, nil},
	{"Zlib", []string{"this software is provided 'as-is', without any express or implied", "altered source versions must be plainly marked"}, nil},
}

var (
	errUnknown = errors.New("its license is not one that is recognized: read it, and add it to e2e/cmd/licences if it is allowed")
	spaces     = regexp.MustCompile(`\s+`)
)

// recognize returns the names of the licenses in a text. It returns an error if one of
// them is not allowed, or if it recognizes none.
func recognize(text string) (found []string, err error) {
	if heading := refused.FindString(text); heading != "" {
		return nil, fmt.Errorf("the licence is not allowed: %s", heading)
	}
	text = strings.ToLower(spaces.ReplaceAllString(text, " "))
	has := func(words string) bool { return strings.Contains(text, words) }
	for _, l := range licences {
		if all(l.has, has) && !slices.ContainsFunc(l.hasNot, has) {
			found = append(found, l.name)
		}
	}
	if len(found) == 0 {
		return nil, errUnknown
	}
	return found, nil
}

// allowed returns the names of the allowed licenses.
func allowed() (names []string) {
	for _, l := range licences {
		names = append(names, l.name)
	}
	slices.Sort(names)
	return names
}

func all(words []string, has func(string) bool) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !has(w) })
}
