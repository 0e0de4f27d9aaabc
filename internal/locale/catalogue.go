// Package locale has the texts of the pages in several languages. A language is one
// file, locales/<tag>.json, with one text under each key; operators can add files of
// their own.
//
// It knows the texts, their placeholders, and which language a browser prefers. It does
// not know what a page looks like.
package locale

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// folderName is the folder of the files, within the built-in templates and within
// those of an operator.
const folderName = "locales"

// english is the fallback for texts that another language lacks.
var english = language.English

// ownKey is the prefix of keys that operators add for their own templates.
const ownKey = "own."

// Catalogue holds the texts in all languages.
type Catalogue struct {
	languages []*Language // English first, or as Only says
	matcher   language.Matcher
}

// Language holds all texts in one language, with English ones for those that its
// files lack.
type Language struct {
	tag   language.Tag
	texts map[string]string
}

// Read reads the built-in languages and those in the operator's folder, whose texts
// override the built-in ones. If folder is empty, there are only the built-in ones.
func Read(builtin fs.FS, folder string, read livefile.Read) (*Catalogue, error) {
	ours, err := readBuiltin(builtin)
	if err != nil {
		return nil, err
	}
	theirs, err := readFolder(folder, slices.Collect(maps.Keys(ours)), read)
	if err != nil {
		return nil, err
	}
	source := maps.Clone(ours[english].byKey())
	if own := theirs[english]; own != nil {
		if err := own.check(source, true); err != nil {
			return nil, err
		}
		maps.Copy(source, own.byKey())
	}
	for _, file := range theirs {
		if err := file.check(source, false); err != nil {
			return nil, err
		}
	}
	tags := slices.Collect(maps.Keys(ours))
	for tag := range theirs {
		if ours[tag] == nil {
			tags = append(tags, tag)
		}
	}
	slices.SortFunc(tags, func(a, b language.Tag) int {
		switch {
		case a == b:
			return 0
		case a == english:
			return -1
		case b == english:
			return 1
		}
		return strings.Compare(a.String(), b.String())
	})
	c := &Catalogue{matcher: language.NewMatcher(tags)}
	for _, tag := range tags {
		texts := maps.Clone(source)
		for _, file := range []*file{ours[tag], theirs[tag]} {
			maps.Copy(texts, file.byKey())
		}
		c.languages = append(c.languages, &Language{tag, texts})
	}
	return c, nil
}

// Only returns a catalogue of the given languages. The first one is the fallback
// for browsers that prefer none of them.
func (c *Catalogue) Only(tags []string) (*Catalogue, error) {
	only := new(Catalogue)
	var of []language.Tag
	for _, name := range tags {
		i := slices.IndexFunc(c.languages, func(l *Language) bool { return strings.EqualFold(l.Tag(), name) })
		switch {
		case i < 0:
			return nil, suggest.Hint(fmt.Errorf("there are no texts in the language %q", name), name, c.Tags()...)
		case slices.Contains(only.languages, c.languages[i]):
			return nil, fmt.Errorf("the language %q appears twice", name)
		}
		only.languages = append(only.languages, c.languages[i])
		of = append(of, c.languages[i].tag)
	}
	if len(of) == 0 {
		return nil, errors.New("there is no language")
	}
	only.matcher = language.NewMatcher(of)
	return only, nil
}

// English returns the fallback: English, or the first language given to Only.
func (c *Catalogue) English() *Language { return c.languages[0] }

// Tags returns the languages, English first.
func (c *Catalogue) Tags() (all []string) {
	for _, l := range c.languages {
		all = append(all, l.Tag())
	}
	return all
}

func readBuiltin(builtin fs.FS) (map[language.Tag]*file, error) {
	names, err := fs.Glob(builtin, folderName+"/*.json")
	if err != nil {
		return nil, err
	}
	files := make(map[language.Tag]*file)
	for _, name := range names {
		text, err := fs.ReadFile(builtin, name)
		if err != nil {
			return nil, err
		}
		if err := add(files, path.Base(name), text); err != nil {
			return nil, err
		}
	}
	if files[english] == nil {
		return nil, errors.New("the built-in texts in English are missing")
	}
	return files, nil
}

// readFolder reads the operator's files. It also tries those of the built-in
// languages, so that files that are added later are noticed.
func readFolder(folder string, builtin []language.Tag, read livefile.Read) (map[language.Tag]*file, error) {
	if folder == "" {
		return nil, nil
	}
	folder = filepath.Join(folder, folderName)
	names := make(map[string]bool)
	for _, tag := range builtin {
		names[tag.String()+".json"] = true
	}
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", folderName, err)
	}
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) == ".json" {
			names[entry.Name()] = true
		}
	}
	files := make(map[language.Tag]*file)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		text, err := read(filepath.Join(folder, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", folderName, name, err)
		}
		if err := add(files, name, text); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// add reads a file and adds it under its language.
func add(files map[language.Tag]*file, name string, text []byte) error {
	shown := folderName + "/" + name
	tag, err := language.Parse(strings.TrimSuffix(name, ".json"))
	if err != nil || tag == language.Und {
		return fmt.Errorf("%s: the name is not that of a language, such as de.json or pt-BR.json", shown)
	}
	if before := files[tag]; before != nil {
		return fmt.Errorf("%s: %s is the same language", shown, before.name)
	}
	if files[tag], err = parse(shown, text); err != nil {
		return err
	}
	return nil
}

// check compares an operator's file with the texts in English, by key. isEnglish
// reports whether it is the English file, which may add texts for the operator's
// own templates.
func (f *file) check(source map[string]string, isEnglish bool) error {
	for _, e := range f.entries {
		text, known := source[e.key]
		possible := Placeholders(text)
		if strings.HasPrefix(e.key, ownKey) {
			known, possible = known || isEnglish, values
			if !known {
				return f.errorAt(e.line, fmt.Errorf("the text %q is not in %s/en.json, which it falls back to in other languages", e.key, folderName))
			}
		}
		if !known {
			return f.errorAt(e.line, suggest.Hint(fmt.Errorf("unknown text %q", e.key), e.key, slices.Collect(maps.Keys(source))...))
		}
		for _, name := range Placeholders(e.text) {
			if !slices.Contains(possible, name) {
				err := fmt.Errorf("the text %q has no placeholder {%s}", e.key, name)
				return f.errorAt(e.line, suggest.Hint(err, name, possible...))
			}
		}
	}
	return nil
}

// Keys returns the keys of all texts, sorted.
func (l *Language) Keys() []string { return slices.Sorted(maps.Keys(l.texts)) }
