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

// This file finds the words of a provider in what it answers.

// The names under which providers say what is wrong, most telling first: those
// of OAuth 2.0, of RFC 9457, and what Okta and others made up.
var (
	codeMembers        = []string{"error", "errorCode", "error_code", "code"}
	descriptionMembers = []string{"error_description", "errorDescription"}
	uriMembers         = []string{"error_uri", "errorLink"}
	messageMembers     = []string{"message", "error_message", "errorMessage", "errorSummary", "detail", "title", "description", "reason", "Message", "msg"}
)

// readWords takes the words out of a body: of JSON whatever its label, of a
// form, or the beginning of anything else. Of an answer that claims success
// nothing is quoted that could be a token.
func readWords(contentType string, body []byte, success bool) *Refusal {
	e := new(Refusal)
	body = withoutBOM(body)
	var value any
	if err := json.Unmarshal(body, &value); err == nil {
		object, isObject := value.(map[string]any)
		switch o, err := parseObject(body); {
		case !success || err == nil && o.isError():
			e.fill(value)
		case isObject: // what else is in it may be about a user
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
		return e // JSON that is damaged, with tokens in it perhaps
	}
	e.Message = excerpt(contentType, body)
	return e
}

// fill takes the words out of a JSON value: an object, flat or with its words
// one level below, a list of such, or a bare text.
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

// wordsOfNested reads an error that is an object: there the code may be named
// otherwise.
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

// merge adds what is not there yet.
func (e *Refusal) merge(other *Refusal) {
	for _, word := range []struct{ text, other *string }{
		{&e.Code, &other.Code}, {&e.Description, &other.Description}, {&e.URI, &other.URI}, {&e.Message, &other.Message},
	} {
		if *word.text == "" {
			*word.text = *word.other
		}
	}
}

// fillList takes the first code and the messages of all.
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

// firstText is the first of these members that is a text or a number.
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

// firstWords is the first of these members that is a text or a number, else the
// first that is a list or an object.
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

// structuredText is a list of texts with semicolons between them, and another
// list or an object as JSON; nothing where it is empty, or neither.
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

// excerpt is the type of a body and its beginning, in one line.
func excerpt(contentType string, body []byte) string {
	text := strings.ToValidUTF8(string(body[:min(len(body), maxRead)]), "\ufffd")
	// Secrets are sought in it before it is cut to maxDescription.
	text = strings.Join(strings.Fields(text), " ")
	if contentType == "" {
		contentType = "no content type"
	}
	if text == "" {
		return ""
	}
	return logtext.Clean(contentType, 100) + ": " + text
}

// readChallenge takes the words out of WWW-Authenticate (RFC 6750 3, RFC 9110
// 11.6.1): the first challenge that has an error.
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
