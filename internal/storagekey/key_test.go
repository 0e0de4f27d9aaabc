package storagekey

import "testing"

type open struct{ Path string }

type closed struct{ path string }

type unwritable struct{ Ready chan int }

func TestWhichStoragesAreOne(t *testing.T) {
	t.Parallel()
	here := &closed{"/here"}
	for _, row := range []struct {
		name string
		a, b any
		same bool
	}{
		{"of one configuration", &open{"/here"}, &open{"/here"}, true},
		{"of another configuration", &open{"/here"}, &open{"/there"}, false},
		{"of another kind", &open{"/here"}, open{"/here"}, false},
		{"whose configuration cannot be seen", &closed{"/here"}, &closed{"/there"}, false},
		{"of which it is the same value", here, here, true},
		{"which cannot be written as JSON", new(unwritable), new(unwritable), false},
	} {
		if got := Key(row.a) == Key(row.b); got != row.same {
			t.Errorf("storages %s are one: %v", row.name, got)
		}
	}
}
