package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

// TransactionLifetime is how long a login may take.
const TransactionLifetime = 15 * time.Minute

// StateHash is the hash of a state parameter. It is part of the name of the
// transaction's cookie, and identifies the login that created a session.
type StateHash [8]byte

// HashState returns the hash of a state parameter.
func HashState(state string) (h StateHash) {
	sum := sha256.Sum256([]byte(state))
	copy(h[:], sum[:])
	return h
}

// CookieSuffix returns the hash as the suffix of a cookie's name, of 8 characters.
func (h StateHash) CookieSuffix() string {
	return base64.RawURLEncoding.EncodeToString(h[:6])
}

// Transaction is a login in progress. Its secrets are random (RFC 9700, section
// 4.7.1): 128 bits of state and of nonce, and 256 bits of PKCE verifier (RFC 7636,
// section 4.1).
type Transaction struct {
	State    string
	Nonce    string
	Verifier string

	Binding     Binding
	Provider    string
	RedirectURI string // repeated in the token request
	Return      string // where the login returns to, already checked; empty for the home page
	Began       time.Time

	// Demands are what the login has to prove, as encoded by op.Demands; empty in
	// transactions of earlier releases.
	Demands string
	// Requested are the claims and tokens that the login requests.
	Requested Names
	// Silent is the subject of the session that a login with prompt=none renews;
	// empty for an ordinary login.
	Silent string
	// Attempt reports whether the user did not ask for the login. Whatever its
	// result, the browser returns to the page.
	Attempt bool
	// Popup reports whether the login runs in a window of its own, which closes at
	// its end.
	Popup bool
	// Fragment is the key under which the browser keeps the fragment of the return
	// address; empty if it keeps none.
	Fragment string
	// Language is the language of the login's pages; empty if the browser decides.
	Language string
	// TokenKey is the private key that the tokens are to be bound to (DPoP, RFC
	// 9449); empty for bearer tokens.
	TokenKey string

	// Answer is the form-encoded authorization response that the provider's POST
	// brought, for the GET that follows; empty before that.
	Answer string
}

// stateLength is the number of random bytes in a state.
const stateLength = 16

// NewTransaction returns a transaction with fresh secrets.
func NewTransaction() Transaction {
	var secrets [64]byte
	rand.Read(secrets[:])
	encode := base64.RawURLEncoding.EncodeToString
	return Transaction{State: encode(secrets[:stateLength]), Nonce: encode(secrets[stateLength:32]), Verifier: encode(secrets[32:])}
}

// popupMark follows the random bytes of a state for a login with a window of its
// own.
const popupMark = 'p'

// MarkPopup makes the login run in a window of its own. It also marks the state,
// for browsers that have lost the transaction. The mark only selects the page that
// shows the error, and any login link can do that as well.
func (t *Transaction) MarkPopup() {
	t.Popup = true
	if raw, err := base64.RawURLEncoding.DecodeString(t.State); err == nil {
		t.State = base64.RawURLEncoding.EncodeToString(append(raw, popupMark))
	}
}

// IsOfPopup reports whether MarkPopup has marked the state.
func IsOfPopup(state string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(state)
	return err == nil && len(raw) == stateLength+1 && raw[stateLength] == popupMark
}

// Versions of the format. Version 2 has tagged fields before the answer; unknown
// tags are skipped. A transaction that needs none is written in version 1.
const (
	transactionVersion       = 1
	transactionTaggedVersion = 2
)

// Tags of fields in version 2. Never reuse a number for another field.
const (
	tagTransactionEnd       = 0
	tagTransactionDemands   = 1
	tagTransactionRequested = 2
	tagTransactionSilent    = 3
	tagTransactionReturn    = 4 // compressed, instead of the plain one
	tagTransactionFlags     = 5 // one byte
	tagTransactionFragment  = 6
	tagTransactionLanguage  = 7
	tagTransactionTokenKey  = 8
)

// Flags of a transaction.
const (
	flagAttempt = 1 << iota
	flagPopup
)

// flags returns the encoded flags, or "" if none is set.
func (t *Transaction) flags() string {
	var flags byte
	if t.Attempt {
		flags |= flagAttempt
	}
	if t.Popup {
		flags |= flagPopup
	}
	if flags == 0 {
		return ""
	}
	return string([]byte{flags})
}

// Encode returns the encoded transaction.
func (t *Transaction) Encode() []byte {
	w := wire.Writer{B: make([]byte, 0, 180+len(t.Provider)+len(t.RedirectURI)+len(t.Return)+len(t.Demands)+len(t.Requested)+len(t.Silent))}
	plain, packed := t.Return, ""
	if len(plain) > plainReturn {
		if short := packReturn(plain); len(short) < len(plain) {
			plain, packed = "", short
		}
	}
	version := byte(transactionVersion)
	if t.Demands != "" || t.Requested != "" || t.Silent != "" || packed != "" || t.flags() != "" || t.Fragment != "" || t.Language != "" || t.TokenKey != "" {
		version = transactionTaggedVersion
	}
	w.Byte(version)
	w.Raw(t.Binding[:])
	w.Seconds(t.Began)
	for _, secret := range []string{t.State, t.Nonce, t.Verifier} {
		raw, err := base64.RawURLEncoding.DecodeString(secret)
		if err != nil {
			raw = nil // not made by NewTransaction; Decode will refuse it
		}
		w.Text(string(raw))
	}
	w.Text(t.Provider)
	w.Text(t.RedirectURI)
	w.Text(plain)
	if version == transactionTaggedVersion {
		w.Tagged(tagTransactionDemands, t.Demands)
		w.Tagged(tagTransactionRequested, string(t.Requested))
		w.Tagged(tagTransactionSilent, t.Silent)
		w.Tagged(tagTransactionReturn, packed)
		w.Tagged(tagTransactionFlags, t.flags())
		w.Tagged(tagTransactionFragment, t.Fragment)
		w.Tagged(tagTransactionLanguage, t.Language)
		w.Tagged(tagTransactionTokenKey, t.TokenKey)
		w.Byte(tagTransactionEnd)
	}
	if t.Answer != "" {
		w.Text(t.Answer)
	}
	return w.B
}

// Decode decodes what Encode returned. The only error is ErrNone.
func (t *Transaction) Decode(encoded []byte) error {
	r := wire.Reader{S: string(encoded)}
	version := r.Byte()
	if version != transactionVersion && version != transactionTaggedVersion {
		return ErrNone
	}
	copy(t.Binding[:], r.Raw(len(t.Binding)))
	t.Began = r.Seconds()
	for _, secret := range []*string{&t.State, &t.Nonce, &t.Verifier} {
		*secret = base64.RawURLEncoding.EncodeToString([]byte(r.Text()))
	}
	t.Provider = r.Text()
	t.RedirectURI = r.Text()
	t.Return = r.Text()
	t.Demands, t.Requested, t.Silent = "", "", ""
	t.Attempt, t.Popup, t.Fragment, t.Language, t.TokenKey = false, false, "", "", ""
	if version == transactionTaggedVersion {
		t.decodeTagged(&r)
	}
	t.Answer = ""
	if r.S != "" {
		t.Answer = r.Text()
		r.Bad = r.Bad || t.Answer == ""
	}
	if r.Bad || r.S != "" || t.State == "" || t.Nonce == "" || t.Verifier == "" {
		return ErrNone
	}
	return nil
}

// decodeTagged reads the tagged fields, and skips unknown ones.
func (t *Transaction) decodeTagged(r *wire.Reader) {
	for tag := r.Byte(); tag != tagTransactionEnd && !r.Bad; tag = r.Byte() {
		value := r.Text()
		switch tag {
		case tagTransactionDemands:
			t.Demands = value
		case tagTransactionRequested:
			t.Requested = Names(value)
		case tagTransactionSilent:
			t.Silent = value
		case tagTransactionReturn:
			location, ok := unpackReturn(value)
			t.Return, r.Bad = location, r.Bad || !ok
		case tagTransactionFlags:
			r.Bad = r.Bad || len(value) != 1
			t.Attempt = !r.Bad && value[0]&flagAttempt != 0
			t.Popup = !r.Bad && value[0]&flagPopup != 0
		case tagTransactionFragment:
			t.Fragment = value
		case tagTransactionLanguage:
			t.Language = value
		case tagTransactionTokenKey:
			t.TokenKey = value
		}
	}
}

// Over reports whether the login took longer than TransactionLifetime, or began
// further in the future than clocks may differ.
func (t *Transaction) Over(now time.Time) bool {
	age := now.Sub(t.Began)
	return age >= TransactionLifetime || age < -time.Minute
}
