package clusterstore

import (
	"slices"
	"strings"
	"testing"
)

// Whichever way a storage lists keys, Children returns each name directly below the
// folder once and without a slash, and finds the keys in the folder.
func FuzzChildren(f *testing.F) {
	f.Add("oidc_rp/x/1/a\noidc_rp/x/2", "oidc_rp/x")
	f.Add("1/a\n2\n2", "oidc_rp/x")
	f.Add("/prefix/oidc_rp/x/1/a\n//", "oidc_rp/x")
	f.Add("x\nx/x/x\n", "x")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, listed, folder string) {
		keys := strings.Split(listed, "\n")
		names := Children(keys, folder)
		if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Errorf("%q: expected sorted names, each once, seen %q", keys, names)
		}
		if len(names) > len(keys) {
			t.Errorf("%q: expected %d names at most, seen %d", keys, len(keys), len(names))
		}
		for _, name := range names {
			if strings.Contains(name, "/") {
				t.Errorf("%q: expected names without a slash, seen %q", keys, name)
			}
		}
		if folder == "" || strings.HasPrefix(folder, "/") || strings.HasSuffix(folder, "/") {
			return
		}
		if got := Children([]string{folder + "/0/b"}, folder); !slices.Equal(got, []string{"0"}) {
			t.Errorf("the folder %q: expected the name 0, seen %q", folder, got)
		}
	})
}
