// Package jsondoc generates the fields in docs/json.md from the comments in the
// source, which Caddy's website publishes as well.
//
// It finds the fields of the configuration in Go source, and knows which Caddyfile
// options have other names. It only reads source files; a test of the root package
// checks that the options exist.
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

// Struct is a struct type of the configuration.
type Struct struct {
	Doc    string // the first paragraph of its comment
	Fields []Field
}

// Field is a field of a Struct that has a name in JSON.
type Field struct {
	Name string // in JSON
	Type string // in Go
	Tag  string // the value of the struct tag caddy
	Doc  string
}

// read returns the structs in the given folders below root. The keys have the
// form folder.Name.
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

// typeName returns a type in Go syntax. It knows the kinds of types that fields
// of the configuration have.
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

// firstParagraph returns the first paragraph of a comment as a single line.
func firstParagraph(comment *ast.CommentGroup) string {
	first, _, _ := strings.Cut(comment.Text(), "\n\n")
	return oneLine(first)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
