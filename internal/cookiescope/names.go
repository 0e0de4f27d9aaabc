package cookiescope

import (
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
)

// Names is the set of session cookie names of all instances of a configuration,
// without prefixes.
type Names struct{ names []string }

// Add adds a name, and reports whether it is new.
func (n *Names) Add(name string) bool {
	if n.Has(name) {
		return false
	}
	n.names = append(n.names, name)
	return true
}

// Has reports whether an instance has a session cookie of the given name.
func (n *Names) Has(name string) bool { return slices.Contains(n.names, name) }

// Conflict returns two names of which the first is a name that the second uses for
// its other cookies, if adding the given name would cause such a conflict;
// otherwise "".
func (n *Names) Conflict(name string) (taken, by string) {
	for _, other := range n.names {
		switch {
		case isForLogins(name, other):
			return name, other
		case isForLogins(other, name):
			return other, name
		}
	}
	return "", ""
}

// isForLogins reports whether an instance with the session cookie base uses name
// for another cookie.
func isForLogins(name, base string) bool {
	rest, ok := strings.CutPrefix(name, base+"_")
	return ok && isOwnSuffix(rest)
}

// Ours reports whether an instance of the configuration uses a cookie of this name,
// with any prefix. Such cookies do not reach applications.
func (n *Names) Ours(name string) bool {
	for _, prefix := range [...]string{"__Host-", "__Secure-"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			name = rest
			break
		}
	}
	for _, own := range n.names {
		rest, ok := strings.CutPrefix(name, own)
		if !ok {
			continue
		}
		if rest == "" || rest[0] == '_' && (isOwnSuffix(rest[1:]) || len(rest) == 2 && rest[1] >= '1' && rest[1] <= '9') {
			return true
		}
	}
	return false
}

// isOwnSuffix reports whether rest is what follows the session cookie's name and an
// underscore in the name of one of our other cookies.
func isOwnSuffix(rest string) bool {
	return rest == "hint" || rest == "again" || rest == "mark" || rest == "tried" || rest == "choice" || rest == "last" || strings.HasPrefix(rest, "tx_")
}

// ChunkIndex returns the index of the chunk of a session cookie that has the given
// name, or zero.
func ChunkIndex(sessionCookie, name string) int {
	rest, ok := strings.CutPrefix(name, sessionCookie+"_")
	if ok && len(rest) == 1 && rest[0] >= '1' && int(rest[0]-'0') < cookie.MaxChunks {
		return int(rest[0] - '0')
	}
	return 0
}
