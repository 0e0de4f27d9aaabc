package doctor

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/loadcheck"
)

// These match a file and a line in the errors of Caddy's parsers.
var (
	placeAfter  = regexp.MustCompile(`, at ([^\s,]+):(\d+)(?:$|(: ))`)
	placeBefore = regexp.MustCompile(`^([^\s,:]+):(\d+)(?: -|:) `)
)

// provisioned matches the part of an error of Caddy that precedes the error of one of
// our modules: the list of all modules around it.
var provisioned = regexp.MustCompile(`^.*provision (?:http\.handlers\.|http\.matchers\.)?(oidc_rp[a-z_.]*): `)

// adapted matches what Caddy puts before the errors of config adapters.
var adapted = regexp.MustCompile(`^adapting config using [a-z]+: (?:parsing caddyfile tokens for '[a-z_]+': )?(?:Error during parsing: )?`)

// CannotLoad returns the report on a configuration that cannot be loaded.
func CannotLoad(config string, err error) *Report {
	check := Check{Name: "configuration", Status: Failed, Message: err.Error(), File: config}
	if provisioned.MatchString(check.Message) {
		check.Message = provisioned.ReplaceAllString(check.Message, "")
	}
	check.Message = adapted.ReplaceAllString(check.Message, "")
	for _, place := range []*regexp.Regexp{placeAfter, placeBefore} {
		if m := place.FindStringSubmatch(check.Message); m != nil {
			check.Message = place.ReplaceAllString(check.Message, "$3")
			check.File = m[1]
			check.Line, _ = strconv.Atoi(m[2])
			break
		}
	}
	check.Remedy = remedyFor(check.Message)
	where := check.File
	if check.Line > 0 {
		where = fmt.Sprintf("%s:%d", check.File, check.Line)
	}
	if where != "" {
		check.Message = where + ": " + check.Message
	}
	r := &Report{Config: config, Sites: []Site{}, Checks: []Check{check}}
	r.Count()
	return r
}

// remedies has remedies for errors that do not contain one.
var remedies = []struct {
	error  *regexp.Regexp
	remedy string
}{
	{regexp.MustCompile(`unrecognized matcher name: (@\S+)`), "Define the matcher in this site, as in $1 path /a /b/*, or correct its name."},
	{regexp.MustCompile(`\{env\.(\S+)\} is empty`), "Set $1 in the environment of Caddy and of this command."},
	{regexp.MustCompile(`^issuer: .* is plain http,`), "Write https://. If the provider has no TLS, give it a certificate first: on plain HTTP, anyone on the network path can sign in as anyone."},
	{regexp.MustCompile(`no such file or directory`), "Create the file, or correct its name: relative names are relative to the directory in which Caddy is started."},
	{regexp.MustCompile(`permission denied`), "Run this as the user that runs Caddy, who must be able to read the file."},
}

// remedyFor returns the remedy for an error from remedies, or "".
func remedyFor(message string) string {
	for _, r := range remedies {
		if m := r.error.FindStringSubmatchIndex(message); m != nil {
			return string(r.error.ExpandString(nil, r.remedy, message, m))
		}
	}
	return ""
}

// AddWarning adds a message that was logged while the configuration was loaded. It is
// about the site in the field "site", or about the whole configuration if there is no
// such site. It has no remedy, because most of these messages contain one.
func (r *Report) AddWarning(message string, fields map[string]any) {
	r.addTo(Check{Name: "load", Status: Warning, Message: message}, fields)
}

// AddFindings adds the findings of package loadcheck as warnings.
func (r *Report) AddFindings(findings []loadcheck.Finding) {
	for _, f := range findings {
		fields := make(map[string]any)
		for _, attr := range f.Attrs {
			fields[attr.Key] = attr.Value.Any()
		}
		r.addTo(Check{Name: "site", Status: Warning, Message: f.Message, Remedy: f.Remedy}, fields)
	}
}

// addTo adds a check to the site in the field "site", or to the whole configuration if
// there is no such site. The other fields become details.
func (r *Report) addTo(c Check, fields map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != "site" && name != "event" {
			c.Details = append(c.Details, fmt.Sprintf("%s: %s", name, valueText(fields[name])))
		}
	}
	n := slices.IndexFunc(r.Sites, func(s Site) bool { return s.Name == fields["site"] })
	if n < 0 {
		if site, ok := fields["site"].(string); ok {
			c.Details = append(c.Details, "site: "+site)
		}
		r.Checks = append(r.Checks, c)
		return
	}
	r.Sites[n].Checks = append(r.Sites[n].Checks, c)
}

// valueText returns the value of a field as text. Elements of lists are
// separated by commas.
func valueText(value any) string {
	list, ok := value.([]any)
	if !ok {
		return fmt.Sprint(value)
	}
	var texts []string
	for _, one := range list {
		texts = append(texts, fmt.Sprint(one))
	}
	return strings.Join(texts, ", ")
}
