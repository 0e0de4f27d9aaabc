package oidctest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// proofAlgs are the algorithms for proofs in the metadata.
var proofAlgs = []string{"ES256", "EdDSA"}

// DPoPLies are lies about DPoP, that is, about tokens that are bound to a key
// (RFC 9449).
type DPoPLies struct {
	// Bearer issues bearer tokens for requests with a proof.
	Bearer bool
	// BearerAccess issues bearer access tokens, and binds only the refresh token
	// (RFC 9449, section 5).
	BearerAccess bool
	// Unsatisfied refuses every proof at an endpoint with use_dpop_nonce, even one
	// with the newest nonce.
	Unsatisfied [endpoints]bool
	// Refused refuses every proof at an endpoint with invalid_dpop_proof.
	Refused [endpoints]bool
	// Nonce edits the header DPoP-Nonce, and Challenge the header WWW-Authenticate of a
	// refusal at the userinfo endpoint.
	Nonce     func(nonce string) string
	Challenge func(challenge string) string
}

// proofClaims are the claims of a proof (RFC 9449, section 4.2).
type proofClaims struct {
	ID     string `json:"jti"`
	Method string `json:"htm"`
	URL    string `json:"htu"`
	Issued int64  `json:"iat"`
	Hash   string `json:"ath"`
	Nonce  string `json:"nonce"`
}

// prove checks the proof of a request (RFC 9449, section 4.3). It returns the
// thumbprint of the key, or "" if there is no proof, and a response if the request must
// be refused. Wrong members are violations, but a missing or old nonce is not.
func (p *Provider) prove(req Request, lies *Faults, access string) (jkt string, refusal *answer) {
	proofs := req.Header.Values("DPoP")
	if len(proofs) == 0 {
		if p.conf.dpopRequired {
			p.violate("DP", "no proof at the %s endpoint", req.Endpoint)
			return "", p.refuseProof(req, lies, "invalid_dpop_proof")
		}
		return "", nil
	}
	if !p.conf.dpop {
		p.violate("DP", "a proof at the %s endpoint, where none was offered", req.Endpoint)
		return "", nil
	}
	p.secret(proofs...)
	jkt, claims, problem := readProof(proofs)
	if problem == "" {
		problem = p.checkProof(req, claims, access)
	}
	if problem != "" {
		p.violate("DP", "the proof at the %s endpoint: %s", req.Endpoint, problem)
		return "", p.refuseProof(req, lies, "invalid_dpop_proof")
	}
	if lies.DPoP.Refused[req.Endpoint] {
		return "", p.refuseProof(req, lies, "invalid_dpop_proof")
	}
	if !p.checkNonce(req, claims.Nonce) || lies.DPoP.Unsatisfied[req.Endpoint] {
		return "", p.refuseProof(req, lies, "use_dpop_nonce")
	}
	return jkt, nil
}

// readProof parses a proof and verifies it with the key in its header.
func readProof(proofs []string) (jkt string, claims proofClaims, problem string) {
	if len(proofs) != 1 {
		return "", claims, "it appears more than once"
	}
	signed, err := jose.ParseSignedCompact(proofs[0], []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA})
	if err != nil {
		return "", claims, "no JWS: " + err.Error()
	}
	header := signed.Signatures[0].Protected
	if typ := header.ExtraHeaders[jose.HeaderType]; typ != "dpop+jwt" {
		return "", claims, "typ is not dpop+jwt"
	}
	if header.JSONWebKey == nil || !header.JSONWebKey.IsPublic() || !header.JSONWebKey.Valid() {
		return "", claims, "jwk is no public key"
	}
	payload, err := signed.Verify(header.JSONWebKey)
	if err != nil {
		return "", claims, "the signature is wrong"
	}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&claims); err != nil {
		return "", claims, err.Error()
	}
	thumbprint, err := header.JSONWebKey.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", claims, err.Error()
	}
	return b64(thumbprint), claims, ""
}

// checkProof checks the claims of a proof. It returns what is wrong, or "".
func (p *Provider) checkProof(req Request, claims proofClaims, access string) (problem string) {
	target, _, _ := strings.Cut(p.urls[req.Endpoint], "?")
	hash := ""
	if access != "" {
		sum := sha256.Sum256([]byte(access))
		hash = b64(sum[:])
	}
	age := p.Now().Unix() - claims.Issued
	switch {
	case claims.Method != req.Method:
		return "htm is " + claims.Method
	case claims.URL != target:
		return "htu is " + claims.URL
	case age < -60 || age > 60:
		return "iat is not now"
	case len(claims.ID) < 16 || !p.fresh("proof", claims.ID, ""):
		return "jti is short, or came before"
	case claims.Hash != hash:
		return "ath is not that of the access token"
	case claims.Nonce != "" && !p.gaveNonce(claims.Nonce):
		return "nonce was never given"
	}
	return ""
}

func (p *Provider) gaveNonce(nonce string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nonces.given[nonce]
}

// nonces are the nonces that proofs have to contain. Provider.mu guards them.
type nonces struct {
	newest [endpoints]string
	given  map[string]bool
}

// checkNonce reports whether a proof has the newest nonce of its endpoint, or none is
// required. Each nonce is valid only once.
func (p *Provider) checkNonce(req Request, nonce string) bool {
	if !p.conf.dpopNonces {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	newest := p.nonces.newest[req.Endpoint]
	p.nonces.newest[req.Endpoint] = ""
	return newest != "" && nonce == newest
}

// ForgetNonces invalidates all nonces that the provider has issued.
func (p *Provider) ForgetNonces() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nonces.newest = [endpoints]string{}
}

// giveNonce adds a new nonce to an answer with any status, if nonces are
// required.
func (p *Provider) giveNonce(e Endpoint, lies *Faults, a answer) answer {
	if !p.conf.dpopNonces {
		return a
	}
	nonce := "n-" + rand.Text() + "_~.!"
	p.mu.Lock()
	p.nonces.newest[e] = nonce
	p.nonces.given[nonce] = true
	p.mu.Unlock()
	if lies.DPoP.Nonce != nil {
		nonce = lies.DPoP.Nonce(nonce)
	}
	if nonce != "" {
		a.header.Set("DPoP-Nonce", nonce)
	}
	return a
}

// refuseProof returns the response to a proof that is not accepted (RFC 9449, sections
// 5 and 8; at the userinfo endpoint, sections 7.1 and 9).
func (p *Provider) refuseProof(req Request, lies *Faults, code string) *answer {
	if req.Endpoint != UserInfo {
		a := refuse(http.StatusBadRequest, code, "the proof does not count")
		return &a
	}
	a := page(http.StatusUnauthorized, "unauthorized")
	challenge := `DPoP realm="a, b", algs="` + strings.Join(proofAlgs, " ") + `", error="` + code + `", error_description="the proof does not count"`
	if lies.DPoP.Challenge != nil {
		challenge = lies.DPoP.Challenge(challenge)
	}
	a.header.Set("WWW-Authenticate", challenge)
	return &a
}

// bind binds a grant to a key. It must be the key that the authorization request
// named, and that of all earlier proofs. bind returns what is wrong, or "".
func (p *Provider) bind(g *grant, jkt string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case g.jkt != "" && jkt != g.jkt:
		return "the key is not that of dpop_jkt, or of the proofs before"
	case g.jkt == "" && p.conf.dpopRequired:
		return "the authorization request had no dpop_jkt"
	}
	g.jkt = jkt
	return ""
}

// proveToken checks a userinfo request whose access token is bound to a key, or is
// sent as if it were. It returns a refusal, or nil.
func (p *Provider) proveToken(req Request, lies *Faults, token, bound string, isDPoP bool) *answer {
	if isDPoP != (bound != "") {
		p.violate("DP", "a token is sent as bound %t, and is bound %t", isDPoP, bound != "")
		return p.refuseProof(req, lies, "invalid_token")
	}
	jkt, refusal := p.prove(req, lies, token)
	if refusal != nil {
		return refusal
	}
	if jkt != bound {
		p.violate("DP", "the proof at userinfo is not by the key of the token")
		return p.refuseProof(req, lies, "invalid_token")
	}
	return nil
}
