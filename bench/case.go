package main

import "net/http"

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
	{"usual user", "usual.json", "", "/reports/2026", http.StatusOK, 1.06, 1.15},
	{"usual user, three headers for the application", "usual.json",
		"upstream {\n header X-User {http.auth.user.id}\n header X-Email email\n header X-Groups groups\n}", "/reports/2026", http.StatusOK, 0, 0},
	{"usual user, three rules", "usual.json", "require group staff\n require email_domain example.com\n require claim preferred_username alice", "/reports/2026", http.StatusOK, 0, 0},
	{"usual user, store memory", "usual.json", "session {\n store memory\n}", "/reports/2026", http.StatusOK, 0, 0},
	{"usual user, store storage", "usual.json", "session {\n store storage\n}", "/reports/2026", http.StatusOK, 0, 0},
	{"usual user, store redis", "usual.json", "session {\n store redis redis://{redis}/0\n}", "/reports/2026", http.StatusOK, 1.2, 0},
	{"large user", "large.json", "", "/reports/2026", http.StatusOK, 1.06, 1.45},
	{"anonymous, public route", "", "public /open/*", "/open/reports", http.StatusOK, 0, 0},
	{"anonymous, redirect to the login", "", "", "/reports/2026", http.StatusFound, 0, 0},
}

// An inProcess is a case of the in-process table: a benchmark of the plugin's
// package.
type inProcess struct {
	benchmark string
	aim       string
}

// alone is the benchmark that is subtracted from the others of its kind.
const alone = "Request/next_handler_alone"

var inProcesses = []inProcess{
	{"Request/one_user,_1_KiB", "≤ 800 ns, ≤ 4"},
	{"Request/one_user,_1_KiB,_three_rules", ""},
	{"Request/one_user,_4_KiB", ""},
	{"Request/10,000_users_in_turn,_1_KiB", "≤ 1.5 µs, ≤ 4"},
	{"Request/first_time,_1_KiB", "≤ 10 µs, ≤ 8"},
	{"Request/first_time,_4_KiB", "≤ 25 µs, ≤ 8"},
	{"Request/anonymous,_public_site", "≤ 500 ns, ≤ 3"},
	{"Request/anonymous,_public_route", "≤ 500 ns, ≤ 3"},
	{"Request/redirect_to_the_login", "≤ 15 µs"},
	{"Login", "≤ 0.5 ms"},
}
