package op

import "fmt"

// TokenReason is why an access token was refused. It occurs in audit and log lines.
type TokenReason string

// The reasons.
const (
	ReasonMalformed        TokenReason = "malformed"          // it cannot be read
	ReasonEncrypted        TokenReason = "encrypted"          // it is encrypted
	ReasonCritical         TokenReason = "critical_header"    // its header changes how it is read
	ReasonAlgorithm        TokenReason = "algorithm"          // its signature is of a kind that is not accepted
	ReasonType             TokenReason = "type"               // its typ is not that of access tokens
	ReasonKind             TokenReason = "kind"               // its claims are those of another kind of token
	ReasonBound            TokenReason = "sender_constrained" // it is bound to a key of its client
	ReasonIssuer           TokenReason = "issuer"             // its issuer is another one
	ReasonTenant           TokenReason = "tenant"             // its tenant is not accepted
	ReasonAudience         TokenReason = "audience"           // it is for another resource
	ReasonAudienceIsClient TokenReason = "audience_is_client" // it may be an ID token
	ReasonNoExpiry         TokenReason = "no_expiry"          // it never expires
	ReasonExpired          TokenReason = "expired"            // it has expired
	ReasonNotYet           TokenReason = "not_yet"            // it is not valid yet, or of the future
	ReasonTimes            TokenReason = "times"              // a time is no number
	ReasonSubject          TokenReason = "subject"            // its subject is missing, malformed or ambiguous
	ReasonScope            TokenReason = "scope"              // its scopes cannot be read
	ReasonSignature        TokenReason = "signature"          // no key of the issuer made its signature
	ReasonInactive         TokenReason = "inactive"           // introspection: the provider does not know it, or it has ended
	ReasonTokenType        TokenReason = "token_type"         // introspection: it is no bearer token
	ReasonName             TokenReason = "name"               // no claim names the user
	ReasonRevoked          TokenReason = "revoked"            // the user, or their session at the provider, was signed out since
)

// TokenError means that an access token was refused. It repeats only short claims
// of the token that are not secret.
type TokenError struct {
	Reason TokenReason
	Err    error
}

func (e *TokenError) Error() string {
	return fmt.Sprintf("the access token is refused (%s): %v", e.Reason, e.Err)
}

// Unwrap returns Err.
func (e *TokenError) Unwrap() error { return e.Err }

func refused(reason TokenReason, err error) error { return &TokenError{reason, err} }

func refusedf(reason TokenReason, format string, args ...any) error {
	return refused(reason, fmt.Errorf(format, args...))
}
