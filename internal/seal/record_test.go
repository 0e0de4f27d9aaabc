package seal

import (
	"bytes"
	"errors"
	"testing"
)

func TestRecord(t *testing.T) {
	t.Parallel()
	secret, other := NewRecordSecret(), NewRecordSecret()
	plain := []byte("what a session is")
	seal := func(s RecordSecret, aad string) []byte {
		record, err := s.Seal(aad, plain)
		if err != nil {
			t.Fatal(err)
		}
		return record
	}
	record := seal(secret, "here")
	if got, err := secret.Open("here", record); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("Open = %q, %v", got, err)
	}
	if bytes.Equal(record, seal(secret, "here")) {
		t.Error("the same record twice looks the same")
	}
	if bytes.Contains(record, plain) {
		t.Error("expected a record that hides its content, seen that it shows it")
	}
	if bytes.Contains(record, secret[:]) {
		t.Error("expected a record without its secret, seen that it shows it")
	}
	for name, open := range map[string]func() ([]byte, error){
		"at other additional data": func() ([]byte, error) { return secret.Open("there", record) },
		"with another secret":      func() ([]byte, error) { return other.Open("here", record) },
		"of another version":       func() ([]byte, error) { return secret.Open("here", append([]byte{9}, record[1:]...)) },
		"nothing":                  func() ([]byte, error) { return secret.Open("here", nil) },
		"shorter than its tag":     func() ([]byte, error) { return secret.Open("here", record[:20]) },
		"with one more byte":       func() ([]byte, error) { return secret.Open("here", append(bytes.Clone(record), 0)) },
	} {
		if got, err := open(); !errors.Is(err, ErrBroken) || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for i := range record {
		changed := bytes.Clone(record)
		changed[i] ^= 1
		if _, err := secret.Open("here", changed); !errors.Is(err, ErrBroken) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
}

func TestRecordName(t *testing.T) {
	t.Parallel()
	name := func(s RecordSecret) string {
		n, err := s.Name()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	secret := NewRecordSecret()
	first, second := name(secret), name(secret)
	if first != second || len(first) != 32 {
		t.Errorf("the name is %q, then %q", first, second)
	}
	if first == name(NewRecordSecret()) {
		t.Error("two secrets have one name")
	}
}
