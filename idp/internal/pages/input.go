package pages

import (
	"slices"
	"strings"
)

// input is a form field, for the template «input».
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

// Input returns a form field. Each of more is "optional" or the key of a hint.
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

// Problems returns the problems with the field.
func (in input) Problems() []Problem { return in.View.Problems(in.Name) }

// Described returns the ids of the elements that describe the field, for
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

// IsCode reports whether the field is for a code of digits.
func (in input) IsCode() bool { return slices.Contains([]string{FieldCode, FieldCode2}, in.Name) }

// IsName reports whether the field is for something that browsers should not correct,
// such as a name.
func (in input) IsName() bool {
	return slices.Contains([]string{FieldUserName, FieldRecovery, FieldLinkCode, FieldEmail}, in.Name)
}

// MaxLength returns the maximum length of the field, in characters.
func (in input) MaxLength() int {
	switch in.Name {
	case FieldCode, FieldCode2:
		return 20 // two codes of eight digits, with spaces
	case FieldPassword, FieldNewPassword, FieldRepeat:
		return 512
	case FieldLabel, FieldRecovery, FieldLinkCode:
		return 64
	}
	return 254
}
