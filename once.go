package oidcrp

import "sync"

// maxTold bounds what is remembered of the warnings of a configuration. Names of
// claims and scopes come from the configuration, so this is never reached by
// what strangers send.
const maxTold = 1000

// toldOnce remembers which warnings a configuration has had.
type toldOnce struct {
	mu   sync.Mutex
	told map[[3]string]bool
}

// first reports whether a warning is due: of a kind, about a provider and one of
// its claims or scopes.
func (o *toldOnce) first(kind, provider, name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := [3]string{kind, provider, name}
	if o.told[key] || len(o.told) >= maxTold {
		return false
	}
	if o.told == nil {
		o.told = make(map[[3]string]bool)
	}
	o.told[key] = true
	return true
}
