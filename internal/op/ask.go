package op

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file adds the demands of a login to its authorization request, merged with
// the fixed parameters such that neither weakens the other.

// DemandsOf returns the demands of a login that has to satisfy proof in addition to
// the fixed parameters. With loginIsAuthTime, the login asks the user to
// authenticate again if the time matters.
func (c *Client) DemandsOf(proof Proof, loginIsAuthTime bool) Demands {
	d := c.Demands
	d.Proof = proof
	d.LoginIsAuthTime = loginIsAuthTime && (d.MaxAge != nil || proof.MaxAge != nil) && !c.promptsNone()
	return d
}

// promptsNone reports whether the fixed parameters have prompt=none.
func (c *Client) promptsNone() bool { return hasWord(c.Parameters.Get("prompt"), "none") }

func hasWord(text, word string) bool { return slices.Contains(strings.Fields(text), word) }

// isOneWord reports whether a value can be an element of a space-separated list.
func isOneWord(value string) bool {
	return len(strings.Fields(value)) == 1 && !strings.ContainsAny(value, " \t\r\n")
}

// parameters returns the parameters of an authorization request besides those of
// the login itself: extra ones, the fixed ones, which take precedence, and the
// demands.
func (c *Client) parameters(extra url.Values, d *Demands) url.Values {
	all := make(url.Values)
	for _, parameters := range []url.Values{extra, c.Parameters} {
		for name, values := range parameters {
			if len(values) > 0 {
				all.Set(name, values[0])
			}
		}
	}
	if d.Proof.MaxAge != nil {
		all.Set("max_age", strconv.FormatInt(int64(*shorter(d.MaxAge, d.Proof.MaxAge)/time.Second), 10))
	}
	if values := d.Proof.Acceptable(); len(values) > 0 {
		all.Set("acr_values", strings.Join(preferred(values, strings.Fields(c.Parameters.Get("acr_values"))), " "))
		if all.Has("claims") {
			all.Set("claims", askInClaims(all.Get("claims"), values))
		}
	}
	if d.LoginIsAuthTime {
		prompt := c.Parameters.Get("prompt")
		if !hasWord(prompt, "login") {
			prompt = strings.TrimSpace("login " + prompt)
		}
		all.Set("prompt", prompt)
	}
	if all.Get("max_age") == "0" && c.promptsNone() {
		// prompt=none and max_age=0 exclude each other (OpenID Connect Core 3.1.2.1). Ask for a recent
		// authentication instead; the ID token is still checked against the demand.
		all.Set("max_age", "1")
	}
	return all
}

// preferred sorts values: those that are in order come first, in that order.
func preferred(values, order []string) (sorted []string) {
	for _, value := range order {
		if slices.Contains(values, value) && !slices.Contains(sorted, value) {
			sorted = append(sorted, value)
		}
	}
	for _, value := range values {
		if !slices.Contains(sorted, value) {
			sorted = append(sorted, value)
		}
	}
	return sorted
}

// askInClaims adds acr values to a claims parameter (OpenID Connect Core 5.5) that
// requests acr as essential, or acrs as Entra ID has it. It only narrows an
// existing list of values. If none of those is acceptable, the list stays as it is.
func askInClaims(text string, values []string) string {
	top, err := parseObject([]byte(text))
	if err != nil || !top.has("id_token") {
		return text
	}
	names, err := parseObject(top["id_token"])
	if err != nil {
		return text
	}
	for _, name := range []string{"acr", "acrs"} {
		wish, err := parseWish(names[name])
		if err != nil || !wish.essential {
			continue
		}
		asked := values
		if len(wish.values) > 0 {
			asked = slices.DeleteFunc(slices.Clone(wish.values), func(value string) bool { return !slices.Contains(values, value) })
		}
		if len(asked) > 0 {
			names[name] = essential(asked)
		}
	}
	top["id_token"], err = json.Marshal(names)
	if err != nil {
		return text
	}
	written, err := json.Marshal(top)
	if err != nil {
		return text
	}
	return string(written)
}

// essential returns the request for a claim with one of the values (OpenID Connect
// Core 5.5.1).
func essential(values []string) json.RawMessage {
	request := struct {
		Essential bool     `json:"essential"`
		Value     string   `json:"value,omitempty"`
		Values    []string `json:"values,omitempty"`
	}{Essential: true, Values: values}
	if len(values) == 1 {
		request.Value, request.Values = values[0], nil
	}
	written, err := json.Marshal(request)
	if err != nil {
		return nil // cannot happen with strings
	}
	return written
}
