package expiring

import (
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestValuesAreRememberedForAWhile(t *testing.T) {
	t.Parallel()
	m := Map[string, int]{Within: time.Minute, Max: 100}
	m.Put("a", 1, start)
	for _, tc := range []struct {
		after time.Duration
		known bool
	}{{0, true}, {59 * time.Second, true}, {time.Minute, true}, {119 * time.Second, true}, {2 * time.Minute, false}} {
		m.Age(start.Add(tc.after))
		value, ok := m.Get("a")
		if ok != tc.known {
			t.Errorf("after %s: expected known %v, seen %v", tc.after, tc.known, ok)
		}
		if ok && value != 1 {
			t.Errorf("after %s: expected 1, seen %d", tc.after, value)
		}
	}
}

func TestAClockThatGoesBackIsTimeForANewGeneration(t *testing.T) {
	t.Parallel()
	m := Map[string, int]{Within: time.Minute, Max: 100}
	m.Put("a", 1, start)
	m.Age(start.Add(-time.Second))
	if _, ok := m.Get("a"); !ok {
		t.Error("forgotten after one step back")
	}
	m.Age(start.Add(-2 * time.Second))
	if _, ok := m.Get("a"); ok {
		t.Error("remembered after two steps back")
	}
}

func TestNoMoreThanMaxAreRemembered(t *testing.T) {
	t.Parallel()
	m := Map[int, int]{Max: 10}
	for i := range 1000 {
		m.Put(i, i, time.Time{})
		if m.Len() > 10 {
			t.Fatalf("expected at most 10 values, seen %d", m.Len())
		}
		if _, ok := m.Get(i); !ok {
			t.Fatalf("the last of %d values is forgotten", i)
		}
	}
}

func TestLargeValuesBeginANewGeneration(t *testing.T) {
	t.Parallel()
	m := Map[string, int]{Within: time.Minute, Max: 100, MaxSize: 1000}
	for _, key := range []string{"a", "b", "c"} {
		m.Put(key, 1, start)
		m.Grow(500)
	}
	_, first := m.Get("a")
	_, last := m.Get("c")
	if first {
		t.Error("expected the first one to be forgotten, seen that it is known")
	}
	if !last {
		t.Error("expected the last one to be known, seen that it is forgotten")
	}
}

func TestFindLooksAtBothGenerations(t *testing.T) {
	t.Parallel()
	m := Map[string, int]{Within: time.Minute, Max: 100}
	m.Put("a", 1, start)
	m.Put("a", 2, start.Add(time.Minute))
	for _, want := range []int{1, 2} {
		if got, ok := m.Find("a", func(v int) bool { return v == want }); !ok || got != want {
			t.Errorf("expected %d, seen %d, %v", want, got, ok)
		}
	}
	if value, _ := m.Get("a"); value != 2 {
		t.Errorf("expected the last value, seen %d", value)
	}
	m.Delete("a")
	if _, ok := m.Get("a"); ok {
		t.Error("a deleted key is remembered")
	}
}

func TestDeleteFuncForgetsInBothGenerations(t *testing.T) {
	t.Parallel()
	m := Map[string, int]{Within: time.Minute, Max: 100}
	m.Put("a", 1, start)
	m.Put("b", 2, start)
	m.Put("a", 3, start.Add(time.Minute))
	m.Put("c", 4, start.Add(time.Minute))
	m.DeleteFunc(func(v int) bool { return v == 1 || v == 4 })
	if value, _ := m.Get("a"); value != 3 {
		t.Errorf("expected the value 3 that replaced a deleted one, seen %d", value)
	}
	if m.Len() != 2 {
		t.Errorf("expected 2 values, seen %d", m.Len())
	}
	m.DeleteFunc(func(int) bool { return true })
	m.Put("d", 5, start.Add(time.Minute))
	if m.Len() != 1 {
		t.Errorf("expected the one value that came after all were deleted, seen %d", m.Len())
	}
}
