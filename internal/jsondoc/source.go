// Package jsondoc writes the fields of docs/json.md from the comments in the source,
// which Caddy's website publishes as well.
//
// It knows how Go source says what a configuration has, and where a Caddyfile says
// the same in other words. It reads source files alone: whether the options that it
// names exist is checked by a test of the root package.
package jsondoc

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// Struct is a type of the configuration.
type Struct struct {
	Doc    string // the first paragraph of its comment
	Fields []Field
}

// Field is a field that the configuration has.
type Field struct {
	Name string // in JSON
	Type string // in Go
	Tag  string // what the tag caddy says of modules
	Doc  string
}

// read returns the structs of the packages in some folders below root, by
// `folder.Name`.
func read(root string, folders []string) (map[string]Struct, error) {
	all := make(map[string]Struct)
	for _, folder := range folders {
		names, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(folder), "*.go"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
			if err != nil {
				return nil, err
			}
			for typeName, s := range structs(file) {
				all[folder+"."+typeName] = s
			}
		}
	}
	return all, nil
}

// structs returns the structs of a file, by name.
func structs(file *ast.File) map[string]Struct {
	all := make(map[string]Struct)
	for _, decl := range file.Decls {
		general, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range general.Specs {
			of, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			if s, ok := of.Type.(*ast.StructType); ok {
				comment := of.Doc
				if comment == nil {
					comment = general.Doc
				}
				all[of.Name.Name] = Struct{firstParagraph(comment), fieldsOf(s)}
			}
		}
	}
	return all
}

func fieldsOf(s *ast.StructType) (fields []Field) {
	for _, field := range s.Fields.List {
		if field.Tag == nil || len(field.Names) != 1 {
			continue
		}
		tag := reflect.StructTag(strings.Trim(field.Tag.Value, "`"))
		name, _, _ := strings.Cut(tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		fields = append(fields, Field{name, typeName(field.Type), tag.Get("caddy"), oneLine(field.Doc.Text())})
	}
	return fields
}

// typeName writes a type as Go does, as far as fields of a configuration have it.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return "*" + typeName(e.X)
	case *ast.ArrayType:
		return "[]" + typeName(e.Elt)
	case *ast.MapType:
		return "map[" + typeName(e.Key) + "]" + typeName(e.Value)
	case *ast.SelectorExpr:
		return typeName(e.X) + "." + e.Sel.Name
	}
	return fmt.Sprintf("%T", e)
}

// firstParagraph returns the text of a comment up to its first blank line, in one
// line.
func firstParagraph(comment *ast.CommentGroup) string {
	first, _, _ := strings.Cut(comment.Text(), "\n\n")
	return oneLine(first)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
