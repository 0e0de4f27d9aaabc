// Package placeholder resolves the placeholders of an operator's configuration:
// {env.NAME}, {file./path} and the others of Caddy's replacer.
//
// It knows the syntax of placeholders, and how to read a placeholder's file. The
// caller provides the replacer, because this package does not import Caddy.
// Errors name the variable or file, but never repeat its content.
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
	// Replace replaces all placeholders in text, as Caddy's ReplaceOrErr does. It
	// returns an error that names the placeholder if one is unknown or empty.
	Replace func(text string) (string, error)
}

// Expand resolves all placeholders in text and removes trailing line breaks. It
// returns an error if a placeholder is unknown or empty. A text without a brace
// is returned unchanged.
func (e Expander) Expand(text string) (string, error) {
	return e.ExpandFrom(livefile.ReadFile, text)
}

// ExpandFrom is like Expand, but uses read for a text that consists of one
// {file./path} placeholder.
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

// Begins reports whether text begins with {env. or {file., after spaces. It
// distinguishes placeholders from JSON documents.
func Begins(text string) bool {
	text = strings.TrimSpace(text)
	return strings.HasPrefix(text, "{env.") || strings.HasPrefix(text, "{file.")
}

// CheckFixed returns an error if text has placeholders other than {env.NAME} and
// {file./path}, whose values could depend on the request, or an unclosed placeholder.
// \{ is a literal brace.
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

// File returns the name of the file if text is exactly one placeholder
// {file./path}.
func File(text string) (name string, ok bool) {
	name, ok = strings.CutPrefix(text, "{file.")
	if ok {
		name, ok = strings.CutSuffix(name, "}")
	}
	return name, ok && name != "" && !strings.ContainsAny(name, "{}\\")
}

// ReadFile returns the value of {file.name}: the content of the file without
// trailing line breaks. It returns an error if that is empty.
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

// WithoutPath removes the file name from an error of the file system. If an
// operator has put a key in place of a file name, the error must not contain it.
func WithoutPath(err error) error {
	var withPath *fs.PathError
	if errors.As(err, &withPath) {
		return withPath.Err
	}
	return err
}

// NamesFile reports whether a value that should be a secret or a document is
// instead the path of an existing file, so that the file's content was probably
// intended. A name without a path separator does not count, because it may be an
// ordinary word.
func NamesFile(value string) bool {
	if !strings.ContainsAny(value, `/`+string(filepath.Separator)) || len(value) > 4096 || strings.ContainsAny(value, "\n\x00") {
		return false
	}
	info, err := os.Stat(value)
	return err == nil && !info.IsDir()
}
