package oidctest

import (
	"strings"
	"testing"
)

// refusedAt maps stages to the prefixes of the reference's errors.
var refusedAt = map[Stage]string{
	AtDiscovery: "discovery: ", AtAuthorization: "callback: ", AtToken: "token: ",
	AtIDToken: "id token: ", AtKeys: "id token: ", AtUserInfo: "userinfo: ",
}

// TestRows runs each row with the reference relying party. The reference must refuse what
// the row says, at the stage of the lie.
func TestRows(t *testing.T) {
	t.Parallel()
	for _, row := range Rows() {
		t.Run(row.String(), func(t *testing.T) {
			t.Parallel()
			p := New(t, row.Options...)
			rp := newReference(p)
			p.Tell(row)
			for range max(row.Logins, 1) {
				subject, err := rp.login()
				if row.Want == Accept && err != nil {
					t.Errorf("refused: %v", err)
				}
				// The reference refuses a duplicate sub before it requests userinfo.
				stage := refusedAt[row.Stage]
				if row.Name == "another sub after the right one" && row.ID == "S11" {
					stage = refusedAt[AtIDToken]
				}
				if row.Want == Refuse {
					if err == nil {
						t.Fatalf("expected it to be refused, seen that it is accepted as %q", subject)
					}
					if !strings.HasPrefix(err.Error(), stage) {
						t.Errorf("expected it to be refused at %q, seen %v", stage, err)
					}
				}
				if err == nil && subject != p.User("alice").Subject {
					t.Errorf("accepted as %s", subject)
				}
			}
			for _, e := range row.Unreached() {
				if n := p.Hits(e); n > 0 {
					t.Errorf("%s was asked %d times", e, n)
				}
			}
			if row.Name == "a code that was never issued" {
				p.TakeViolations()
			}
			// An honest login must succeed afterwards.
			p.Honest()
			if _, err := rp.login(); err != nil {
				t.Errorf("honest again: %v", err)
			}
		})
	}
}

// TestRowNames checks that the names of rows are unique, so that go test -run can select a
// single row.
func TestRowNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, row := range append(Rows(), ResponseRows()...) {
		if seen[row.String()] {
			t.Errorf("%q appears twice", row)
		}
		seen[row.String()] = true
		if row.Want == "" {
			t.Errorf("%q: expected a verdict, seen none", row)
		}
		if strings.Contains(row.Name, "/") {
			t.Errorf("%q: expected a name that go test does not split, seen a slash", row)
		}
	}
}

// TestRowsCover checks that each of these labels still has a row, so that none is lost by
// mistake.
func TestRowsCover(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, row := range append(Rows(), ResponseRows()...) {
		have[row.ID] = true
	}
	for _, id := range strings.Fields("C00 C01 C02 C03 C04 C05 C06 C07 C08 C09 C10 C11 C12 C13 C14 C15 C16 C18 " +
		"C19a C19b C19c C19d C20 C21 C22 C23 C24 F05 F07 F08 F10 F11 F12 F14 F15 F16 F17 F18 F19 F20 F23 F24 F25 F26 F27 F28 F29 F30 " +
		"S02 S04 S06 S07 S08 S09 S10 S11 S12 S13 S14 S15 S16 S18 S19 S24 " +
		"X06 X11 X15 X16 X17 X18 X19 X20 X21 X25 X27 X53") {
		if !have[id] {
			t.Errorf("no row %s", id)
		}
	}
}
