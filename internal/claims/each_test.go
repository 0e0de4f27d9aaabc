package claims

import (
	"encoding/json"
	"testing"
)

// PathEach follows a path through each object of a list, for groups that are objects.
func TestPathsThroughLists(t *testing.T) {
	t.Parallel()
	set, err := Encode(map[string]json.RawMessage{
		"groups": json.RawMessage(`[{"id": 1, "name": "admins"}, "x", null, {"id": 2}, {"name": "staff"}]`),
		"realm":  json.RawMessage(`{"groups": [{"name": "a,b"}], "roles": ["r"]}`),
		"empty":  json.RawMessage(`[]`),
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"groups.name": `["admins","staff"]`, "groups.id": `[1,2]`, "realm.groups.name": `["a,b"]`, "realm.roles": `["r"]`,
		"groups.other": "", "empty.name": "", "realm.roles.name": "", "absent.name": "",
	} {
		value, ok := set.PathEach(path)
		if ok != (want != "") {
			t.Errorf("PathEach(%q): expected a value %v, seen %v", path, want != "", ok)
		}
		if ok && string(value.JSON()) != want {
			t.Errorf("PathEach(%q): expected %s, seen %s", path, want, value.JSON())
		}
	}
	if _, ok := set.Path("groups.name"); ok {
		t.Error("other paths lead through lists too, expected only PathEach to")
	}
}
