package claims

import (
	"bytes"
	"encoding/json"
)

// PathEach returns the value at a path that may lead through lists of objects. For
// a list, it returns the list of the members that are present: in {"groups":
// [{"name": "a"}, {"name": "b"}]}, groups.name is ["a", "b"].
func (s Set) PathEach(path string) (Value, bool) {
	if value, ok := s.Path(path); ok {
		return value, true
	}
	steps := SplitPath(path)
	value, ok := s.Get(steps[0])
	for _, step := range steps[1:] {
		if !ok {
			break
		}
		value, ok = value.memberOfEach(step)
	}
	return value, ok
}

func (v Value) memberOfEach(name string) (Value, bool) {
	if v.kind != kindJSON || v.data == "" || v.data[0] != '[' {
		return v.member(name)
	}
	var elements []json.RawMessage
	if json.Unmarshal([]byte(v.data), &elements) != nil {
		return Value{}, false
	}
	var found []json.RawMessage
	for _, element := range elements {
		if !bytes.HasPrefix(element, []byte("{")) {
			continue
		}
		if member, ok := (Value{kindJSON, string(element)}).member(name); ok {
			found = append(found, member.JSON())
		}
	}
	if len(found) == 0 {
		return Value{}, false
	}
	list, err := json.Marshal(found)
	return Value{kindJSON, string(list)}, err == nil
}
