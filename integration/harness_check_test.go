package integration_test

import (
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
)

// required makes a failed check end the test, because the rest of the test depends on it.
type required struct{ testing.TB }

func (r required) Errorf(format string, args ...any) {
	r.Helper()
	r.Fatalf(format, args...)
}

// shown returns a value as messages show it: strings in quotes.
func shown(value any) string {
	if reflect.ValueOf(value).Kind() == reflect.String {
		return fmt.Sprintf("%q", value)
	}
	return fmt.Sprint(value)
}

// equal expects a value. what describes it in the message.
func equal[T comparable](t testing.TB, what string, seen, expected T) {
	t.Helper()
	if seen != expected {
		t.Errorf("%s: expected %s, seen %s", what, shown(expected), shown(seen))
	}
}

// list expects the given values in this order.
func list[T comparable](t testing.TB, what string, seen []T, expected ...T) {
	t.Helper()
	if !slices.Equal(seen, expected) {
		t.Errorf("%s: expected %v, seen %v", what, expected, seen)
	}
}

// differs expects a value to have changed.
func differs[T comparable](t testing.TB, what string, seen, unexpected T) {
	t.Helper()
	if seen == unexpected {
		t.Errorf("%s: expected something else than %s", what, shown(unexpected))
	}
}

// atLeast expects a number that is not smaller than another one.
func atLeast(t testing.TB, what string, seen, smallest int) {
	t.Helper()
	if seen < smallest {
		t.Errorf("%s: expected %d or more, seen %d", what, smallest, seen)
	}
}

// atMost expects a number that is not larger than another one.
func atMost(t testing.TB, what string, seen, largest int) {
	t.Helper()
	if seen > largest {
		t.Errorf("%s: expected %d or less, seen %d", what, largest, seen)
	}
}

// contains expects a text to contain a part.
func contains(t testing.TB, what, seen, part string) {
	t.Helper()
	if !strings.Contains(seen, part) {
		t.Errorf("%s: expected a text with %q, seen %q", what, part, seen)
	}
}

// lacks expects a text not to contain a part.
func lacks(t testing.TB, what, seen, part string) {
	t.Helper()
	if strings.Contains(seen, part) {
		t.Errorf("%s: expected a text without %q, seen %q", what, part, seen)
	}
}

// begins expects a text to begin with another one.
func begins(t testing.TB, what, seen, prefix string) {
	t.Helper()
	if !strings.HasPrefix(seen, prefix) {
		t.Errorf("%s: expected a text that begins with %q, seen %q", what, prefix, seen)
	}
}

// ends expects a text to end with another one.
func ends(t testing.TB, what, seen, suffix string) {
	t.Helper()
	if !strings.HasSuffix(seen, suffix) {
		t.Errorf("%s: expected a text that ends with %q, seen %q", what, suffix, seen)
	}
}

// succeeds expects no error.
func succeeds(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: expected no error, seen %v", what, err)
	}
}

// failsWith expects an error whose text contains the given parts.
func failsWith(t testing.TB, what string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: expected an error, seen none", what)
		return
	}
	for _, part := range parts {
		contains(t, what, err.Error(), part)
	}
}

// keepsOut expects a request not to get a page, and none to have reached the application.
func (r *harness) keepsOut(t testing.TB, p *visited) {
	t.Helper()
	differs(required{t}, p.url+": the status", p.StatusCode, http.StatusOK)
	if _, at := r.upstream.got(); r.upstream.count() != 0 {
		t.Fatalf("%s: expected no request at the application, seen one for %q", p.url, at)
	}
}

// pageCheck checks a page that a test visited.
type pageCheck struct {
	t    *recorder
	page *visited
	name string
}

// recorder remembers whether a check has failed.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Errorf(format string, args ...any) {
	r.Helper()
	r.failed = true
	r.TB.Errorf(format, args...)
}

// check begins the checks of a page. about describes the page, if the name of the test does not.
func check(t testing.TB, p *visited, about ...string) pageCheck {
	return pageCheck{&recorder{TB: t}, p, strings.Join(append(about, p.url), ": ")}
}

// holds reports whether all checks of the page have passed so far.
func (c pageCheck) holds() bool { return !c.t.failed }

func (c pageCheck) status(expected int) pageCheck {
	c.t.Helper()
	if c.page.StatusCode != expected {
		c.t.Errorf("%s: expected status %d, seen %d to %q: %s", c.name, expected, c.page.StatusCode, c.page.location(), c.page.body)
	}
	return c
}

// at expects the address where the browser ended.
func (c pageCheck) at(address string) pageCheck {
	c.t.Helper()
	equal(c.t, c.name+": the address", c.page.url, address)
	return c
}

// endsAt expects the end of the address where the browser ended.
func (c pageCheck) endsAt(suffix string) pageCheck {
	c.t.Helper()
	ends(c.t, c.name+": the address", c.page.url, suffix)
	return c
}

// leadsTo expects the exact Location header of a redirect.
func (c pageCheck) leadsTo(location string) pageCheck {
	c.t.Helper()
	return c.header("Location", location)
}

// leadsInto expects a redirect to an address with a prefix, after a browser resolved it.
func (c pageCheck) leadsInto(prefix string) pageCheck {
	c.t.Helper()
	begins(c.t, c.name+": the redirect", c.page.location(), prefix)
	return c
}

// leadsWith expects a redirect whose address contains the given parts.
func (c pageCheck) leadsWith(parts ...string) pageCheck {
	c.t.Helper()
	for _, part := range parts {
		contains(c.t, c.name+": the redirect", c.page.location(), part)
	}
	return c
}

// leadsWithout expects a redirect whose address lacks the given parts.
func (c pageCheck) leadsWithout(parts ...string) pageCheck {
	c.t.Helper()
	for _, part := range parts {
		lacks(c.t, c.name+": the redirect", c.page.location(), part)
	}
	return c
}

// body expects the complete body of the page.
func (c pageCheck) body(expected string) pageCheck {
	c.t.Helper()
	equal(c.t, c.name+": the body", c.page.body, expected)
	return c
}

// opens expects the beginning of the page.
func (c pageCheck) opens(prefix string) pageCheck {
	c.t.Helper()
	begins(c.t, c.name+": the body", c.page.body, prefix)
	return c
}

// shows expects texts on the page.
func (c pageCheck) shows(parts ...string) pageCheck {
	c.t.Helper()
	for _, part := range parts {
		contains(c.t, c.name+": the body", c.page.body, part)
	}
	return c
}

// hides expects texts not to be on the page.
func (c pageCheck) hides(parts ...string) pageCheck {
	c.t.Helper()
	for _, part := range parts {
		lacks(c.t, c.name+": the body", c.page.body, part)
	}
	return c
}

// header expects the first value of a header field. An empty value means that there is none.
func (c pageCheck) header(name, expected string) pageCheck {
	c.t.Helper()
	equal(c.t, c.name+": "+name, c.page.Header.Get(name), expected)
	return c
}

// hasHeader expects a header field with any value.
func (c pageCheck) hasHeader(name string) pageCheck {
	c.t.Helper()
	differs(c.t, c.name+": "+name, c.page.Header.Get(name), "")
	return c
}

// headerHas expects the first value of a header field to contain parts.
func (c pageCheck) headerHas(name string, parts ...string) pageCheck {
	c.t.Helper()
	for _, part := range parts {
		contains(c.t, c.name+": "+name, c.page.Header.Get(name), part)
	}
	return c
}

// headerLacks expects the first value of a header field to lack parts.
func (c pageCheck) headerLacks(name string, parts ...string) pageCheck {
	c.t.Helper()
	for _, part := range parts {
		lacks(c.t, c.name+": "+name, c.page.Header.Get(name), part)
	}
	return c
}

// setsCookies expects a number of cookies that are set or removed.
func (c pageCheck) setsCookies(number int) pageCheck {
	c.t.Helper()
	if seen := c.page.Header["Set-Cookie"]; len(seen) != number {
		c.t.Errorf("%s: expected %d cookies to be set, seen %q", c.name, number, seen)
	}
	return c
}

// setsAnyCookie expects a cookie that is set or removed.
func (c pageCheck) setsAnyCookie() pageCheck {
	c.t.Helper()
	if len(c.page.Header["Set-Cookie"]) == 0 {
		c.t.Errorf("%s: expected cookies to be set, seen none", c.name)
	}
	return c
}

// code expects an error code.
func (c pageCheck) code(expected errorcode.Code) pageCheck {
	c.t.Helper()
	equal(c.t, c.name+": the error code", shownCode(c.page), expected)
	return c
}

// refused expects an error page that refuses a login, with the given code.
func (c pageCheck) refused(expected errorcode.Code) pageCheck {
	c.t.Helper()
	return c.status(http.StatusForbidden).code(expected)
}

// probe records the messages of failures.
type probe struct {
	testing.TB
	messages []string
}

func (p *probe) Helper() {}

func (p *probe) Errorf(format string, args ...any) {
	p.messages = append(p.messages, fmt.Sprintf(format, args...))
}

// TestChecks checks that each check fails when it should. Checks that accept everything would
// prove nothing.
func TestChecks(t *testing.T) {
	t.Parallel()
	page := &visited{&http.Response{StatusCode: 303, Header: http.Header{
		"Location": {"/next?x=1"}, "Set-Cookie": {"a=b"}, "Retry-After": {"5"},
	}}, `the page <p class="detail">forbidden`, rpURL + "/page"}
	bare := &visited{&http.Response{StatusCode: 200}, "", rpURL + "/"}
	for name, row := range map[string]struct{ passes, fails func(t testing.TB) }{
		"equal":            {func(t testing.TB) { equal(t, "it", 1, 1) }, func(t testing.TB) { equal(t, "it", 1, 2) }},
		"list":             {func(t testing.TB) { list(t, "it", []int{1, 2}, 1, 2) }, func(t testing.TB) { list(t, "it", []int{1, 2}, 2, 1) }},
		"an empty list":    {func(t testing.TB) { list(t, "it", []int(nil)) }, func(t testing.TB) { list(t, "it", []int{1}) }},
		"differs":          {func(t testing.TB) { differs(t, "it", "a", "b") }, func(t testing.TB) { differs(t, "it", "a", "a") }},
		"atLeast":          {func(t testing.TB) { atLeast(t, "it", 2, 2) }, func(t testing.TB) { atLeast(t, "it", 1, 2) }},
		"atMost":           {func(t testing.TB) { atMost(t, "it", 2, 2) }, func(t testing.TB) { atMost(t, "it", 3, 2) }},
		"contains":         {func(t testing.TB) { contains(t, "it", "abc", "b") }, func(t testing.TB) { contains(t, "it", "abc", "x") }},
		"lacks":            {func(t testing.TB) { lacks(t, "it", "abc", "x") }, func(t testing.TB) { lacks(t, "it", "abc", "b") }},
		"begins":           {func(t testing.TB) { begins(t, "it", "abc", "a") }, func(t testing.TB) { begins(t, "it", "abc", "b") }},
		"ends":             {func(t testing.TB) { ends(t, "it", "abc", "c") }, func(t testing.TB) { ends(t, "it", "abc", "b") }},
		"succeeds":         {func(t testing.TB) { succeeds(t, "it", nil) }, func(t testing.TB) { succeeds(t, "it", io.EOF) }},
		"failsWith":        {func(t testing.TB) { failsWith(t, "it", io.EOF, "EOF") }, func(t testing.TB) { failsWith(t, "it", nil, "EOF") }},
		"failsWith a text": {func(t testing.TB) { failsWith(t, "it", io.EOF) }, func(t testing.TB) { failsWith(t, "it", io.EOF, "other") }},
		"status":           {func(t testing.TB) { check(t, page).status(303) }, func(t testing.TB) { check(t, page).status(200) }},
		"at":               {func(t testing.TB) { check(t, page).at(rpURL + "/page") }, func(t testing.TB) { check(t, page).at(rpURL) }},
		"endsAt":           {func(t testing.TB) { check(t, page).endsAt("/page") }, func(t testing.TB) { check(t, page).endsAt("/other") }},
		"leadsTo":          {func(t testing.TB) { check(t, page).leadsTo("/next?x=1") }, func(t testing.TB) { check(t, page).leadsTo("/next") }},
		"leadsTo nothing":  {func(t testing.TB) { check(t, bare).leadsTo("") }, func(t testing.TB) { check(t, page).leadsTo("") }},
		"leadsInto":        {func(t testing.TB) { check(t, page).leadsInto(rpURL + "/next") }, func(t testing.TB) { check(t, page).leadsInto("/next") }},
		"leadsWith":        {func(t testing.TB) { check(t, page).leadsWith("next", "x=1") }, func(t testing.TB) { check(t, page).leadsWith("next", "x=2") }},
		"leadsWithout":     {func(t testing.TB) { check(t, page).leadsWithout("y=") }, func(t testing.TB) { check(t, page).leadsWithout("y=", "x=") }},
		"body":             {func(t testing.TB) { check(t, bare).body("") }, func(t testing.TB) { check(t, page).body("the page") }},
		"opens":            {func(t testing.TB) { check(t, page).opens("the") }, func(t testing.TB) { check(t, page).opens("page") }},
		"shows":            {func(t testing.TB) { check(t, page).shows("the", "page") }, func(t testing.TB) { check(t, page).shows("the", "other") }},
		"hides":            {func(t testing.TB) { check(t, page).hides("other") }, func(t testing.TB) { check(t, page).hides("other", "page") }},
		"header":           {func(t testing.TB) { check(t, page).header("Retry-After", "5") }, func(t testing.TB) { check(t, page).header("Retry-After", "") }},
		"hasHeader":        {func(t testing.TB) { check(t, page).hasHeader("Retry-After") }, func(t testing.TB) { check(t, bare).hasHeader("Retry-After") }},
		"headerHas":        {func(t testing.TB) { check(t, page).headerHas("Location", "next") }, func(t testing.TB) { check(t, page).headerHas("Location", "y") }},
		"headerLacks":      {func(t testing.TB) { check(t, page).headerLacks("Location", "y") }, func(t testing.TB) { check(t, page).headerLacks("Location", "next") }},
		"setsCookies":      {func(t testing.TB) { check(t, page).setsCookies(1) }, func(t testing.TB) { check(t, page).setsCookies(0) }},
		"setsAnyCookie":    {func(t testing.TB) { check(t, page).setsAnyCookie() }, func(t testing.TB) { check(t, bare).setsAnyCookie() }},
		"code":             {func(t testing.TB) { check(t, page).code(errorcode.Forbidden) }, func(t testing.TB) { check(t, bare).code(errorcode.Forbidden) }},
	} {
		var p probe
		row.passes(&p)
		list(t, name+" where it holds", p.messages)
		row.fails(&p)
		if len(p.messages) != 1 {
			t.Errorf("%s where it does not hold: expected one message, seen %q", name, p.messages)
		}
	}
	var p probe
	equal(t, "a check that holds", check(&p, page).status(303).holds(), true)
	equal(t, "a check that fails", check(&p, page).status(200).leadsTo("/next?x=1").holds(), false)
}
