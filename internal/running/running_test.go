package running

import (
	"slices"
	"testing"
)

func TestLastIsWhatStartedLast(t *testing.T) {
	t.Parallel()
	var list List[string]
	var remove [3]func() error
	for _, step := range []struct {
		name string
		do   func()
		last string
		all  []string
	}{
		{"nothing has started", func() {}, "", nil},
		{"the first starts", func() { remove[0] = list.Add("old") }, "old", []string{"old"}},
		{"a second starts beside it", func() { remove[1] = list.Add("failing") }, "failing", []string{"old", "failing"}},
		{"loading the second has failed", func() { _ = remove[1]() }, "old", []string{"old"}},
		{"a third starts", func() { remove[2] = list.Add("new") }, "new", []string{"old", "new"}},
		{"the first ends", func() { _ = remove[0]() }, "new", []string{"new"}},
		{"the third ends", func() { _ = remove[2]() }, "", nil},
		{"one is removed twice", func() { _ = remove[2]() }, "", nil},
	} {
		step.do()
		if last := list.Last(); last != step.last {
			t.Errorf("%s: expected the last to be %q, seen %q", step.name, step.last, last)
		}
		if all := list.All(); !slices.Equal(all, step.all) {
			t.Errorf("%s: expected %q, seen %q", step.name, step.all, all)
		}
	}
}
