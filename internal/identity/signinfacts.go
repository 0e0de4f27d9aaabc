package identity

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file handles the facts of a sign-in: how, when and in which tenant the user
// authenticated, by the ID token of the login alone, and which scopes were granted.
// A refreshed ID token can only reduce them: facts that it does not repeat are
// removed.

// Names of the entries of a session's claims that hold facts of the sign-in. No
// claim has such a name. auth_time and acr are fields of the session.
const (
	// tenantEntry is present if the provider has several tenants, or if it is
	// needed.
	tenantEntry = "\x01tenant"
	acrsEntry   = "\x01acrs"  // Entra ID's: further values of acr
	amrEntry    = "\x01amr"   // the methods of authentication
	scopeEntry  = "\x01scope" // the granted scopes
	askedEntry  = "\x01asked" // the mark of the login's demands
)

// factEntries are the entries that a session keeps when its claims change.
var factEntries = []string{tenantEntry, acrsEntry, amrEntry, scopeEntry, askedEntry}

// ACR returns the authentication context classes of the sign-in: acr, and Entra
// ID's acrs.
func (u User) ACR() []string {
	if !u.SignedIn() {
		return nil
	}
	values := u.fact(acrsEntry)
	if acr := u.Session.ACR; acr != "" {
		return append([]string{acr}, values...)
	}
	return values
}

// ACRs returns all authentication context classes of an ID token: acr, and Entra ID's
// acrs.
func ACRs(idToken op.Claims) []string {
	if _, acr := op.AuthOf(idToken); acr != "" {
		return append([]string{acr}, listOf(idToken["acrs"])...)
	}
	return listOf(idToken["acrs"])
}

// AMR returns the methods by which the user was authenticated.
func (u User) AMR() []string { return u.fact(amrEntry) }

// Scopes returns the scopes that were granted.
func (u User) Scopes() []string { return u.fact(scopeEntry) }

// AuthTime returns when the user was authenticated; zero if the ID token does not
// say.
func (u User) AuthTime() time.Time {
	if !u.SignedIn() {
		return time.Time{}
	}
	return u.Session.AuthTime
}

// Asked returns the mark of what the session's login demanded of the sign-in; "" if
// it demanded nothing.
func (u User) Asked() string {
	if !u.SignedIn() {
		return ""
	}
	value, _ := u.Session.Claims.Get(askedEntry)
	return value.Plain()
}

// Tenant returns the tid of the ID token; "" if it has none.
func (u User) Tenant() string {
	if !u.SignedIn() {
		return ""
	}
	value, _ := u.Session.Claims.Get(tenantEntry)
	return value.Plain()
}

// LostTenant reports whether the tenant is unknown because a later ID token did not
// repeat it.
func (u User) LostTenant() bool {
	if !u.SignedIn() {
		return false
	}
	_, ok := u.Session.Claims.Get(tenantEntry)
	return ok && u.Tenant() == ""
}

// fact returns the values of a fact of the session.
func (u User) fact(entry string) []string {
	if !u.SignedIn() {
		return nil
	}
	value, ok := u.Session.Claims.Get(entry)
	if !ok {
		return nil
	}
	list, _ := value.List()
	return list
}

// putFacts adds the needed facts of a login to the claims of its session.
func (m *Mapping) putFacts(n *Needs, kept map[string]json.RawMessage, in *SignIn) {
	idToken := in.Sources.IDToken
	putText(kept, tenantEntry, m.tenantOf(idToken))
	if n.Tenant && m.Tenants == "" {
		putText(kept, tenantEntry, textOf(idToken["tid"]))
	}
	putText(kept, askedEntry, in.Asked)
	if n.ACR {
		putList(kept, acrsEntry, listOf(idToken["acrs"]))
	}
	if n.AMR {
		putList(kept, amrEntry, listOf(idToken["amr"]))
	}
	scopes := in.Scopes
	if in.Tokens.ScopeSaid {
		scopes = strings.Fields(in.Tokens.Scope)
	}
	if n.Scopes {
		putList(kept, scopeEntry, scopes)
	}
	if n.Sources {
		KeptSources{IDToken: idToken, Userinfo: in.Sources.Userinfo, Lost: in.Sources.Lost, Scopes: scopes}.put(kept)
	}
}

// copyFacts adds the facts of a session to its new claims.
func copyFacts(kept map[string]json.RawMessage, s *session.Session) {
	for _, entry := range factEntries {
		if value, ok := s.Claims.Get(entry); ok {
			kept[entry] = value.JSON()
		}
	}
}

// reduceFacts removes from a session the facts that a new ID token does not repeat,
// and updates the granted scopes. A later auth_time is adopted, and any if the
// login's time replaces it. idToken is nil if there is no new one.
func reduceFacts(s *session.Session, tokens op.Tokens, idToken op.Claims) {
	facts := make(map[string]json.RawMessage)
	copyFacts(facts, s)
	if len(facts) > 0 {
		defer func() { s.Claims = withEntries(s.Claims, factEntries, facts) }()
	}
	if facts[scopeEntry] != nil && tokens.ScopeSaid {
		putList(facts, scopeEntry, strings.Fields(tokens.Scope))
	}
	if idToken != nil {
		defer reduceSources(s, idToken)
		authTime, acr := op.AuthOf(idToken)
		if isAssumed := s.Grant.RefreshToken != "" && s.Grant.AuthTime == 0; authTime.After(s.AuthTime) || isAssumed && !authTime.IsZero() {
			s.AuthTime = authTime
		}
		values := append(listOf(idToken["acrs"]), acr)
		if !slices.Contains(values, s.ACR) {
			s.ACR = ""
		}
		reduce(facts, acrsEntry, values)
		reduce(facts, amrEntry, listOf(idToken["amr"]))
		if tenant, ok := facts[tenantEntry]; ok && textOf(tenant) != textOf(idToken["tid"]) {
			facts[tenantEntry] = json.RawMessage("null") // unknown, as opposed to absent
		}
	}
}

// reduce removes the values of a fact that are not among the new ones.
func reduce(facts map[string]json.RawMessage, entry string, values []string) {
	if raw, ok := facts[entry]; ok {
		putList(facts, entry, slices.DeleteFunc(listOf(raw), func(value string) bool { return !slices.Contains(values, value) }))
	}
}

// withEntries returns a session's claims with the given values of entries. If
// nothing changes, it returns the same set.
func withEntries(set claims.Set, entries []string, values map[string]json.RawMessage) claims.Set {
	all := make(map[string]json.RawMessage)
	set.Each(func(name string, value claims.Value) bool {
		all[name] = value.JSON()
		return true
	})
	for _, entry := range entries {
		delete(all, entry)
		if raw, ok := values[entry]; ok {
			all[entry] = raw
		}
	}
	changed, err := claims.Encode(all)
	if err != nil {
		return set // it has been encoded before
	}
	return changed
}

// putText sets a fact that is a string, if it is not empty.
func putText(facts map[string]json.RawMessage, entry, text string) {
	if text != "" {
		facts[entry], _ = json.Marshal(text)
	}
}

// putList sets a fact that is a list, or removes it if the list is empty.
func putList(facts map[string]json.RawMessage, entry string, list []string) {
	delete(facts, entry)
	if len(list) > 0 {
		facts[entry], _ = json.Marshal(list)
	}
}

// textOf returns a claim that is a string; "" for others.
func textOf(raw json.RawMessage) (text string) {
	if json.Unmarshal(raw, &text) != nil {
		return ""
	}
	return text
}

// listOf returns a claim that is a list of strings, or one string; nil for others.
func listOf(raw json.RawMessage) []string {
	value, err := claims.FromJSON(raw)
	if err != nil {
		return nil
	}
	list, _ := value.List()
	return list
}
