package jsondoc

import (
	"fmt"
	"slices"
	"strings"
)

// The lines around the generated part of the page.
const (
	Begin = "<!-- The fields are generated: go test ./internal/jsondoc -update -->\n"
	End   = "<!-- End of the generated fields. -->\n"
)

// Page returns the page with its generated part updated from the source below
// root.
func Page(root, page string) (string, error) {
	head, rest, begins := strings.Cut(page, Begin)
	_, tail, ends := strings.Cut(rest, End)
	if !begins || !ends {
		return "", fmt.Errorf("the page has no lines %q and %q", Begin, End)
	}
	fields, err := Fields(root)
	if err != nil {
		return "", err
	}
	return head + Begin + "\n" + fields + End + tail, nil
}

// Fields returns the generated part of the page: its sections, with an entry for
// each field. It returns an error if a field has no comment.
func Fields(root string) (string, error) {
	source, err := read(root, folders)
	if err != nil {
		return "", err
	}
	var page strings.Builder
	for _, section := range Sections {
		s, known := source[section.Of]
		if !known {
			return "", fmt.Errorf("there is no type %s", section.Of)
		}
		intro := section.Intro
		if intro == "" {
			intro = withoutName(s.Doc)
		}
		fmt.Fprintf(&page, "## %s\n\n%s\n\n", section.Title, intro)
		if err := writeFields(&page, section, s); err != nil {
			return "", err
		}
		page.WriteString("\n")
	}
	return page.String(), nil
}

func writeFields(page *strings.Builder, section Section, s Struct) error {
	used := 0
	for _, field := range s.Fields {
		if field.Doc == "" {
			return fmt.Errorf("%s: the field %s has no comment", section.Of, field.Name)
		}
		fmt.Fprintf(page, "- **`%s`** (%s", field.Name, typeOf(section, field))
		if option := section.Caddyfile[field.Name]; option != "" {
			used++
			page.WriteString("; in a Caddyfile, " + asOption(option))
		}
		fmt.Fprintf(page, "): %s\n", field.Doc)
	}
	if used != len(section.Caddyfile) {
		return fmt.Errorf("%s: Caddyfile names a field that the type does not have", section.Of)
	}
	return nil
}

// OptionsOf returns the names of the Caddyfile options that the page gives for
// the fields of a type in Sections.
func OptionsOf(root, of string) ([]string, error) {
	source, err := read(root, folders)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(Sections, func(s Section) bool { return s.Of == of })
	if at < 0 {
		return nil, fmt.Errorf("the page has no section about %s", of)
	}
	var names []string
	for _, field := range source[of].Fields {
		option := field.Name
		if other := Sections[at].Caddyfile[field.Name]; other != "" {
			option = other
		}
		for part := range strings.SplitSeq(option, " and ") {
			name, _, _ := strings.Cut(part, " ")
			if name != "oidc_rp" && name != "the" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// asOption formats a value of Section.Caddyfile: options as code, and
// descriptions, which begin with "the", as they are.
func asOption(option string) string {
	if strings.HasPrefix(option, "the ") {
		return option
	}
	return "`" + strings.ReplaceAll(option, " and ", "` and `") + "`"
}

// withoutName removes the name of a type from the beginning of its comment:
// "Upstream configures …" becomes "Configures …".
func withoutName(doc string) string {
	_, rest, _ := strings.Cut(doc, " ")
	rest = strings.TrimPrefix(rest, "is ")
	if rest == "" {
		return doc
	}
	return strings.ToUpper(rest[:1]) + rest[1:]
}

// typeOf describes the type of a field in words, with links.
func typeOf(section Section, field Field) string {
	if field.Tag != "" {
		return moduleOf(field)
	}
	return inWords(section, strings.TrimPrefix(field.Type, "*"))
}

// plainTypes describes the JSON values for types of Go and Caddy.
var plainTypes = map[string]string{
	"string": "text", "bool": "true or false", "int": "number", "caddy.Duration": "duration", "[]string": "list", "Parameter": "texts or lists",
	"map[string]string": "object of texts",
}

func inWords(section Section, goType string) string {
	if plain := plainTypes[goType]; plain != "" {
		return plain
	}
	if element, ok := strings.CutPrefix(goType, "[]"); ok {
		return "list of " + inWords(section, strings.TrimPrefix(element, "*"))
	}
	if element, ok := strings.CutPrefix(goType, "map[string]"); ok {
		return "object of " + inWords(section, strings.TrimPrefix(element, "*"))
	}
	folder, _, _ := strings.Cut(section.Of, ".")
	if folder == "" {
		folder = "."
	}
	for _, other := range Sections {
		if other.Of == goType || other.Of == folder+"."+goType {
			return "[" + lower(other.Title) + "](#" + strings.ReplaceAll(strings.ToLower(other.Title), " ", "-") + ")"
		}
	}
	return goType
}

// lower returns a title with a lower-case initial, unless its first word is a
// name.
func lower(title string) string {
	if strings.HasPrefix(title, "TLS") || strings.HasPrefix(title, "Sentinels") {
		return title
	}
	return strings.ToLower(title[:1]) + title[1:]
}

// moduleOf describes the modules that a field accepts.
func moduleOf(field Field) string {
	switch {
	case strings.Contains(field.Tag, "http.matchers"):
		return "[matcher sets](https://caddyserver.com/docs/json/apps/http/servers/routes/match/)"
	case strings.Contains(field.Tag, "caddy.storage"):
		return "a storage module of Caddy"
	case strings.HasPrefix(field.Type, "[]"):
		return "list of objects, whose `module` is " + alternatives("list", "file", "scim")
	}
	return "object, whose `module` is " + alternatives("cookie", "memory", "storage", "redis")
}

func alternatives(names ...string) string {
	last := len(names) - 1
	return "`" + strings.Join(names[:last], "`, `") + "` or `" + names[last] + "`"
}
