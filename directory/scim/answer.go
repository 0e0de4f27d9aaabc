package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
)

// filterQuery returns the query that asks for a user (RFC 7644, section 3.4.2.2).
// The value in the filter is a JSON string.
func filterQuery(name string) string {
	var value bytes.Buffer
	encoder := json.NewEncoder(&value)
	encoder.SetEscapeHTML(false) // some servers do not support \u escapes
	_ = encoder.Encode(name)     // encoding a string cannot fail
	filter := "userName eq " + strings.TrimSuffix(value.String(), "\n")
	return "filter=" + strings.ReplaceAll(url.QueryEscape(filter), "+", "%20")
}

// Reasons for negative answers that may be due to a misconfiguration, and are
// therefore logged.
const (
	oddSeveral  = "several resources were returned; the server may not know filters"
	oddPartial  = "a part of several resources was returned"
	oddNoName   = "the returned resource has no userName"
	oddName     = "the returned resource has a different userName"
	oddNameCase = "the returned resource has the name in a different case; see ignore_case"
	oddActive   = "active is neither true nor false"
	// Per RFC 7644, section 3.4.2, a server that has no such user returns an empty list.
	oddNotFound = "status 404, which is no answer to a filter; check that the URL is that of the SCIM service, without /Users"
)

// readAnswer reads the list of resources that a filter returned (RFC 7644,
// section 3.4.2). A user is known only if the list has exactly one resource. If
// known is false, odd is the reason, or "" if the server simply has no such
// active user. An error means that the response is not an answer.
func readAnswer(body []byte, name string, ignoreCase bool) (known bool, odd string, err error) {
	resources, total, err := readList(body)
	switch {
	case err != nil:
		return false, "", err
	case len(resources) == 0 && total == 0:
		return false, "", nil
	case len(resources) > 1:
		return false, oddSeveral, nil
	case total != len(resources):
		return false, oddPartial, nil
	}
	return readResource(resources[0], name, ignoreCase)
}

// readList returns the resources of a list, and their total number at the server.
func readList(body []byte) (resources []json.RawMessage, total int, err error) {
	list, err := members(bytes.TrimPrefix(body, []byte("\ufeff")))
	if err != nil {
		return nil, 0, err
	}
	rawTotal, hasTotal := list["totalresults"]
	rawResources, hasResources := list["resources"]
	if !hasTotal && !hasResources {
		return nil, 0, errors.New("the answer is not a list of resources")
	}
	if hasResources {
		if err := json.Unmarshal(rawResources, &resources); err != nil {
			return nil, 0, errors.New("its member Resources is not a list")
		}
	}
	total = len(resources)
	if hasTotal {
		if total, err = strconv.Atoi(string(rawTotal)); err != nil || total < 0 {
			return nil, 0, errors.New("totalResults is not a number")
		}
	}
	return resources, total, nil
}

// readResource decides whether the only resource of an answer is the active
// user. The results are those of readAnswer.
func readResource(raw json.RawMessage, name string, ignoreCase bool) (known bool, odd string, err error) {
	resource, err := members(raw)
	if err != nil {
		return false, "", fmt.Errorf("the resource: %w", err)
	}
	var its string
	if raw, ok := resource["username"]; !ok || json.Unmarshal(raw, &its) != nil || its == "" {
		return false, oddNoName, nil
	}
	switch sameLetters := lower(its) == lower(name); {
	case its == name, ignoreCase && sameLetters:
	case sameLetters:
		return false, oddNameCase, nil
	default:
		return false, oddName, nil
	}
	active, ok := resource["active"]
	switch text := string(active); {
	case !ok, text == "true", text == `"true"`:
		return true, "", nil
	case text == "false", lower(text) == `"false"`: // Entra ID sends "False"
		return false, "", nil
	}
	return false, oddActive, nil
}

// lower converts ASCII letters to lower case. It leaves other letters alone,
// because their case mapping depends on the language.
func lower(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}

// members returns the members of a JSON object by their names in lower case,
// since the names of attributes are case-insensitive (RFC 7643, section 2.1). A
// duplicate name is an error, because parsers differ in which one counts.
func members(raw []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("it is not a JSON object")
	}
	all := make(map[string]json.RawMessage)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, errors.New("it is not a JSON object")
		}
		key, _ := token.(string)
		name := lower(key)
		if _, twice := all[name]; twice {
			return nil, errors.New("a member of the object appears twice")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errors.New("it is not a JSON object")
		}
		all[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("it is not a JSON object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	return all, nil
}
