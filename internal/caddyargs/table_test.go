package caddyargs

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// settings has the values of the options of the tests' block.
type settings struct{ name, color string }

var settingsTable = Table[*settings]{
	"name":  func(d *caddyfile.Dispenser, s *settings) error { return StringArg(d, &s.name) },
	"color": func(d *caddyfile.Dispenser, s *settings) error { return StringArg(d, &s.color) },
}

func readSettings(text string, kind *Kind) (s settings, seen Seen, err error) {
	d := caddyfile.NewTestDispenser(text)
	d.Next()
	seen, err = settingsTable.ReadBlock(d, kind, &s)
	return s, seen, err
}

func TestABlockIsReadByItsTable(t *testing.T) {
	t.Parallel()
	s, seen, err := readSettings(`settings {
		color red
		name  alice
	}`, new(Kind))
	if err != nil {
		t.Fatal(err)
	}
	if expected := (settings{name: "alice", color: "red"}); s != expected {
		t.Errorf("expected %+v, seen %+v", expected, s)
	}
	if options := slices.Sorted(maps.Keys(seen)); !slices.Equal(options, settingsTable.Names()) {
		t.Errorf("expected the options %q, seen %q", settingsTable.Names(), options)
	}
	if line := seen["name"].Line; line != 3 {
		t.Errorf("expected name in line 3, seen %d", line)
	}
}

func TestErrorsAboutTheOptionsOfABlock(t *testing.T) {
	t.Parallel()
	session := &Kind{Place: "of session", Options: []string{"lifetime", "color"}}
	user := &Kind{Place: "of user", Options: []string{"lifetime"}}
	others := []*Kind{session, user}
	for _, row := range []struct {
		name, option, expected string
		kind                   Kind
	}{
		{"twice", `name a
		name b`, "name appears twice, at Testfile:3", Kind{}},
		{"a typing error", "nmae a", "unrecognized option 'nmae' of settings, at Testfile:2: did you mean 'name'?",
			Kind{Name: "of settings", Options: settingsTable.Names()}},
		{"of the first other block that has it", "lifetime 1h", "unrecognized option 'lifetime', at Testfile:2: it is an option of session",
			Kind{Options: settingsTable.Names(), Others: others}},
		{"like nothing", "frobnicate", "unrecognized option 'frobnicate', at Testfile:2",
			Kind{Options: settingsTable.Names(), Others: others}},
		{"in a block without options", "lifetime 1h", "unrecognized option 'lifetime' of nothing, at Testfile:2",
			Kind{Name: "of nothing", Others: others}},
	} {
		_, _, err := readSettings(fmt.Sprintf(`settings {
			%s
		}`, row.option), &row.kind)
		if err == nil {
			t.Errorf("%s: expected an error", row.name)
			continue
		}
		if err.Error() != row.expected {
			t.Errorf("%s: expected %q, seen %q", row.name, row.expected, err)
		}
	}
}
