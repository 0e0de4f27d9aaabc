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

// StateHash is the hash of a state. It names the transaction's cookie, and a
// session remembers by it which login made it.
type StateHash [8]byte

// HashState returns the hash of a state parameter.
func HashState(state string) (h StateHash) {
	sum := sha256.Sum256([]byte(state))
	copy(h[:], sum[:])
	return h
}

// CookieSuffix returns the hash as the end of a cookie's name: 8 characters.
func (h StateHash) CookieSuffix() string {
	return base64.RawURLEncoding.EncodeToString(h[:6])
}

// Transaction is one login in flight. All its secrets are random (RFC 9700
// 4.7.1): 128 bits of state and of nonce, 256 of PKCE verifier (RFC 7636 4.1).
type Transaction struct {
	State    string
	Nonce    string
	Verifier string

	Binding     Binding
	Provider    string
	RedirectURI string // the token request repeats it byte for byte
	Return      string // checked; empty means home
	Began       time.Time

	// Demands are what the login has to prove, encoded by the provider package;
	// empty in transactions of earlier releases.
	Demands string
	// Requested are the names of what the login requests.
	Requested Names
	// Silent is the subject of the session that the login renews without asking
	// the user; empty for a usual login.
	Silent string
	// Attempt reports whether the login began without a user who asked for it:
	// whatever comes of it, the browser goes back to the page.
	Attempt bool
	// Popup reports whether the login has a window of its own, which ends with it.
	Popup bool
	// Fragment is what the browser keeps the fragment of the return address by;
	// empty if it keeps none.
	Fragment string
	// Language is the language of the login's pages; empty if the browser decides.
	Language string
	// TokenKey is the private key that the login's tokens are to be bound to (DPoP, RFC
	// 9449); empty if to none.
	TokenKey string

	// Answer is the authorization response, form-encoded, on its way from the
	// provider's POST to a GET of our own; empty before that.
	Answer string
}

// stateLength is how many bytes of a state are random.
const stateLength = 16

// NewTransaction returns a transaction with fresh secrets.
func NewTransaction() Transaction {
	var secrets [64]byte
	rand.Read(secrets[:])
	encode := base64.RawURLEncoding.EncodeToString
	return Transaction{State: encode(secrets[:stateLength]), Nonce: encode(secrets[stateLength:32]), Verifier: encode(secrets[32:])}
}

// popupMark follows the random bytes of a state.
const popupMark = 'p'

// MarkPopup has the login end in a window of its own. The state says so as well, for a
// browser that has lost the transaction. All that it decides is which page shows the
// error, and any login link can have that page.
func (t *Transaction) MarkPopup() {
	t.Popup = true
	if raw, err := base64.RawURLEncoding.DecodeString(t.State); err == nil {
		t.State = base64.RawURLEncoding.EncodeToString(append(raw, popupMark))
	}
}

// IsOfPopup reports whether a state says that its login has a window of its own.
func IsOfPopup(state string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(state)
	return err == nil && len(raw) == stateLength+1 && raw[stateLength] == popupMark
}

// Version 2 has tagged fields before the answer; unknown tags are skipped. A
// transaction without them is written in version 1.
const (
	transactionVersion       = 1
	transactionTaggedVersion = 2
)

// The tags of fields in version 2. Never reuse a number for another field.
const (
	tagTransactionEnd       = 0
	tagTransactionDemands   = 1
	tagTransactionRequested = 2
	tagTransactionSilent    = 3
	tagTransactionReturn    = 4 // compressed, instead of the plain one
	tagTransactionWay       = 5 // a byte of flags
	tagTransactionFragment  = 6
	tagTransactionLanguage  = 7
	tagTransactionTokenKey  = 8
)

// The flags of how a login goes.
const (
	wayAttempt = 1 << iota
	wayPopup
)

// way returns the flags, or nothing if there are none.
func (t *Transaction) way() string {
	var flags byte
	if t.Attempt {
		flags |= wayAttempt
	}
	if t.Popup {
		flags |= wayPopup
	}
	if flags == 0 {
		return ""
	}
	return string([]byte{flags})
}

// Encode returns the bytes of a transaction.
func (t *Transaction) Encode() []byte {
	w := wire.Writer{B: make([]byte, 0, 180+len(t.Provider)+len(t.RedirectURI)+len(t.Return)+len(t.Demands)+len(t.Requested)+len(t.Silent))}
	plain, packed := t.Return, ""
	if len(plain) > plainReturn {
		if short := packReturn(plain); len(short) < len(plain) {
			plain, packed = "", short
		}
	}
	version := byte(transactionVersion)
	if t.Demands != "" || t.Requested != "" || t.Silent != "" || packed != "" || t.way() != "" || t.Fragment != "" || t.Language != "" || t.TokenKey != "" {
		version = transactionTaggedVersion
	}
	w.Byte(version)
	w.Raw(t.Binding[:])
	w.Seconds(t.Began)
	for _, secret := range []string{t.State, t.Nonce, t.Verifier} {
		raw, err := base64.RawURLEncoding.DecodeString(secret)
		if err != nil {
			raw = nil // not one of ours; reads back as empty and matches nothing
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
		w.Tagged(tagTransactionWay, t.way())
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

// Decode reads what Encode returned. The only error is ErrNone.
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

// decodeTagged reads the tagged fields. It skips tags that it does not know.
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
		case tagTransactionWay:
			r.Bad = r.Bad || len(value) != 1
			t.Attempt = !r.Bad && value[0]&wayAttempt != 0
			t.Popup = !r.Bad && value[0]&wayPopup != 0
		case tagTransactionFragment:
			t.Fragment = value
		case tagTransactionLanguage:
			t.Language = value
		case tagTransactionTokenKey:
			t.TokenKey = value
		}
	}
}

// Over reports whether the login took too long, or began in the future by more
// than clocks may differ.
func (t *Transaction) Over(now time.Time) bool {
	age := now.Sub(t.Began)
	return age >= TransactionLifetime || age < -time.Minute
}
