package op

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

// object is a JSON object with exact and unique member names. encoding/json ignores
// case and uses the last duplicate, so that {"sub":"u","SUB":"admin"} would mean
// different users to different readers. It is not used for anything that decides.
type object map[string]json.RawMessage

func parseObject(data []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return nil, errors.New("is not a JSON object")
	}
	o := make(object)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, errors.New("is not valid JSON")
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, errors.New("is not valid JSON")
		}
		if _, twice := o[name.(string)]; twice {
			return nil, fmt.Errorf("has the member %q twice", clip(name.(string)))
		}
		o[name.(string)] = raw
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("is not valid JSON")
	}
	// More would take a closing bracket for the end.
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("has more after its end")
	}
	return o, nil
}

// clip sanitizes and shortens foreign text for our errors.
func clip(s string) string { return logtext.Clean(s, 83) }

func (o object) has(name string) bool {
	raw, ok := o[name]
	return ok && string(raw) != "null"
}

// text returns a member that must be a string; "" if absent.
func (o object) text(name string) (string, error) {
	if !o.has(name) {
		return "", nil
	}
	var s string
	if raw := o[name]; raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", fmt.Errorf("%s is not a string but %s", name, kindOf(raw))
	}
	return s, nil
}

// texts returns a member that must be a list of strings; nil if absent. With
// single, a string counts as a list of one.
func (o object) texts(name string, single bool) ([]string, error) {
	if !o.has(name) {
		return nil, nil
	}
	raw := o[name]
	if single && raw[0] == '"' {
		s, err := o.text(name)
		return []string{s}, err
	}
	var members []any
	if json.Unmarshal(raw, &members) != nil {
		return nil, fmt.Errorf("%s is not a list of strings", name)
	}
	list := make([]string, len(members))
	for i, member := range members {
		s, ok := member.(string)
		if !ok {
			return nil, fmt.Errorf("%s is not a list of strings", name)
		}
		list[i] = s
	}
	return list, nil
}

// moment returns a member that must be a NumericDate (RFC 7519, section 2): a
// number that a double represents exactly. ok reports whether it is present.
func (o object) moment(name string) (t time.Time, ok bool, err error) {
	if !o.has(name) {
		return t, false, nil
	}
	var seconds float64
	if raw := o[name]; raw[0] == '"' || json.Unmarshal(raw, &seconds) != nil || math.Abs(seconds) > 1<<53 {
		return t, false, fmt.Errorf("%s is not a date in seconds", name)
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true, nil
}
