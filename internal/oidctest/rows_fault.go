package oidctest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// faultRows returns the rows about broken connections, truncated and oversized
// bodies and error statuses at each back-channel endpoint, and about clock
// skew. It has no delays, because a table of them would take minutes. Separate
// tests use Fault.Delay, Fault.Drip, Stop and Start.
func faultRows() []Row {
	var rows []Row
	for _, at := range []struct {
		e     Endpoint
		stage Stage
	}{{Discovery, AtDiscovery}, {Token, AtToken}, {JWKS, AtKeys}, {UserInfo, AtUserInfo}} {
		add := func(id, name string, f Fault) {
			rows = append(rows, Row{ID: id, Name: name + " at " + at.e.String(), Stage: at.stage, Want: Refuse, tell: fault(at.e, f)})
		}
		add("X06", "a connection that is reset", Fault{Reset: true})
		add("X06", "a connection that ends", Fault{Drop: true})
		for _, n := range []int{0, 1, 40} {
			add("X15", "an answer cut after "+strconv.Itoa(n)+" bytes", Fault{Cut: true, CutAfter: n})
			add("X15", "a chunked answer cut after "+strconv.Itoa(n)+" bytes", Fault{Cut: true, CutAfter: n, Chunked: true})
			add("X15", "a document of "+strconv.Itoa(n)+" bytes", Fault{Body: Truncate(n)})
		}
		add("X16", "a Content-Length that is too short", Fault{Length: -5})
		add("X16", "a Content-Length that is too long", Fault{Length: 5})
		add("X17", "10 MB", Fault{Body: Inflate(10 << 20)})
		add("X17", "a gzip bomb of 256 MiB", Fault{GzipBomb: 256 << 20})
		add("X17", "an answer without end", Fault{Endless: true})
		add("X18", "100 000 nested lists", Fault{Body: Nest(100_000)})
		for _, status := range []int{301, 303, 307, 308, 400, 401, 403, 404, 408, 418, 429, 500, 502, 503, 504} {
			f := Fault{Status: status}
			if status < 400 {
				f.Header = locate(redirectTarget(at.e))
			}
			f.Replace("text/html", "<p>canary</p>")
			add("X19", "status "+strconv.Itoa(status)+" with HTML", f)
		}
		add("X19", "status 429 with Retry-After", Fault{Status: 429, Header: retryAfter})
	}
	for _, skew := range []struct {
		by   time.Duration
		want Verdict
	}{
		{-24 * time.Hour, Refuse}, {-10 * time.Minute, Refuse}, {-30 * time.Second, Accept},
		{30 * time.Second, Accept}, {90 * time.Second, Refuse}, {10 * time.Minute, Refuse}, {24 * time.Hour, Refuse},
	} {
		rows = append(rows, Row{ID: "X25", Name: "the provider's clock is off by " + skew.by.String(), Stage: AtIDToken,
			Want: skew.want, tell: func(_ *Provider, l *Faults) { l.Skew = skew.by }})
	}
	return append(rows, Row{ID: "X53", Name: "an ID token for ten seconds", Stage: AtIDToken, Want: Accept, Options: []Option{IDTokenLife(10 * time.Second)}})
}

// redirectTarget returns a path without content. For requests that carry a code
// or a token, it is the trap, because they must not follow redirects at all.
func redirectTarget(e Endpoint) string {
	if e == Token || e == UserInfo {
		return trapPath
	}
	return nowherePath
}

func locate(path string) func(http.Header) {
	return func(h http.Header) { h.Set("Location", path) }
}

func retryAfter(h http.Header) { h.Set("Retry-After", "7") }

// Truncate returns a Fault.Body that cuts the body after n bytes, with correct
// HTTP framing.
func Truncate(n int) func([]byte) []byte {
	return func(b []byte) []byte { return b[:min(n, len(b))] }
}

// Inflate returns a Fault.Body that pads a JSON object with a member of n
// bytes.
func Inflate(n int) func([]byte) []byte {
	return func(b []byte) []byte {
		return member(`"padding":"`+strings.Repeat("a", n)+`"`, true)(b)
	}
}

// Nest returns a Fault.Body that adds a member of n nested lists before the
// others of a JSON object.
func Nest(n int) func([]byte) []byte {
	return func(b []byte) []byte {
		return member(`"deep":`+strings.Repeat("[", n)+strings.Repeat("]", n), true)(b)
	}
}

// Widen returns a Fault.Body that adds n members to a JSON object.
func Widen(n int) func([]byte) []byte {
	return func(b []byte) []byte {
		var wide strings.Builder
		for i := range n {
			if i > 0 {
				wide.WriteByte(',')
			}
			wide.WriteString(`"m` + strconv.Itoa(i) + `":0`)
		}
		return member(wide.String(), true)(b)
	}
}
