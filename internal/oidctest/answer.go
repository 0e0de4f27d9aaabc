package oidctest

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// answer is a response that has not been sent yet.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func page(status int, text string) answer {
	return answer{
		status: status,
		header: http.Header{"Content-Type": {"text/html; charset=utf-8"}, "Cache-Control": {"no-store"}},
		body:   []byte("<!doctype html><title>oidctest</title><p>" + html.EscapeString(text) + "\n"),
	}
}

func document(status int, v any) answer {
	body, err := json.Marshal(v)
	if err != nil {
		// A hook put a value into the document that JSON cannot represent.
		return page(http.StatusInternalServerError, "oidctest: "+err.Error())
	}
	return answer{
		status: status,
		header: http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}},
		body:   body,
	}
}

// refuse returns an error response (RFC 6749, section 5.2).
func refuse(status int, code, description string) answer {
	return document(status, map[string]any{"error": code, "error_description": description})
}

// redirect returns a redirect to target with the encoded query appended.
func redirect(target, query string) answer {
	sep := "?"
	if strings.Contains(target, "?") {
		sep = "&"
	}
	if query == "" {
		sep = ""
	}
	a := page(http.StatusSeeOther, "see other")
	a.header.Set("Location", target+sep+query)
	return a
}

// formPost returns the page that posts params to target (OAuth 2.0 Form Post
// Response Mode, section 2).
func formPost(target string, params url.Values) answer {
	var b strings.Builder
	b.WriteString("<!doctype html><body onload=\"document.forms[0].submit()\"><form method=\"post\" action=\"")
	b.WriteString(html.EscapeString(target) + "\">")
	for _, name := range sortedNames(params) {
		for _, value := range params[name] {
			b.WriteString("<input type=\"hidden\" name=\"" + html.EscapeString(name) +
				"\" value=\"" + html.EscapeString(value) + "\">")
		}
	}
	b.WriteString("</form>\n")
	a := page(http.StatusOK, "")
	a.body = []byte(b.String())
	return a
}

var (
	formAction = regexp.MustCompile(`<form method="post" action="([^"]*)">`)
	formInput  = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// ParseFormPost parses the page of the authorization endpoint for response_mode
// form_post, which a browser would submit with a script. action is "" if body
// is another page.
func ParseFormPost(body []byte) (action string, params url.Values) {
	m := formAction.FindSubmatch(body)
	if m == nil {
		return "", nil
	}
	params = url.Values{}
	for _, in := range formInput.FindAllSubmatch(body, -1) {
		params.Add(html.UnescapeString(string(in[1])), html.UnescapeString(string(in[2])))
	}
	return html.UnescapeString(string(m[1])), params
}

func sortedNames(v url.Values) []string {
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
