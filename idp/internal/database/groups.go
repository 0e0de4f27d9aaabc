package database

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

var groups = newTable("groups", 1, func(g *store.Group) []column {
	return []column{text("name", &g.Name), flag("operator", &g.Operator), moment("created", &g.Created)}
})

func (x *tx) Groups() ([]store.Group, error) { return groups.where(x, "1 = 1 ORDER BY name") }

func (x *tx) PutGroup(g store.Group) error { return groups.put(x, g) }

func (x *tx) DeleteGroup(name string) error {
	if _, err := x.exec("DELETE FROM memberships WHERE group_name = $1", name); err != nil {
		return err
	}
	return groups.delete(x, "name = $1", name)
}
