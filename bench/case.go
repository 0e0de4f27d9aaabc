package main

import (
	"net/http"
	"strings"
)

// A row is one case of the whole-process table. To add one is to add it here.
type row struct {
	// name is what the table shows; -case selects by it.
	name string
	// claims is the file in testdata with what the provider says of the user who
	// signs in; no user does if it is empty.
	claims string
	// site are lines of the directive's block, beside those that name the
	// provider. {redis} stands for the host and port of a redis-server of the
	// row's own, {redis_socket} for its unix socket; one is started if either is
	// there.
	site string
	// path is asked for, and answered with status.
	path   string
	status int
	// aim and bareAim are the ratios that we want to stay under, to the same Caddy
	// without the directive that gets the same bytes, and to one that gets no
	// cookie; 0 is none.
	aim, bareAim float64
}

var rows = []row{
	{"usual user", "usual.json", "", "/reports/2026", http.StatusOK, 1.06, 1.12},
	{"usual user, three headers for the application", "usual.json",
		"upstream {\n header X-User {http.auth.user.id}\n header X-Email email\n header X-Groups groups\n}", "/reports/2026", http.StatusOK, 0, 0},
	{"usual user, three rules and two headers", "usual.json",
		"require group staff\n require email_domain example.com\n require claim preferred_username alice\n upstream {\n header X-User {http.auth.user.id}\n header X-Groups groups\n}", "/reports/2026", http.StatusOK, 0, 1.18},
	{"usual user, store memory", "usual.json", "session {\n store memory\n}", "/reports/2026", http.StatusOK, 0, 0},
	{"usual user, store storage", "usual.json", "session {\n store storage\n}", "/reports/2026", http.StatusOK, 0, 0},
	{"usual user, store redis", "usual.json", "session {\n store redis redis://{redis}/0\n}", "/reports/2026", http.StatusOK, 1.2, 0},
	{"large user", "large.json", "", "/reports/2026", http.StatusOK, 1.06, 1.40},
	{"anonymous, public route", "", "public /open/*", "/open/reports", http.StatusOK, 0, 0},
	{"anonymous, redirect to the login", "", "", "/reports/2026", http.StatusFound, 0, 0},
}

// An inProcess is a case of the in-process table: a benchmark of the plugin's
// package.
type inProcess struct {
	benchmark string
	aim       string
	label     string // what the table shows. Default: the benchmark's own name
}

// title returns what the table shows.
func (p inProcess) title() string {
	name := p.label
	if name == "" {
		name = strings.TrimPrefix(p.benchmark, "Request/")
	}
	return strings.ReplaceAll(name, "_", " ")
}

// isRequest reports whether the benchmark serves requests, so that the next handler is
// subtracted.
func (p inProcess) isRequest() bool { return p.benchmark != "Login" }

// alone is the benchmark that is subtracted from the others of its kind.
const alone = "Request/next_handler_alone"

var inProcesses = []inProcess{
	{benchmark: "Request/one_user,_1_KiB", aim: "≤ 800 ns, ≤ 4"},
	{benchmark: "Request/one_user,_1_KiB,_three_rules"},
	{benchmark: "Request/one_user,_4_KiB"},
	{benchmark: "Request/10,000_users_in_turn,_1_KiB", aim: "≤ 1.5 µs, ≤ 4"},
	{benchmark: "Request/first_time,_1_KiB", aim: "≤ 10 µs, ≤ 8"},
	{benchmark: "Request/first_time,_4_KiB", aim: "≤ 25 µs, ≤ 8"},
	{benchmark: "Request/anonymous,_public_site", aim: "≤ 500 ns, ≤ 3"},
	{benchmark: "Request/anonymous,_public_route", aim: "≤ 500 ns, ≤ 3"},
	{benchmark: "Request/redirect_to_the_login", aim: "≤ 15 µs"},
	{benchmark: "AccessKey/one_key", aim: "≤ 3 µs", label: "a program with an access key"},
	{benchmark: "AccessKey/one_key,_as_a_password", aim: "≤ 3 µs", label: "a program with an access key, as a password"},
	{benchmark: "AccessKey/10,000_keys_in_turn", label: "10,000 programs in turn"},
	{benchmark: "AccessToken/one_token", aim: "≤ 3 µs", label: "a program with an access token (JWT)"},
	{benchmark: "AccessToken/first_time", label: "an access token, first time"},
	{benchmark: "Check/one_user,_1_KiB", label: "check for another proxy, one user, 1 KiB"},
	{benchmark: "Login", aim: "≤ 0.5 ms"},
}
