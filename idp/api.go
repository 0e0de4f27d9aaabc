package oidcidp

import (
	"context"
	"encoding/json"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/operator"
)

// Operate does what an operator's command does, for programs that have this Caddy in
// them: the operation has the name of the command, as in user/add, and the request and
// the response are what the admin API has, as values that JSON is made of. It waits
// until the database is open.
func (a *App) Operate(ctx context.Context, operation string, request, response any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	s, err := a.instance.server(ctx)
	if err != nil {
		return err
	}
	did, err := operator.Do(ctx, s, operation, body)
	if err != nil || response == nil {
		return err
	}
	data, err := json.Marshal(did)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, response)
}
