package op

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

// This file extracts a provider's words from its responses.

// Members in which providers describe errors, the most specific first: those of
// OAuth 2.0, of RFC 9457, and of Okta and others.
var (
	codeMembers        = []string{"error", "errorCode", "error_code", "code"}
	descriptionMembers = []string{"error_description", "errorDescription"}
	uriMembers         = []string{"error_uri", "errorLink"}
	messageMembers     = []string{"message", "error_message", "errorMessage", "errorSummary", "detail", "title", "description", "reason", "Message", "msg"}
)

// readWords extracts the words of a body: of JSON, whatever its Content-Type, of a
// form, or the beginning of anything else. If the response claims success, it
// quotes nothing that could be a token.
func readWords(contentType string, body []byte, success bool) *Refusal {
	e := new(Refusal)
	body = withoutBOM(body)
	var value any
	if err := json.Unmarshal(body, &value); err == nil {
		object, isObject := value.(map[string]any)
		switch o, err := parseObject(body); {
		case !success || err == nil && o.isError():
			e.fill(value)
		case isObject: // other members may be about a user
			e.Description, e.Message = firstText(object, descriptionMembers), firstText(object, messageMembers[:4])
		}
		if *e == (Refusal{}) && !success {
			e.Message = excerpt(contentType, body)
		}
		return e
	}
	if form, err := url.ParseQuery(string(body)); err == nil && (form.Has("error") || form.Has("access_token")) {
		e.Code, e.Description, e.URI = form.Get("error"), form.Get("error_description"), form.Get("error_uri")
		return e
	}
	if success && len(body) > 0 && strings.ContainsRune(`{["`, rune(body[0])) {
		return e // damaged JSON, which may contain tokens
	}
	e.Message = excerpt(contentType, body)
	return e
}

// fill extracts the words of a JSON value: an object, with its words at the top or
// one level below, a list of objects, or a string.
func (e *Refusal) fill(value any) {
	switch v := value.(type) {
	case string:
		e.Message = v
	case []any:
		e.fillList(v)
	case map[string]any:
		e.fillObject(v)
		if nested, ok := v["error"].(map[string]any); ok {
			e.merge(wordsOfNested(nested))
		}
		for _, name := range []string{"error", "errors"} {
			if list, ok := v[name].([]any); ok {
				e.fillList(list)
			}
		}
		if nested, ok := v["errors"].(map[string]any); ok {
			e.merge(wordsOfNested(nested))
		}
	}
}

// wordsOfNested extracts the words of a nested error object, where the code may
// have another name.
func wordsOfNested(object map[string]any) *Refusal {
	e := new(Refusal)
	e.fillObject(object)
	if e.Code == "" {
		e.Code = firstText(object, []string{"type", "status", "name", "id"})
	}
	return e
}

func (e *Refusal) fillObject(object map[string]any) {
	e.merge(&Refusal{
		Code: firstText(object, codeMembers), Description: firstWords(object, descriptionMembers),
		URI: firstText(object, uriMembers), Message: firstWords(object, messageMembers),
	})
}

// merge adds the words that are not set yet.
func (e *Refusal) merge(other *Refusal) {
	for _, word := range []struct{ text, other *string }{
		{&e.Code, &other.Code}, {&e.Description, &other.Description}, {&e.URI, &other.URI}, {&e.Message, &other.Message},
	} {
		if *word.text == "" {
			*word.text = *word.other
		}
	}
}

// fillList uses the first code and all messages of a list.
func (e *Refusal) fillList(list []any) {
	var messages []string
	for _, member := range list[:min(len(list), 5)] {
		one := new(Refusal)
		switch m := member.(type) {
		case string:
			one.Message = m
		case map[string]any:
			one = wordsOfNested(m)
			if one.Message == "" {
				one.Message = one.Description
			}
		}
		if one.Message != "" {
			messages = append(messages, one.Message)
		}
		one.Message = ""
		e.merge(one)
	}
	e.merge(&Refusal{Message: strings.Join(messages, "; ")})
}

// firstText returns the first of the named members that is a string or a number.
func firstText(object map[string]any, names []string) string {
	for _, name := range names {
		switch v := object[name].(type) {
		case string:
			if v != "" {
				return v
			}
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
	}
	return ""
}

// firstWords returns the first of the named members that is a string or a number,
// else the first that is a list or an object.
func firstWords(object map[string]any, names []string) string {
	if text := firstText(object, names); text != "" {
		return text
	}
	for _, name := range names {
		if text := structuredText(object[name]); text != "" {
			return text
		}
	}
	return ""
}

// structuredText formats a list of strings with semicolons, and other lists and
// objects as JSON. It returns "" for empty and other values.
func structuredText(value any) string {
	switch v := value.(type) {
	case []any:
		texts := make([]string, 0, len(v))
		for _, member := range v {
			if text, ok := member.(string); ok {
				texts = append(texts, text)
			}
		}
		if len(texts) == len(v) {
			return strings.Join(texts, "; ")
		}
	case map[string]any:
		if len(v) == 0 {
			return ""
		}
	default:
		return ""
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(value) != nil {
		return ""
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// excerpt returns the Content-Type of a body and its beginning, on one line.
func excerpt(contentType string, body []byte) string {
	text := strings.ToValidUTF8(string(body[:min(len(body), maxRead)]), "\ufffd")
	// The caller removes secrets before it is cut to maxDescription.
	text = strings.Join(strings.Fields(text), " ")
	if contentType == "" {
		contentType = "no content type"
	}
	if text == "" {
		return ""
	}
	return logtext.Clean(contentType, 100) + ": " + text
}

// readChallenge extracts the words of the first challenge with an error in
// WWW-Authenticate (RFC 6750, section 3; RFC 9110, section 11.6.1).
func readChallenge(values []string) *Refusal {
	e := new(Refusal)
	for _, value := range values {
		for _, part := range challengeParameter.FindAllStringSubmatch(value[:min(len(value), maxRead)], -1) {
			text := part[3]
			if part[2] != "" {
				text = quotedPair.ReplaceAllString(part[2][1:len(part[2])-1], "$1")
			}
			if i := slices.Index([]string{"error", "error_description", "error_uri"}, strings.ToLower(part[1])); i >= 0 {
				field := [...]*string{&e.Code, &e.Description, &e.URI}[i]
				if *field == "" {
					*field = text
				}
			}
		}
	}
	return e
}

var (
	challengeParameter = regexp.MustCompile(`([A-Za-z0-9_-]+)\s*=\s*(?:("(?:[^"\\]|\\.)*")|([^\s",]+))`)
	quotedPair         = regexp.MustCompile(`\\(.)`)
)
