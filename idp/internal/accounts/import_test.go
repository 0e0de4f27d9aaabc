package accounts

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func (h *harness) importCSV(text string, dry bool) ImportResult {
	h.t.Helper()
	result, err := h.Import(h.t.Context(), strings.NewReader(text), dry)
	if err != nil {
		h.t.Fatalf("expected no error, seen %v", err)
	}
	return result
}

func bcryptOf(t testing.TB, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), 4)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func TestImportOfUsers(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	file := "\ufeffName,Email,email_verified,groups,locked,password_hash,id\r\n" +
		"anna,anna@example.com,yes,staff;board,,\"" + bcryptOf(t, right) + "\",ignored\r\n" +
		"\"otto\",,false,,true,,\r\n" +
		"robot@example.com,robot@example.com,1,,no,,\r\n" +
		"partners/maria,,,,,,\r\n"
	if result := h.importCSV(file, true); result.Created != 4 || result.Failed != 0 {
		t.Errorf("a dry run: expected four users, seen %+v", result)
	}
	if users, _, err := h.List(t.Context(), store.UserFilter{}, "", 0); err != nil || len(users) != 0 {
		t.Errorf("after a dry run: expected no user, seen %v, %v", users, err)
	}
	if result := h.importCSV(file, false); result.Created != 4 || result.Failed != 0 {
		t.Errorf("expected four users, seen %+v", result)
	}
	anna, err := h.Find(t.Context(), "anna@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if !anna.EmailVerified || len(anna.Groups) != 2 || anna.ID == "ignored" {
		t.Errorf("expected what the file has, and an ID of ours, seen %+v", anna)
	}
	h.wantPassword("the imported password", anna, right, true)
	if otto, err := h.Find(t.Context(), "otto"); err != nil || !otto.Locked {
		t.Errorf("expected a user who is locked, seen %+v, %v", otto, err)
	}
	if maria, err := h.Find(t.Context(), "partners/maria"); err != nil {
		t.Errorf("expected an external account, seen %+v, %v", maria, err)
	}
}

func TestLinesThatCannotBeImported(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.create(NewUser{Name: "taken", Email: "taken@example.com"})
	result := h.importCSV(strings.Join([]string{
		"name,email,email_verified,kind,groups,password_hash",
		"first,first@example.com,,,,",
		"taken,,,,,",
		"second,TAKEN@example.com,,,,",
		"FIRST,,,,,",
		"third,first@example.com,,,,",
		"a b,,,,,",
		"fourth,no address,,,,",
		"fifth,,maybe,,,",
		"sixth,,,robot,,",
		"seventh,,,,\"a,b\",",
		"eighth,,,,,$2a$14$" + strings.Repeat("a", 53),
		"ninth,,",
		"client/tenth,,,,,",
		`"eleventh`,
		`",,,,,`,
		"last,last@example.com,,,,",
	}, "\n"), false)
	var seen []string
	for _, err := range result.Errors {
		seen = append(seen, fmt.Sprintf("%d %s", err.Line, err.Field))
	}
	const want = "3 ,4 ,5 ,6 ,7 name,8 email,9 email_verified,10 kind,11 groups,12 password,13 ,14 name,15 name"
	if got := strings.Join(seen, ","); got != want {
		t.Errorf("expected errors of these lines: %s, seen %s", want, got)
	}
	if result.Created != 2 || result.Failed != 13 {
		t.Errorf("expected two users and 13 errors, seen %d and %d", result.Created, result.Failed)
	}
	for _, name := range []string{"second", "third", "fifth"} {
		_, err := h.Find(t.Context(), name)
		h.wantError("nothing of a line that failed: "+name, err, store.ErrNotFound)
	}
	if _, err := h.Find(t.Context(), "last@example.com"); err != nil {
		t.Errorf("expected the line after them to be imported, seen %v", err)
	}
}

func TestFilesThatCannotBeImported(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for name, text := range map[string]string{
		"nothing":             "",
		"an unknown column":   "name,pasword\n",
		"a column twice":      "name,email,Email\n",
		"no name":             "email\n",
		"a quote in a header": "na\"me\n",
	} {
		if result, err := h.Import(t.Context(), strings.NewReader(text), false); err == nil {
			t.Errorf("%s: expected an error, seen %+v", name, result)
		}
	}
	result, err := h.Import(t.Context(), strings.NewReader("name\nanna\not\"to\n"), false)
	if err == nil || result.Created != 1 {
		t.Errorf("a quote in a line: expected an error after one user, seen %v after %d", err, result.Created)
	}
}

func TestManyErrorsAreCounted(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	result := h.importCSV("name\n"+strings.Repeat("a b\n", maxLineErrors+500), true)
	if result.Failed != maxLineErrors+500 || len(result.Errors) != maxLineErrors {
		t.Errorf("expected %d errors and %d of them listed, seen %d and %d", maxLineErrors+500, maxLineErrors, result.Failed, len(result.Errors))
	}
}

func TestAnExportCanBeImported(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	var names []string
	for i := range exportPage + 1 {
		names = append(names, fmt.Sprintf("user%04d,u%d@example.com,\"Müller, \"\"%d\"\"\",a;b", i, i, i))
	}
	if result := h.importCSV("name,email,display_name,groups\n"+strings.Join(names, "\n"), false); result.Created != exportPage+1 {
		t.Fatalf("expected %d users, seen %+v", exportPage+1, result)
	}
	h.create(NewUser{Name: "robot", Kind: store.Application})
	theirs := bcryptOf(t, right)
	h.create(NewUser{Name: "imported", Imported: theirs})
	gone := h.create(NewUser{Name: "gone"})
	if _, err := h.Remove(t.Context(), gone.ID, false); err != nil {
		t.Fatal(err)
	}
	var plain, hashes bytes.Buffer
	if err := errors.Join(h.Export(t.Context(), &plain, false), h.Export(t.Context(), &hashes, true)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), hashColumn) || strings.Contains(plain.String(), "$") {
		t.Error("without hashes: expected none, seen some")
	}
	if !strings.Contains(hashes.String(), theirs) {
		t.Error("with hashes: expected the one that was imported, as it was")
	}
	second := newHarness(t)
	if result := second.importCSV(hashes.String(), false); result.Created != exportPage+3 || result.Failed != 0 {
		t.Errorf("expected %d users, seen %+v", exportPage+3, result)
	}
	user, err := second.Find(t.Context(), "user0007")
	if err != nil {
		t.Fatal(err)
	}
	if user.DisplayName != `Müller, "7"` || len(user.Groups) != 2 {
		t.Errorf("expected the same user, seen %+v", user)
	}
	imported, err := second.Find(t.Context(), "imported")
	if err != nil {
		t.Fatal(err)
	}
	second.wantPassword("the imported password", imported, right, true)
}

func TestOurHashesAreNotImported(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.create(NewUser{Name: "anna", Password: right})
	var file bytes.Buffer
	if err := h.Export(t.Context(), &file, true); err != nil {
		t.Fatal(err)
	}
	result := newHarness(t).importCSV(file.String(), false)
	if result.Created != 0 || result.Failed != 1 || !strings.Contains(result.Errors[0].Error(), "key that is not here") {
		t.Errorf("expected an error about the key, seen %+v", result)
	}
}

// FuzzImport checks that each line of a file is counted at most once, as imported or
// failed, and that errors are short.
func FuzzImport(f *testing.F) {
	f.Add("name,email,groups\nanna,anna@example.com,a;b\notto,,\n")
	f.Add("name\n\"a\nb\"\n\n,\nx")
	f.Add("\ufeffNAME,kind,locked\nrobot,application,yes\n")
	f.Add("name,password_hash\nx,$2a$04$" + strings.Repeat("a", 53))
	h := newHarness(f)
	f.Fuzz(func(t *testing.T, file string) {
		result, err := h.Import(t.Context(), strings.NewReader(file), true)
		if err == nil && result.Failed != len(result.Errors) && result.Failed <= maxLineErrors {
			t.Errorf("expected an error for each of %d lines, seen %d", result.Failed, len(result.Errors))
		}
		if lines := strings.Count(file, "\n") + strings.Count(file, "\r") + 1; result.Created+result.Failed > lines {
			t.Errorf("expected at most %d lines, seen %+v", lines, result)
		}
		for _, failed := range result.Errors {
			if len(failed.Error()) > 2048 {
				t.Errorf("expected a short error, seen %d bytes", len(failed.Error()))
			}
		}
	})
}

func BenchmarkImport(b *testing.B) {
	var file strings.Builder
	file.WriteString("name,email,groups,password_hash\n")
	hash := bcryptOf(b, right)
	for i := range 1000 {
		fmt.Fprintf(&file, "user%d,user%d@example.com,staff,%s\n", i, i, hash)
	}
	for b.Loop() {
		h := newHarness(b)
		if result, err := h.Import(b.Context(), strings.NewReader(file.String()), false); err != nil || result.Created != 1000 {
			b.Fatal(result, err)
		}
	}
}
