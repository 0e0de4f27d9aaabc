// Command licences lists the licenses of everything that a Caddy with the plugin is built
// from. It fails if one of them is not on the list of allowed licenses.
//
//	go run ./cmd/licences          # compares docs/licences.md with what is there
//	go run ./cmd/licences -write   # writes it
//
// It reads the license files next to the packages in the module cache, so it needs no
// more network access than a build.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	document = "docs/licences.md"
	command  = "./cmd/caddy"
)

// systems are the operating systems to list builds for, because their packages differ.
var systems = []string{"linux", "darwin", "windows"}

const head = `# Licences

The modules that a Caddy with the plugin is built of, as ` + "`./cmd/caddy`" + ` is, and the licences of the packages that are used. Where a module has several,
all of them apply to parts of it. Written by ` + "`go run ./cmd/licences -write`" + ` in ` + "`e2e`" + `; ` + "`.ci/run`" + ` fails if it is out of date, or if a licence
is not one of these: ALLOWED.

| module | licences |
| --- | --- |
`

func main() {
	log.SetFlags(0)
	write := flag.Bool("write", false, "write "+document)
	root := flag.String("root", "..", "the folder of the plugin's module")
	flag.Parse()
	if err := run(*root, *write); err != nil {
		log.Fatal("licences: ", err)
	}
}

func run(root string, write bool) error {
	folders, err := foldersOf(root)
	if err != nil {
		return err
	}
	text, err := table(folders)
	if err != nil {
		return err
	}
	name := filepath.Join(root, document)
	if write {
		return os.WriteFile(name, text, 0o644)
	}
	committed, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if !bytes.Equal(committed, text) {
		return errors.New(document + " is out of date; write it with: cd e2e && GOWORK=off go run ./cmd/licences -write")
	}
	return nil
}

// A module is a module of the build, with its folder and the folders of the packages in
// use.
type module struct {
	path, root string
	folders    map[string]bool
}

// foldersOf returns the modules of the builds for all systems, by path.
func foldersOf(root string) (map[string]*module, error) {
	modules := make(map[string]*module)
	for _, system := range systems {
		list := exec.Command("go", "list", "-deps", "-json=Dir,Module", command)
		list.Dir, list.Stderr = root, os.Stderr
		list.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOOS="+system, "GOARCH=amd64")
		output, err := list.Output()
		if err != nil {
			return nil, fmt.Errorf("go list for %s: %w", system, err)
		}
		if err := add(modules, output); err != nil {
			return nil, fmt.Errorf("go list for %s: %w", system, err)
		}
	}
	if len(modules) == 0 {
		return nil, errors.New("the build has no modules")
	}
	return modules, nil
}

// add adds the modules in the output of go list, except for the plugin itself.
func add(modules map[string]*module, list []byte) error {
	for decoder := json.NewDecoder(bytes.NewReader(list)); ; {
		var p struct {
			Dir    string
			Module *struct {
				Path, Dir string
				Main      bool
				Replace   *struct{ Dir string }
			}
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if p.Module == nil || p.Module.Main {
			continue
		}
		m := modules[p.Module.Path]
		if m == nil {
			m = &module{p.Module.Path, p.Module.Dir, make(map[string]bool)}
			if p.Module.Replace != nil {
				m.root = p.Module.Replace.Dir
			}
			modules[m.path] = m
		}
		for folder := p.Dir; ; folder = filepath.Dir(folder) {
			m.folders[folder] = true
			if folder == m.root || folder == filepath.Dir(folder) {
				break
			}
		}
	}
}

// table returns the document. It returns an error if a license is not allowed or cannot
// be recognized.
func table(modules map[string]*module) ([]byte, error) {
	var text bytes.Buffer
	text.WriteString(strings.Replace(head, "ALLOWED", strings.Join(allowed(), ", "), 1))
	text.WriteString("| Go | BSD-3-Clause |\n")
	var errs []error
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		found, err := modules[path].licences()
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			continue
		}
		fmt.Fprintf(&text, "| %s | %s |\n", path, strings.Join(found, ", "))
	}
	return text.Bytes(), errors.Join(errs...)
}

var licenceFile = regexp.MustCompile(`(?i)^(un)?licen[cs]e([-._].*)?$|^copying([-._].*)?$|[-._]licen[cs]e(\.(md|txt))?$`)

// licences returns the names of the licenses in the module's folder and in the folders of
// the packages in use.
func (m *module) licences() ([]string, error) {
	var all []string
	for _, folder := range slices.Sorted(maps.Keys(m.folders)) {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if entry.IsDir() || !licenceFile.MatchString(entry.Name()) || strings.HasSuffix(entry.Name(), ".go") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(folder, entry.Name()))
			if err != nil {
				return nil, err
			}
			found, err := recognize(string(text))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", entry.Name(), err)
			}
			all = append(all, found...)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("no license file")
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
