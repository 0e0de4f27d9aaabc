package claims

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Operand is a configured text that claims are compared with.
type Operand struct {
	text   string
	number string // the canonical form of a number; empty for other texts
}

// NewOperand makes an operand of a text as it is written.
func NewOperand(text string) Operand { return Operand{text, canonicalNumber(text)} }

// String returns the text as it was written.
func (o Operand) String() string { return o.text }

// Matches reports whether a value, or one element of a list, equals one of the
// operands: strings byte for byte, numbers by value, booleans as true and false.
// Null, objects and lists within lists equal nothing.
func (v Value) Matches(operands []Operand) bool {
	elements, isList := v.elements()
	if !isList {
		return v.equalsAny(operands)
	}
	for _, element := range elements {
		if element.equalsAny(operands) {
			return true
		}
	}
	return false
}

func (v Value) equalsAny(operands []Operand) bool {
	number := v.number()
	for i := range operands {
		switch {
		case number != "":
			if number == operands[i].number {
				return true
			}
		case v.kind == kindString || v.data == "true" || v.data == "false":
			if v.data == operands[i].text {
				return true
			}
		}
	}
	return false
}

// IsSet reports whether a value says anything: it is not null, false, 0, an empty
// string, list or object, the string "false" or "0", nor a list of nothing but
// these.
func (v Value) IsSet() bool {
	elements, isList := v.elements()
	if !isList {
		switch {
		case v.kind == kindString:
			return v.data != "" && v.data != "false" && v.data != "0"
		case isNumber(v.data):
			return v.number() != "0"
		case strings.HasPrefix(v.data, "{"):
			return v.compact() != "{}"
		}
		return v.data == "true"
	}
	for _, element := range elements {
		if element.IsSet() {
			return true
		}
	}
	return false
}

// elements returns the elements of a list.
func (v Value) elements() (elements []Value, isList bool) {
	if v.kind != kindJSON || !strings.HasPrefix(v.data, "[") {
		return nil, false
	}
	var raw []json.RawMessage
	if json.Unmarshal([]byte(v.data), &raw) != nil {
		return nil, false
	}
	for _, text := range raw {
		if element, err := FromJSON(text); err == nil {
			elements = append(elements, element)
		}
	}
	return elements, true
}

// number returns the canonical form of a number; empty for other values.
func (v Value) number() string {
	if v.kind != kindJSON {
		return ""
	}
	return canonicalNumber(v.data)
}

// isNumber reports whether a JSON value is a number.
func isNumber(text string) bool {
	return text != "" && (text[0] == '-' || '0' <= text[0] && text[0] <= '9')
}

// canonicalNumber returns the same text for all JSON spellings of a number: the
// digits without zeros at either end, and the exponent. Numbers of any size can
// thus be compared by value. It is "" for texts that are not numbers, and for
// excessive exponents.
func canonicalNumber(text string) string {
	if !isNumber(text) || !json.Valid([]byte(text)) {
		return ""
	}
	rest, negative := strings.CutPrefix(text, "-")
	mantissa, exponentText := rest, ""
	if i := strings.IndexAny(rest, "eE"); i >= 0 {
		mantissa, exponentText = rest[:i], rest[i+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent := -len(fraction)
	digits := strings.TrimLeft(whole+fraction, "0")
	trimmed := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(trimmed)
	if trimmed == "" {
		return "0"
	}
	if exponentText != "" {
		power, err := strconv.ParseInt(exponentText, 10, 32)
		if err != nil {
			return ""
		}
		exponent += int(power)
	}
	sign := ""
	if negative {
		sign = "-"
	}
	return sign + trimmed + "e" + strconv.Itoa(exponent)
}
