package expression

import (
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// source provides the members of a map.
type source struct {
	// find returns a member. An error means that it is unavailable, as opposed to
	// absent.
	find  func(name string) (value any, ok bool, err error)
	names func() []string
}

// lazyMap is a CEL map whose members are computed on demand, as most expressions
// use only one or two.
type lazyMap struct{ source }

var _ traits.Mapper = (*lazyMap)(nil)

// Find implements traits.Mapper.
func (m *lazyMap) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key), false
	}
	value, ok, err := m.find(string(name))
	switch {
	case err != nil:
		return types.WrapErr(err), false
	case !ok:
		return nil, false
	}
	return types.DefaultTypeAdapter.NativeToValue(value), true
}

// Get implements traits.Indexer.
func (m *lazyMap) Get(key ref.Val) ref.Val {
	value, found := m.Find(key)
	switch {
	case found || value != nil:
		return value
	}
	return types.ValOrErr(key, "no such key: %v", key.Value())
}

// Contains implements traits.Container.
func (m *lazyMap) Contains(key ref.Val) ref.Val {
	value, found := m.Find(key)
	if value != nil && types.IsUnknownOrError(value) {
		return value
	}
	return types.Bool(found)
}

// whole returns a map of all members, or an error if one of them is unavailable.
func (m *lazyMap) whole() ref.Val {
	all := make(map[string]any)
	for _, name := range m.names() {
		value, ok, err := m.find(name)
		if err != nil {
			return types.WrapErr(err)
		}
		if ok {
			all[name] = value
		}
	}
	return types.NewStringInterfaceMap(types.DefaultTypeAdapter, all)
}

// Iterator implements traits.Iterable.
func (m *lazyMap) Iterator() traits.Iterator {
	names := make([]string, 0)
	names = append(names, m.names()...)
	return types.NewStringList(types.DefaultTypeAdapter, names).Iterator()
}

// Size implements traits.Sizer.
func (m *lazyMap) Size() ref.Val { return types.Int(len(m.names())) }

// Equal implements ref.Val.
func (m *lazyMap) Equal(other ref.Val) ref.Val {
	whole := m.whole()
	if o, ok := other.(*lazyMap); ok {
		other = o.whole()
	}
	return whole.Equal(other)
}

// ConvertToNative implements ref.Val.
func (m *lazyMap) ConvertToNative(to reflect.Type) (any, error) { return m.whole().ConvertToNative(to) }

// ConvertToType implements ref.Val.
func (m *lazyMap) ConvertToType(to ref.Type) ref.Val { return m.whole().ConvertToType(to) }

// Type implements ref.Val.
func (m *lazyMap) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (m *lazyMap) Value() any { return m.whole().Value() }
