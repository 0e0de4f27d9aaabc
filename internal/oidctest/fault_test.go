package oidctest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestFaults tests the faults that no row contains.
func TestFaults(t *testing.T) {
	t.Parallel()
	p := New(t)
	c := p.HTTPClient()
	c.Timeout = 200 * time.Millisecond
	get := func() ([]byte, error) {
		resp, err := c.Get(p.URL(JWKS))
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		return io.ReadAll(resp.Body)
	}
	for name, f := range map[string]Fault{"delay": {Delay: Forever}, "drip": {Drip: time.Second}} {
		p.Lie(func(l *Faults) { *l.At(JWKS) = f })
		if _, err := get(); err == nil {
			t.Errorf("%s: expected an error, seen none", name)
		}
	}
	p.Honest()
	held := 0
	p.Lie(func(l *Faults) {
		l.At(JWKS).Hold = func(*http.Request) { held++ }
		l.At(JWKS).Status = 500
		hits := p.record.hits[JWKS] // Lie holds the lock
		l.At(JWKS).When = func(hit int) bool { return hit == hits+2 }
	})
	c.Timeout = 0
	for i := range 3 {
		if _, err := get(); err != nil {
			t.Errorf("hit %d: %v", i, err)
		}
	}
	if held != 1 {
		t.Errorf("the fault was there %d times", held)
	}
	p.Honest()
	p.Lie(func(l *Faults) { l.At(JWKS).GzipBomb = 3<<20 + 7 })
	b, err := get()
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < 3<<20+7 {
		t.Errorf("gzip: expected %d bytes at least, seen %d", 3<<20+7, len(b))
	}
	if !bytes.Equal(bytes.TrimSpace(b), p.KeySet()) {
		t.Errorf("gzip: expected the key set and white space, seen %.100q", bytes.TrimSpace(b))
	}
	p.Honest()
	p.Lie(func(l *Faults) { l.At(JWKS).Endless = true })
	resp, err := c.Get(p.URL(JWKS))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 1<<20)
	_ = resp.Body.Close()
	p.Stop() // waits for the request, so that its bytes are counted
	if n := p.SentBytes(JWKS); n < 1<<20 || n > endlessLimit/2 {
		t.Errorf("expected %d to %d sent bytes, seen %d", 1<<20, endlessLimit/2, n)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	honest := []byte(`{"a":1}`)
	for name, edit := range map[string]func([]byte) []byte{"Nest": Nest(100), "Widen": Widen(1000), "Inflate": Inflate(1000)} {
		var m map[string]any
		if err := json.Unmarshal(edit(honest), &m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if m["a"] != 1.0 {
			t.Errorf("%s: expected the member a to stay 1, seen %v", name, m["a"])
		}
		if len(m) < 2 {
			t.Errorf("%s: expected more members, seen %d", name, len(m))
		}
	}
	if got := string(Truncate(3)(honest)); got != `{"a` {
		t.Error(got)
	}
	if got := string(honest); got != `{"a":1}` {
		t.Error("the honest body was changed:", got)
	}
}

// TestDown checks that a stopped provider refuses connections, and that it is available at
// the same address when it is started again.
func TestDown(t *testing.T) {
	t.Parallel()
	p := New(t)
	rp := newReference(p)
	p.Stop()
	if _, err := rp.login(); err == nil {
		t.Error("it is up")
	}
	p.Start()
	if _, err := rp.login(); err != nil {
		t.Error(err)
	}
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	p := New(t, TLS())
	rp := newReference(p)
	for _, bad := range []func(){
		func() { p.SetCertificate(time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)) },
		func() { p.SetCertificate(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "another.test") },
	} {
		bad()
		rp.http.CloseIdleConnections()
		if _, err := rp.login(); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("expected an error about the certificate, seen %v", err)
		}
	}
	p.SetCertificate(time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if _, err := rp.login(); err != nil {
		t.Error(err)
	}
	if p.CAFile() == "" {
		t.Error("no file")
	}
}
