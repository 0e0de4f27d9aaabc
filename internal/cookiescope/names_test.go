package cookiescope

import "testing"

func namesOf(names ...string) *Names {
	all := new(Names)
	for _, name := range names {
		all.Add(name)
	}
	return all
}

func TestOurs(t *testing.T) {
	t.Parallel()
	names := namesOf("app", "wiki", "app")
	for name, want := range map[string]bool{
		"app": true, "wiki": true, "__Host-app": true, "__Secure-wiki": true,
		"app_1": true, "app_9": true, "app_hint": true, "app_again": true, "__Host-app_tried": true, "__Host-app_mark": true, "__Host-app_choice": true, "__Host-app_last": true, "__Host-app_tx_x": true,
		"": false, "ap": false, "apps": false, "app_": false, "app_0": false, "app_10": false, "app_other": false,
		"__Host-": false, "__Host-__Secure-app": false, "App": false,
	} {
		if got := names.Ours(name); got != want {
			t.Errorf("Ours(%q): expected %t, seen %t", name, want, got)
		}
	}
	if new(Names).Ours("app") {
		t.Error("a cookie is ours although there are no names")
	}
}

func TestConflict(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ one, other, taken, by string }{
		{"app", "app", "", ""},
		{"app", "app_1", "", ""},
		{"app", "wiki", "", ""},
		{"app", "app_hint", "app_hint", "app"},
		{"app_again", "app", "app_again", "app"},
		{"app", "app_tx_1", "app_tx_1", "app"},
		{"app", "app_hints", "", ""},
	} {
		taken, by := namesOf(tc.one).Conflict(tc.other)
		if taken != tc.taken || by != tc.by {
			t.Errorf("%s beside %s: got %q taken by %q, want %q taken by %q", tc.other, tc.one, taken, by, tc.taken, tc.by)
		}
	}
}

func TestChunkIndex(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"app": 0, "app_0": 0, "app_1": 1, "app_3": 3, "app_4": 0, "app_12": 0, "app_x": 0, "apps_1": 0, "wiki_1": 0} {
		if got := ChunkIndex("app", name); got != want {
			t.Errorf("ChunkIndex(app, %s): expected %d, seen %d", name, want, got)
		}
	}
}
