package pages

import (
	"slices"
	"strings"
)

// input is a field of a form, for the template «input».
type input struct {
	View         view
	Name         string
	Type         string
	Autocomplete string
	Label        string // a key
	Value        string
	HintKey      string
	Optional     bool
}

// Input returns a field. Words after its value are «optional», or the key of a
// hint.
func (v view) Input(name, kind, autocomplete, label, value string, more ...string) input {
	in := input{View: v, Name: name, Type: kind, Autocomplete: autocomplete, Label: label, Value: value}
	for _, word := range more {
		if word == "optional" {
			in.Optional = true
		} else {
			in.HintKey = word
		}
	}
	return in
}

// Problems are the problems with the field.
func (in input) Problems() []Problem { return in.View.Problems(in.Name) }

// Described is the ids of the elements that describe the field, for
// aria-describedby.
func (in input) Described() string {
	var ids []string
	if in.HintKey != "" {
		ids = append(ids, in.Name+"-hint")
	}
	if len(in.Problems()) > 0 {
		ids = append(ids, in.Name+"-problem")
	}
	return strings.Join(ids, " ")
}

// IsCode reports whether the field holds a code of digits.
func (in input) IsCode() bool { return slices.Contains([]string{FieldCode, FieldCode2}, in.Name) }

// IsName reports whether the field holds something that is not prose.
func (in input) IsName() bool {
	return slices.Contains([]string{FieldUserName, FieldRecovery, FieldLinkCode, FieldEmail}, in.Name)
}

// MaxLength is how many characters the field holds.
func (in input) MaxLength() int {
	switch in.Name {
	case FieldCode, FieldCode2:
		return 20 // two codes of eight digits, with blanks
	case FieldPassword, FieldNewPassword, FieldRepeat:
		return 512
	case FieldLabel, FieldRecovery, FieldLinkCode:
		return 64
	}
	return 254
}
