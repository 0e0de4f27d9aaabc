package e2e

import (
	"html"
	"net/url"
	"regexp"
	"strings"
)

// This file parses just enough HTML for the providers' forms and the plugin's own simple
// pages.

var (
	formTag   = regexp.MustCompile(`(?is)<form\b([^>]*)>(.*?)</form>`)
	inputTag  = regexp.MustCompile(`(?is)<(input|button)\b([^>]*)>`)
	anchorTag = regexp.MustCompile(`(?is)<a\b([^>]*)>(.*?)</a>`)
	anyTag    = regexp.MustCompile(`(?s)<[^>]*>`)
)

func attribute(tag, name string) (string, bool) {
	m := regexp.MustCompile(`(?i)(?:^|\s)` + name + `\s*=\s*("([^"]*)"|'([^']*)'|([^\s>]+))`).FindStringSubmatch(tag)
	if m == nil {
		return "", false
	}
	return html.UnescapeString(m[2] + m[3] + m[4]), true
}

// A form holds what a browser would send, without the buttons: a browser sends only the
// clicked one.
type form struct {
	action *url.URL
	method string
	fields url.Values
}

func (p *page) forms() (all []form) {
	for _, m := range formTag.FindAllStringSubmatch(p.body, -1) {
		f := form{action: p.url, method: "GET", fields: url.Values{}}
		if action, ok := attribute(m[1], "action"); ok {
			if to, err := p.url.Parse(action); err == nil {
				f.action = to
			}
		}
		if method, ok := attribute(m[1], "method"); ok {
			f.method = strings.ToUpper(method)
		}
		for _, input := range inputTag.FindAllStringSubmatch(m[2], -1) {
			kind, _ := attribute(input[2], "type")
			if name, ok := attribute(input[2], "name"); ok && strings.EqualFold(input[1], "input") && !strings.EqualFold(kind, "submit") {
				value, _ := attribute(input[2], "value")
				f.fields.Add(name, value)
			}
		}
		all = append(all, f)
	}
	return all
}

// form returns the only form of the page.
func (p *page) form() form {
	p.b.t.Helper()
	all := p.forms()
	if len(all) != 1 {
		p.b.t.Fatalf("%d forms where one was expected: %s", len(all), p)
	}
	return all[0]
}

// links returns the addresses of the links whose text contains the words.
func (p *page) links(words string) (all []string) {
	for _, m := range anchorTag.FindAllStringSubmatch(p.body, -1) {
		text := html.UnescapeString(anyTag.ReplaceAllString(m[2], ""))
		if href, ok := attribute(m[1], "href"); ok && strings.Contains(strings.ToLower(text), strings.ToLower(words)) {
			all = append(all, href)
		}
	}
	return all
}

// text returns what a person reads on the page.
func (p *page) text() string {
	body := regexp.MustCompile(`(?is)<(style|title|head)\b.*?</(style|title|head)>`).ReplaceAllString(p.body, "")
	return strings.Join(strings.Fields(html.UnescapeString(anyTag.ReplaceAllString(body, " "))), " ")
}
