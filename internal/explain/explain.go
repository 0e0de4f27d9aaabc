// Package explain writes a report for the operator on how the rules of a site apply
// to a user at a path: the readings of the path with their routes, each rule, and
// the verdict.
//
// It only writes the report. Its caller reads the configuration, creates the
// user from claims, and evaluates the rules.
package explain

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// Report is the result of applying the rules to a user at a path.
type Report struct {
	Site     string    `json:"site"`
	Path     string    `json:"path"`
	User     string    `json:"user,omitempty"`     // {http.auth.user.id}
	Provider string    `json:"provider,omitempty"` // id of the user's provider
	Readings []Reading `json:"readings"`
	Rules    []Rule    `json:"rules"`
	Verdict  Verdict   `json:"verdict"`
	// Reason explains the verdict in words.
	Reason string `json:"reason"`
}

// Reading is one way in which an application might interpret the path.
type Reading struct {
	Path  string `json:"path"`
	Route string `json:"route"` // the route for it, as in "private /admin /admin/*"
}

// Rule is a rule that applies, and its result.
type Rule struct {
	Rule   string `json:"rule"` // as written in the configuration
	Place  string `json:"place"`
	Result Result `json:"result"`
}

// Result is the result of a rule for the user.
type Result string

const (
	Satisfied Result = "satisfied"
	Refuses   Result = "refuses"
	// Asks means that a new sign-in may satisfy the rule.
	Asks Result = "asks"
)

// Verdict is what happens to a request of the user.
type Verdict string

const (
	Allowed Verdict = "allowed"
	Refused Verdict = "refused"
	// SignIn means that the user has to sign in again, in a stronger way or more
	// recently.
	SignIn Verdict = "sign_in"
)

// marks precede rules in the text.
var marks = map[Result]string{Satisfied: "✔", Refuses: "✘", Asks: "!"}

// WriteJSON writes the report as JSON.
func (r *Report) WriteJSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// WriteText writes the report for people.
func (r *Report) WriteText(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "site\t%s\n", r.Site)
	fmt.Fprintf(w, "path\t%s\n", r.Path)
	if r.User != "" {
		fmt.Fprintf(w, "user\t%s (provider %s)\n", r.User, r.Provider)
	}
	for n, reading := range r.Readings {
		name := ""
		if n == 0 {
			name = "readings"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, reading.Path, reading.Route)
	}
	if len(r.Rules) == 0 {
		fmt.Fprintf(w, "rules\tnone\n")
	}
	for n, rule := range r.Rules {
		name := ""
		if n == 0 {
			name = "rules"
		}
		fmt.Fprintf(w, "%s\t%s %s\t%s\n", name, marks[rule.Result], rule.Rule, rule.Place)
	}
	fmt.Fprintf(w, "verdict\t%s: %s\n", r.Verdict, r.Reason)
	return w.Flush()
}
