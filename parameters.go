package oidcrp

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// Parameter is a fixed parameter of authorization requests: one value, or a
// list of them where the parameter may be repeated.
type Parameter []string

// MarshalJSON writes a single value as a string.
func (p Parameter) MarshalJSON() ([]byte, error) {
	if len(p) == 1 {
		return json.Marshal(p[0])
	}
	return json.Marshal([]string(p))
}

// UnmarshalJSON reads a string or a list of strings.
func (p *Parameter) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*p = Parameter{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(p))
}

// parameters reads a block of names, each with its value or values.
func parameters(d *caddyfile.Dispenser, field *map[string]Parameter) error {
	*field = make(map[string]Parameter)
	return caddyargs.EachName(d, func(name string) (err error) {
		values := make([]string, 1)
		if name == "resource" {
			err = caddyargs.ListArg(d, &values)
		} else {
			err = caddyargs.StringArg(d, &values[0])
		}
		if err != nil {
			return err
		}
		(*field)[name] = values
		if err := checkParameters(*field); err != nil {
			return d.WrapErr(err)
		}
		return nil
	})
}

// expandParameters resolves placeholders. The value of claims is JSON, which
// has braces of its own: only one that is a placeholder as a whole is resolved.
func expandParameters(written map[string]Parameter) (map[string]Parameter, error) {
	all := make(map[string]Parameter, len(written))
	for name, values := range written {
		all[name] = make(Parameter, 0, len(values))
		for _, value := range values {
			if name != "claims" || isPlaceholder(value) {
				expanded, err := expand(value)
				if err != nil {
					return nil, fmt.Errorf("authorization_params %s: %w", name, err)
				}
				value = expanded
			}
			all[name] = append(all[name], value)
		}
	}
	return all, nil
}

// checkParameters refuses what cannot be right. A value with a placeholder,
// which is not resolved yet, counts as a good one.
func checkParameters(all map[string]Parameter) error {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		values := all[name]
		switch {
		case op.Reserved(name):
			return fmt.Errorf("authorization_params: %s is set by the login itself", name)
		case len(values) == 0 || slices.Contains(values, ""):
			return fmt.Errorf("authorization_params: %s is empty", name)
		case len(values) > 1 && name != "resource":
			return fmt.Errorf("authorization_params: %s has several values, which only resource can have", name)
		}
		if name == "resource" {
			for _, value := range values {
				if err := checkResource(value); err != nil {
					return fmt.Errorf("authorization_params: resource %w", err)
				}
			}
		}
	}
	if _, err := demandsOf(all); err != nil {
		return err
	}
	if first(all["max_age"]) == "0" && slices.Contains(strings.Fields(first(all["prompt"])), "none") {
		// Core 3.1.2.1: the one wants a new sign-in, the other no question.
		return errors.New("authorization_params: max_age 0 and prompt none exclude each other")
	}
	return nil
}

// checkResource: an absolute URI without a fragment (RFC 8707 2).
func checkResource(value string) error {
	if strings.Contains(value, "{") {
		return nil
	}
	if u, err := url.Parse(value); err != nil || !u.IsAbs() || strings.Contains(value, "#") {
		return errors.New("is not an absolute URI without fragment")
	}
	return nil
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// demandsOf is what the parameters make of ID tokens.
func demandsOf(all map[string]Parameter) (d op.Demands, err error) {
	if text := first(all["claims"]); text != "" && !isPlaceholder(text) {
		if d, err = op.ParseClaimsRequest(text); err != nil {
			return d, fmt.Errorf("authorization_params: claims %w", err)
		}
	}
	if text := first(all["max_age"]); text != "" && !strings.Contains(text, "{") {
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return d, errors.New("authorization_params: max_age is not a number of seconds")
		}
		maxAge := time.Duration(seconds) * time.Second
		d.MaxAge = &maxAge
	}
	return d, nil
}
