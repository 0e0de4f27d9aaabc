package cookiescope

import (
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
)

// Names are the names of the session cookies of all instances of a configuration,
// without prefix.
type Names struct{ names []string }

// Add adds a name. It reports whether the name is new.
func (n *Names) Add(name string) bool {
	if n.Has(name) {
		return false
	}
	n.names = append(n.names, name)
	return true
}

// Has reports whether an instance has a session cookie of a name.
func (n *Names) Has(name string) bool { return slices.Contains(n.names, name) }

// Conflict returns a name and the one beside it that uses it for its logins, if a
// cookie of the given name would be one of the two; otherwise "".
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

// isForLogins reports whether an instance whose session cookie is base has a
// cookie of a name for its logins.
func isForLogins(name, base string) bool {
	rest, ok := strings.CutPrefix(name, base+"_")
	return ok && isOwnSuffix(rest)
}

// Ours reports whether a cookie's name is one that an instance of the
// configuration uses, here or on plain HTTP, so that no application sees it.
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

// isOwnSuffix reports whether a cookie of ours other than the session's has a
// name that ends like this after its instance's name and an underscore.
func isOwnSuffix(rest string) bool {
	return rest == "hint" || rest == "again" || rest == "mark" || rest == "tried" || rest == "choice" || rest == "last" || strings.HasPrefix(rest, "tx_")
}

// ChunkIndex returns which chunk of a session cookie has a name, or zero if none
// has.
func ChunkIndex(sessionCookie, name string) int {
	rest, ok := strings.CutPrefix(name, sessionCookie+"_")
	if ok && len(rest) == 1 && rest[0] >= '1' && int(rest[0]-'0') < cookie.MaxChunks {
		return int(rest[0] - '0')
	}
	return 0
}
