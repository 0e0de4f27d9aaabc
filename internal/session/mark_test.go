package session

import (
	"testing"
	"time"
)

func TestMark(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	first := Mark{}.Next(StateHash{1}, now)
	second := first.Next(StateHash{2}, now.Add(59*time.Second))
	late := first.Next(StateHash{3}, now.Add(60*time.Second))
	for name, tc := range map[string]struct{ got, want Mark }{"first": {first, Mark{Count: 1}}, "second": {second, Mark{Count: 2}}, "late": {late, Mark{Count: 1}}} {
		if tc.got.Count != tc.want.Count {
			t.Errorf("%s: expected the count %d, seen %d", name, tc.want.Count, tc.got.Count)
		}
	}
	for name, tc := range map[string]struct {
		mark Mark
		at   time.Time
		want bool
	}{
		"no mark":         {Mark{}, now, false},
		"now":             {first, now, true},
		"a minute later":  {first, now.Add(time.Minute), false},
		"a minute before": {first, now.Add(-time.Minute), false},
	} {
		if got := tc.mark.Recent(tc.at); got != tc.want {
			t.Errorf("%s: expected recent %t, seen %t", name, tc.want, got)
		}
	}
	var read Mark
	if err := read.Decode(second.Encode()); err != nil {
		t.Fatal(err)
	}
	if read.Count != second.Count {
		t.Errorf("expected the count %d again, seen %d", second.Count, read.Count)
	}
	if read.Login != second.Login {
		t.Errorf("expected the login %x again, seen %x", second.Login, read.Login)
	}
	if !read.At.Equal(second.At) {
		t.Errorf("expected the time %v again, seen %v", second.At, read.At)
	}
	for _, broken := range [][]byte{nil, {1}, {2, 1}, append(second.Encode(), 0)} {
		if read.Decode(broken) == nil {
			t.Errorf("%v is a mark", broken)
		}
	}
}
