package main

import (
	"net/http"
	"strings"
)

// A row is one case of the whole-process table. To add a case, add it to rows.
type row struct {
	// name is the name in the table. The flag -case selects rows by name.
	name string
	// claims is the file in testdata with the claims of the user who signs in.
	// If it is empty, no user signs in.
	claims string
	// site has additional lines for the directive's block. {redis} is replaced
	// by the host and port of a redis-server that is started for this row, and
	// {redis_socket} by the path of its Unix socket.
	site string
	// path is the path to request, and status the expected status.
	path   string
	status int
	// aim and bareAim are upper limits for the cost relative to a Caddy without
	// the directive: aim if that gets the same bytes, bareAim if it gets no
	// cookie. 0 means no limit.
	aim, bareAim float64
}

var rows = []row{
	{"usual user", "usual.json", "", "/reports/2026", http.StatusOK, 1.06, 1.12},
	{"usual user, three headers for the application", "usual.json",
		"upstream {\n header X-User {http.auth.user.id}\n header X-Email email\n header X-Groups groups\n}", "/reports/2026", http.StatusOK, 0, 0},
	{"usual user, three rules, two headers", "usual.json",
		"require group staff\n require email_domain example.com\n require claim preferred_username alice\n upstream {\n header X-User {http.auth.user.id}\n header X-Groups groups\n}", "/reports/2026", http.StatusOK, 0, 1.18},
	{"usual user, store memory", "usual.json", "session {\n store memory\n}", "/reports/2026", http.StatusOK, 0, 0},
	{"usual user, store storage", "usual.json", "session {\n store storage\n}", "/reports/2026", http.StatusOK, 0, 0},
	{"usual user, store redis", "usual.json", "session {\n store redis redis://{redis}/0\n}", "/reports/2026", http.StatusOK, 1.2, 0},
	{"large user", "large.json", "", "/reports/2026", http.StatusOK, 1.06, 1.40},
	{"anonymous, public route", "", "public /open/*", "/open/reports", http.StatusOK, 0, 0},
	{"anonymous, redirect to the login", "", "", "/reports/2026", http.StatusFound, 0, 0},
}

// An inProcess is one case of the in-process table, a benchmark in the plugin's
// package.
type inProcess struct {
	benchmark string
	aim       string
	label     string // name in the table. Default: the benchmark's name
}

// title returns the name in the table.
func (p inProcess) title() string {
	name := p.label
	if name == "" {
		name = strings.TrimPrefix(p.benchmark, "Request/")
	}
	return strings.ReplaceAll(name, "_", " ")
}

// isRequest reports whether the benchmark serves requests. The cost of the next
// handler is then subtracted.
func (p inProcess) isRequest() bool { return p.benchmark != "Login" }

// alone is the benchmark of the next handler, which is subtracted from those
// that serve requests.
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
