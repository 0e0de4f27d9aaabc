// Package placeholder resolves the placeholders of an operator's configuration:
// {env.NAME}, {file./path} and what else Caddy's replacer knows.
//
// It knows how a configuration spells them, and how a file of a placeholder is
// read. The replacer itself is the caller's: this package does not import Caddy.
// Errors name the variable or the file, and repeat nothing of what they hold.
package placeholder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
)

// Expander resolves placeholders.
type Expander struct {
	// Replace replaces all placeholders of a text, as Caddy's ReplaceOrErr does. An
	// unknown or empty one is an error that names it.
	Replace func(text string) (string, error)
}

// Expand resolves all placeholders of a text. Line ends at its end are cut off.
// An unknown or empty placeholder is an error. A text without a brace is returned
// as it is.
func (e Expander) Expand(text string) (string, error) {
	return e.ExpandFrom(livefile.ReadFile, text)
}

// ExpandFrom is Expand that reads the file of a text like {file./path} with the
// given function.
func (e Expander) ExpandFrom(read livefile.Read, text string) (string, error) {
	if !strings.Contains(text, "{") {
		return text, nil
	}
	if name, ok := File(text); ok {
		return ReadFile(read, name)
	}
	expanded, err := e.Replace(text)
	if err != nil {
		if _, key, _ := strings.Cut(err.Error(), "placeholder "); Begins(key) {
			key, _, _ = strings.Cut(key, "}")
			return "", fmt.Errorf("%s} is empty or cannot be read", key)
		}
		return "", errors.New("a placeholder in it is unknown, empty or cannot be read; a brace that is meant is written \\{")
	}
	return strings.TrimRight(expanded, "\r\n"), nil
}

// Begins reports whether a text begins with {env. or {file., as a placeholder does
// and a JSON document does not.
func Begins(text string) bool {
	text = strings.TrimSpace(text)
	return strings.HasPrefix(text, "{env.") || strings.HasPrefix(text, "{file.")
}

// CheckFixed refuses a text with placeholders that do not mean the same for every
// request: with others than {env.NAME} and {file./path}, or with one that has no end.
func CheckFixed(text string) error {
	for rest := text; ; {
		i := strings.IndexByte(rest, '{')
		if i < 0 {
			return nil
		}
		if i > 0 && rest[i-1] == '\\' {
			rest = rest[i+1:]
			continue
		}
		inside, after, closed := strings.Cut(rest[i+1:], "}")
		if !closed || strings.Contains(inside, "{") || !Begins(rest[i:]) {
			return fmt.Errorf("%q: a value may contain the placeholders {env.NAME} and {file./path} alone; a brace that is meant is written \\{", text)
		}
		rest = after
	}
}

// File returns the name of the file that a text is a placeholder for, as
// {file./path} is. A text with more than that placeholder is none.
func File(text string) (name string, ok bool) {
	name, ok = strings.CutPrefix(text, "{file.")
	if ok {
		name, ok = strings.CutSuffix(name, "}")
	}
	return name, ok && name != "" && !strings.ContainsAny(name, "{}\\")
}

// ReadFile returns what {file.name} stands for: the content of the file without
// line ends at its end. An empty file is an error.
func ReadFile(read livefile.Read, name string) (string, error) {
	content, err := read(name)
	text := strings.TrimRight(string(content), "\r\n")
	switch {
	case err != nil:
		return "", fmt.Errorf("{file.%s} is empty or cannot be read: %w", name, WithoutPath(err))
	case text == "":
		return "", fmt.Errorf("{file.%s} is empty or cannot be read", name)
	}
	return text, nil
}

// WithoutPath takes the name of the file off an error of the file system: what is
// no name of a file may be a key.
func WithoutPath(err error) error {
	var withPath *fs.PathError
	if errors.As(err, &withPath) {
		return withPath.Err
	}
	return err
}

// NamesFile reports whether a value that should be a secret or a document is the
// path of a file that exists, whose content was surely meant. A name without a
// folder may be a word, and is none.
func NamesFile(value string) bool {
	if !strings.ContainsAny(value, `/`+string(filepath.Separator)) || len(value) > 4096 || strings.ContainsAny(value, "\n\x00") {
		return false
	}
	info, err := os.Stat(value)
	return err == nil && !info.IsDir()
}
