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
	if first.Count != 1 || second.Count != 2 || late.Count != 1 {
		t.Errorf("the counts are %d, %d, %d", first.Count, second.Count, late.Count)
	}
	if (Mark{}).Recent(now) || !first.Recent(now) || first.Recent(now.Add(time.Minute)) || first.Recent(now.Add(-time.Minute)) {
		t.Error("a mark is recent for a minute, in both directions")
	}
	var read Mark
	if err := read.Decode(second.Encode()); err != nil || read.Count != 2 || read.Login != second.Login || !read.At.Equal(second.At) {
		t.Errorf("%+v comes back as %+v, %v", second, read, err)
	}
	for _, broken := range [][]byte{nil, {1}, {2, 1}, append(second.Encode(), 0)} {
		if read.Decode(broken) == nil {
			t.Errorf("%v is a mark", broken)
		}
	}
}
