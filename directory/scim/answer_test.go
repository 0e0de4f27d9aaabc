package scim

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

func TestFilters(t *testing.T) {
	t.Parallel()
	for name, expected := range map[string]string{
		"alice":          `filter=userName%20eq%20%22alice%22`,
		"a b+c&d#e%f":    `filter=userName%20eq%20%22a%20b%2Bc%26d%23e%25f%22`,
		`x" or userName`: `filter=userName%20eq%20%22x%5C%22%20or%20userName%22`,
		`back\slash`:     `filter=userName%20eq%20%22back%5C%5Cslash%22`,
		"<müller>":       `filter=userName%20eq%20%22%3Cm%C3%BCller%3E%22`,
	} {
		query := filterQuery(name)
		if query != expected {
			t.Errorf("%q: expected %s, seen %s", name, expected, query)
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Errorf("%q: the query cannot be read: %v", name, err)
		}
		var read string
		if err := json.Unmarshal([]byte(strings.TrimPrefix(values.Get("filter"), "userName eq ")), &read); err != nil || read != name {
			t.Errorf("%q: the filter's value is read as %q, %v", name, read, err)
		}
	}
}

// A user is known only if the answer says so clearly.
func TestAnswersAreRead(t *testing.T) {
	t.Parallel()
	list := func(total, resources string) string {
		return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":` + total + `,"itemsPerPage":10,"startIndex":1,"Resources":[` + resources + `]}`
	}
	for _, row := range []struct {
		name, body string
		ignoreCase bool
		known      bool
		odd, err   string
	}{
		{"the user", list("1", `{"id":"1","userName":"alice","active":true}`), false, true, "", ""},
		{"active as text", list("1", `{"userName":"alice","active":"true"}`), false, true, "", ""},
		{"active is absent", list("1", `{"userName":"alice"}`), false, true, "", ""},
		{"with a byte order mark", "\ufeff" + list("1", `{"userName":"alice"}`), false, true, "", ""},
		{"without a total", `{"Resources":[{"userName":"alice"}]}`, false, true, "", ""},
		{"names of members in other letters", `{"totalresults":1,"resources":[{"username":"alice","Active":true}]}`, false, true, "", ""},
		{"no user", list("0", ""), false, false, "", ""},
		{"no user and no list", `{"totalResults":0}`, false, false, "", ""},
		{"no user, and null", `{"totalResults":0,"Resources":null}`, false, false, "", ""},
		{"not active", list("1", `{"userName":"alice","active":false}`), false, false, "", ""},
		{"not active, as Entra ID says it", list("1", `{"userName":"alice","active":"False"}`), false, false, "", ""},
		{"not active in other letters", list("1", `{"userName":"alice","ACTIVE":false}`), false, false, "", ""},
		{"active is null", list("1", `{"userName":"alice","active":null}`), false, false, oddActive, ""},
		{"active is a number", list("1", `{"userName":"alice","active":1}`), false, false, oddActive, ""},
		{"active is text in other letters", list("1", `{"userName":"alice","active":"True"}`), false, false, oddActive, ""},
		{"active is empty", list("1", `{"userName":"alice","active":""}`), false, false, oddActive, ""},
		{"the first page of all users", list("3", `{"userName":"alice"},{"userName":"bob"}`), false, false, oddSeveral, ""},
		{"the first page has the user alone", list("3", `{"userName":"alice"}`), false, false, oddPartial, ""},
		{"an empty page", list("1", ""), false, false, oddPartial, ""},
		{"a total that is too small", list("0", `{"userName":"alice"}`), false, false, oddPartial, ""},
		{"the user twice", list("2", `{"userName":"alice"},{"userName":"alice"}`), false, false, oddSeveral, ""},
		{"the user twice, and a wrong total", list("1", `{"userName":"alice"},{"userName":"alice"}`), false, false, oddSeveral, ""},
		{"another user", list("1", `{"userName":"bob"}`), false, false, oddName, ""},
		{"the user in other letters", list("1", `{"userName":"ALICE"}`), false, false, oddNameCase, ""},
		{"the user in other letters, and case is ignored", list("1", `{"userName":"ALICE"}`), true, true, "", ""},
		{"the user in letters that are not ASCII, and case is ignored", list("1", `{"userName":"alıce"}`), true, false, oddName, ""},
		{"without a name", list("1", `{"id":"alice"}`), false, false, oddNoName, ""},
		{"a name that is a number", list("1", `{"userName":1}`), false, false, oddNoName, ""},
		{"two names", list("1", `{"userName":"bob","username":"alice"}`), false, false, "", "the resource: a member of the object appears twice"},
		{"active twice", list("1", `{"userName":"alice","active":false,"active":true}`), false, false, "", "the resource: a member of the object appears twice"},
		{"two lists", `{"Resources":[],"Resources":[{"userName":"alice"}]}`, false, false, "", "a member of the object appears twice"},
		{"a resource that is text", list("1", `"alice"`), false, false, "", "the resource: it is not a JSON object"},
		{"resources that are an object", `{"totalResults":1,"Resources":{"userName":"alice"}}`, false, false, "", "its member Resources is not a list"},
		{"a total that is text", list(`"1"`, `{"userName":"alice"}`), false, false, "", "totalResults is not a number"},
		{"a total that is a fraction", list(`1.0`, `{"userName":"alice"}`), false, false, "", "totalResults is not a number"},
		{"a user that is no list", `{"userName":"alice","active":true}`, false, false, "", "the answer is not a list of resources"},
		{"a list alone", `[{"userName":"alice"}]`, false, false, "", "it is not a JSON object"},
		{"HTML", `<!DOCTYPE html><title>Sign in</title>`, false, false, "", "it is not a JSON object"},
		{"nothing", ``, false, false, "", "it is not a JSON object"},
		{"half of an answer", list("1", `{"userName":"alice"}`)[:120], false, false, "", "it is not a JSON object"},
		{"more than an answer", list("1", `{"userName":"alice"}`) + "{}", false, false, "", "something follows the JSON object"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			known, odd, err := readAnswer([]byte(row.body), "alice", row.ignoreCase)
			if known != row.known {
				t.Errorf("expected known %t, seen %t", row.known, known)
			}
			if odd != row.odd {
				t.Errorf("expected the reason %q, seen %q", row.odd, odd)
			}
			if text := textOf(err); text != row.err {
				t.Errorf("expected the error %q, seen %q", row.err, text)
			}
		})
	}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// FuzzReadAnswer checks that a user is known only if a simple parser finds that user as
// the only resource.
func FuzzReadAnswer(f *testing.F) {
	for _, body := range []string{
		`{"totalResults":1,"Resources":[{"userName":"alice","active":true}]}`, `{"totalResults":0,"Resources":[]}`,
		`{"totalResults":1,"Resources":[{"userName":"ALICE","active":"true"}]}`, `{"totalResults":2,"Resources":[{"userName":"alice"},{"userName":"bob"}]}`,
		`{"Resources":[{"userName":"alice","active":"False"}]}`, `{"Resources":[{"userName":"bob","username":"alice"}]}`, `<html>`, `{"totalResults":1,"Resources":[{"userName":"al`,
		"\ufeff{\"resources\":[{\"USERNAME\":\"alice\",\"ACTIVE\":null}]}",
	} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, ignoreCase bool) {
		known, odd, err := readAnswer(body, "alice", ignoreCase)
		if err != nil && known {
			t.Errorf("expected no known user beside the error %v, seen one", err)
		}
		if err != nil && odd != "" {
			t.Errorf("expected nothing odd beside the error %v, seen %q", err, odd)
		}
		if !known {
			return
		}
		var plain struct {
			TotalResults *int
			Resources    []struct {
				UserName string
				Active   any
			}
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(string(body), "\ufeff")), &plain); err != nil {
			t.Fatalf("known, but a plain reader fails: %v", err)
		}
		if len(plain.Resources) != 1 {
			t.Fatalf("known, but there are %d resources", len(plain.Resources))
		}
		if plain.TotalResults != nil && *plain.TotalResults != 1 {
			t.Errorf("known, but the total is %d", *plain.TotalResults)
		}
		found := plain.Resources[0]
		if found.UserName != "alice" && !(ignoreCase && strings.EqualFold(found.UserName, "alice")) {
			t.Errorf("known, but the name is %q", found.UserName)
		}
		if found.Active != nil && found.Active != true && found.Active != "true" {
			t.Errorf("known, but active is %v", found.Active)
		}
	})
}
