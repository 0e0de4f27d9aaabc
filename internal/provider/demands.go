package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Demands are what authorization requests ask for in such a way that an ID
// token without it is not valid (Core 3.1.3.7, 12 and 13). acr_values is no
// demand: it asks for what a provider may leave out (Core 3.1.2.1).
type Demands struct {
	// MaxAge is how long ago the user may have signed in at the provider.
	MaxAge *time.Duration
	// ACR: acr must be there, and be one of ACRs if there are any.
	ACR  bool
	ACRs []string
}

// asked: auth_time and acr are what was asked for.
func (c *idTokenCheck) asked(claims object) error {
	if maxAge := c.demands.MaxAge; maxAge != nil {
		signedIn, ok, err := claims.moment("auth_time")
		if err != nil {
			return err
		}
		if !ok {
			return errors.New("auth_time is missing, which max_age asks for")
		}
		if ago := c.now.Sub(signedIn); ago > *maxAge+c.skew {
			return fmt.Errorf("auth_time is %s ago, which is more than max_age (clock_skew is %s)", ago.Round(time.Second), c.skew)
		}
	}
	if c.demands.ACR {
		acr, err := claims.text("acr")
		if err != nil {
			return err
		}
		if acr == "" || len(c.demands.ACRs) > 0 && !slices.Contains(c.demands.ACRs, acr) {
			return errors.New("acr is not one that claims asks for as essential")
		}
	}
	return nil
}

// ParseClaimsRequest reads a claims parameter (Core 5.5), and returns what it
// demands of acr.
func ParseClaimsRequest(text string) (d Demands, err error) {
	top, err := parseObject([]byte(text))
	if err != nil {
		return d, err
	}
	for place, raw := range top {
		if place != "userinfo" && place != "id_token" {
			return d, fmt.Errorf("has the unknown member %q; it knows userinfo and id_token", clip(place))
		}
		if string(raw) == "null" {
			continue
		}
		names, err := parseObject(raw)
		if err != nil {
			return d, fmt.Errorf("has a member %s that %w", place, err)
		}
		for name, raw := range names {
			wish, err := parseWish(raw)
			if err != nil {
				return d, fmt.Errorf("asks for %q in a way that is none: %w", clip(name), err)
			}
			if place == "id_token" && name == "acr" && wish.essential {
				d.ACR, d.ACRs = true, wish.values
			}
		}
	}
	return d, nil
}

// wish is how a claim is asked for (Core 5.5.1).
type wish struct {
	essential bool
	values    []string // those that are strings
}

func parseWish(raw json.RawMessage) (w wish, err error) {
	if string(raw) == "null" {
		return w, nil
	}
	o, err := parseObject(raw)
	if err != nil {
		return w, errors.New("it is neither null nor an object")
	}
	if o.has("essential") && json.Unmarshal(o["essential"], &w.essential) != nil {
		return w, errors.New("essential is neither true nor false")
	}
	var values []any
	if o.has("values") && json.Unmarshal(o["values"], &values) != nil {
		return w, errors.New("values is not a list")
	}
	if o.has("value") {
		var value any
		if err := json.Unmarshal(o["value"], &value); err != nil {
			return w, errors.New("value is not valid JSON")
		}
		values = append(values, value)
	}
	for _, value := range values {
		if text, ok := value.(string); ok {
			w.values = append(w.values, text)
		}
	}
	return w, nil
}
