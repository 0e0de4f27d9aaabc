package op

import (
	"context"
	"crypto"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// signed returns a JWS by a test key.
func signed(t testing.TB, name, kid string, alg jose.SignatureAlgorithm) *jose.JSONWebSignature {
	t.Helper()
	return signedWith(t, testKeys()[name], kid, alg)
}

func signedWith(t testing.TB, key crypto.Signer, kid string, alg jose.SignatureAlgorithm) *jose.JSONWebSignature {
	t.Helper()
	options := new(jose.SignerOptions)
	if kid != "" {
		options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign([]byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	jws, err = jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{alg})
	if err != nil {
		t.Fatal(err)
	}
	return jws
}

// jwks is the key set endpoint of a provider, in a synctest bubble.
type jwks struct {
	mu       sync.Mutex
	document []byte
	err      error
	latency  time.Duration
	fetches  int
}

func (j *jwks) fetch(context.Context) ([]byte, error) {
	time.Sleep(j.latency)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fetches++
	return j.document, j.err
}

func (j *jwks) set(document []byte, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.document, j.err = document, err
}

func bubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	testKeys()
	t.Parallel()
	synctest.Test(t, test)
}

func verifies(t *testing.T, s *KeySet, jws *jose.JSONWebSignature) error {
	t.Helper()
	payload, err := s.verify(t.Context(), jws)
	if err == nil && string(payload) != "payload" {
		t.Errorf("payload %q", payload)
	}
	return err
}

func TestKeysAreFetchedOnceAndKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		op := &jwks{document: keySetOf(member(t, "p256", ""))}
		s := newKeySet(op.fetch, time.Now)
		token := signed(t, "p256", "p256", jose.ES256)
		for elapsed := time.Duration(0); elapsed < keysAge; elapsed += time.Minute {
			if err := verifies(t, s, token); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if op.fetches != 1 {
			t.Errorf("%d fetches", op.fetches)
		}
		// After a quarter of an hour, a withdrawn key is no longer accepted.
		op.set(keySetOf(member(t, "p384", "")), nil)
		if err := verifies(t, s, token); err == nil || op.fetches < 2 {
			t.Errorf("%v after %d fetches", err, op.fetches)
		}
	})
}

func TestANewKeyIsLookedForAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		op := &jwks{document: keySetOf(member(t, "p256", ""))}
		s := newKeySet(op.fetch, time.Now)
		if err := verifies(t, s, signed(t, "p256", "p256", jose.ES256)); err != nil {
			t.Fatal(err)
		}
		op.set(keySetOf(member(t, "p256", ""), member(t, "p256-b", "")), nil)
		if err := verifies(t, s, signed(t, "p256-b", "p256-b", jose.ES256)); err != nil {
			t.Error(err)
		}
		// Some providers reuse a kid for another key.
		op.set(keySetOf(strings.Replace(member(t, "p256-b", ""), `"kid":"p256-b"`, `"kid":"p256"`, 1)), nil)
		if err := verifies(t, s, signed(t, "p256-b", "p256", jose.ES256)); err != nil {
			t.Error(err)
		}
	})
}

func TestStrangersCannotMakeUsFetch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		op := &jwks{document: keySetOf(member(t, "p256", ""))}
		s := newKeySet(op.fetch, time.Now)
		forged := signed(t, "p384", "unknown", jose.ES384)
		for range 100 {
			if err := verifies(t, s, forged); err == nil || !strings.Contains(err.Error(), "no key") {
				t.Fatalf("a forged token: expected an error about no key, seen %v", err)
			}
		}
		if op.fetches != 1+looks {
			t.Errorf("%d fetches at once", op.fetches)
		}
		before := op.fetches
		for range 60 {
			_ = verifies(t, s, forged)
			time.Sleep(time.Second)
		}
		if looked := op.fetches - before; looked > 6 || looked < 5 {
			t.Errorf("expected five or six fetches in a minute, seen %d", looked)
		}
		time.Sleep(5 * time.Minute)
		before = op.fetches
		for range 100 {
			_ = verifies(t, s, forged)
		}
		if looked := op.fetches - before; looked > looks {
			t.Errorf("%d fetches at once after a pause", looked)
		}
		if err := verifies(t, s, signed(t, "p256", "p256", jose.ES256)); err != nil {
			t.Errorf("a true token meanwhile: %v", err)
		}
	})
}

func TestAProviderThatIsDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		down := errors.New("connection refused")
		op := &jwks{err: down}
		s := newKeySet(op.fetch, time.Now)
		token := signed(t, "p256", "p256", jose.ES256)
		var unavailable *UnavailableError
		for range 50 {
			err := verifies(t, s, token)
			if !errors.As(err, &unavailable) {
				t.Fatalf("expected an UnavailableError, seen %v", err)
			}
			if !errors.Is(err, down) {
				t.Fatalf("expected %v as its cause, seen %v", down, err)
			}
		}
		if op.fetches != 1 {
			t.Errorf("%d fetches in one moment", op.fetches)
		}
		op.set(keySetOf(member(t, "p256", "")), nil)
		time.Sleep(firstPause)
		if err := verifies(t, s, token); err != nil {
			t.Fatalf("after it came back: %v", err)
		}
		for _, answer := range []struct {
			document []byte
			err      error
		}{{nil, down}, {[]byte("<html>"), nil}, {keySetOf(), nil}, {keySetOf(secp256k1), nil}} {
			op.set(answer.document, answer.err)
			for range 10 {
				time.Sleep(10 * time.Minute)
				if err := verifies(t, s, token); err != nil {
					t.Fatalf("the keys of before do not serve during an outage (%q, %v): %v", answer.document, answer.err, err)
				}
			}
		}
	})
}

func TestAllWhoAskShareOneFetch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		op := &jwks{document: keySetOf(member(t, "p256", "")), latency: time.Second}
		s := newKeySet(op.fetch, time.Now)
		first, gone := context.WithCancel(t.Context())
		token := signed(t, "p256", "p256", jose.ES256)
		var wg sync.WaitGroup
		wg.Go(func() {
			var unavailable *UnavailableError
			if _, err := s.verify(first, token); !errors.As(err, &unavailable) {
				t.Errorf("a caller that has gone: %v", err)
			}
		})
		synctest.Wait()
		for range 100 {
			wg.Go(func() {
				if err := verifies(t, s, token); err != nil {
					t.Error(err)
				}
			})
		}
		gone() // must not cancel the fetch for the others
		wg.Wait()
		if op.fetches != 1 {
			t.Errorf("%d fetches", op.fetches)
		}
	})
}

func TestSignaturesOfOtherKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		op := &jwks{document: keySetOf(member(t, "p256", ""), member(t, "rsa", `"alg":"RS256"`))}
		s := newKeySet(op.fetch, time.Now)
		for _, tc := range []struct {
			name string
			jws  *jose.JSONWebSignature
			ok   bool
		}{
			{"the key that is named", signed(t, "p256", "p256", jose.ES256), true},
			{"no kid", signed(t, "p256", "", jose.ES256), true},
			{"the alg of the key", signed(t, "rsa", "rsa", jose.RS256), true},
			{"another key under the same kid", signed(t, "p256-b", "p256", jose.ES256), false},
			{"another key without a kid", signed(t, "p256-b", "", jose.ES256), false},
			{"another alg than the key's own", signed(t, "rsa", "rsa", jose.PS256), false},
			{"a kid of another type", signed(t, "p256", "rsa", jose.ES256), false},
		} {
			if err := verifies(t, s, tc.jws); (err == nil) != tc.ok {
				t.Errorf("%s: %v", tc.name, err)
			}
		}
	})
}

func TestKeysOfADocumentNeverChange(t *testing.T) {
	t.Parallel()
	s := newStaticKeySet(keySetOf(member(t, "p256", "")))
	if err := verifies(t, s, signed(t, "p256", "p256", jose.ES256)); err != nil {
		t.Error(err)
	}
	if err := verifies(t, s, signed(t, "p384", "p384", jose.ES384)); err == nil {
		t.Error("another key verifies")
	}
	var unavailable *UnavailableError
	if err := verifies(t, newStaticKeySet([]byte("{}")), signed(t, "p256", "p256", jose.ES256)); !errors.As(err, &unavailable) {
		t.Errorf("a document without keys: %v", err)
	}
}

func TestErrorsOfKeysAreShort(t *testing.T) {
	t.Parallel()
	s := newStaticKeySet(keySetOf(member(t, "p256", "")))
	err := verifies(t, s, signed(t, "p384", strings.Repeat("kid\n", 1000), jose.ES384))
	if err == nil {
		t.Fatal("expected an error, seen none")
	}
	if len(err.Error()) > 300 {
		t.Errorf("expected an error of 300 bytes at most, seen %d", len(err.Error()))
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("expected an error of one line, seen %q", err)
	}
}
