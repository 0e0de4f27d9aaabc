package dpop

import (
	"net/http"
	"strings"
	"sync"
)

// NonceHeader is the response header with the nonce for the next proof.
const NonceHeader = "DPoP-Nonce"

// UseNonce is the error code for a proof without the nonce that a server requires
// (RFC 9449, sections 8 and 9).
const UseNonce = "use_dpop_nonce"

const (
	// maxNonce is the maximum length in bytes of a nonce, which each proof repeats.
	maxNonce = 1024
	// maxEndpoints is how many endpoints nonces are kept for. A provider has three
	// that require proofs, and its metadata may change.
	maxEndpoints = 16
)

// Nonces keeps the newest nonce of each endpoint. It is safe for concurrent use.
type Nonces struct {
	mu     sync.Mutex
	newest map[string]string
}

// For returns the nonce for the next proof at an endpoint; "" for none.
func (n *Nonces) For(endpoint string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.newest[endpoint]
}

// Learn stores the nonce of a response with any status and returns it. It returns the
// empty string if the response has none.
func (n *Nonces) Learn(endpoint string, header http.Header) (nonce string) {
	nonce = ReadNonce(header)
	if nonce == "" {
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, known := n.newest[endpoint]; !known && len(n.newest) >= maxEndpoints {
		clear(n.newest) // each endpoint then costs one more request
	}
	if n.newest == nil {
		n.newest = make(map[string]string)
	}
	n.newest[endpoint] = nonce
	return nonce
}

// ReadNonce returns the nonce of a response; empty if there is none, there are
// several, or it has characters that no nonce has (RFC 9449 8.1).
func ReadNonce(header http.Header) string {
	values := header.Values(NonceHeader)
	if len(values) != 1 || len(values[0]) > maxNonce || strings.ContainsFunc(values[0], isForeign) {
		return ""
	}
	return values[0]
}

// isForeign reports whether a character is not allowed in nonces, which consist of
// NQCHAR (RFC 6749, appendix A).
func isForeign(c rune) bool { return c < '!' || c > '~' || c == '"' || c == '\\' }
