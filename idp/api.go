package oidcidp

import (
	"context"
	"encoding/json"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/operator"
)

// Operate executes an operator's command for programs that embed this Caddy.
// operation is the name of the command, such as user/add. The request and the
// response are those of the admin API, as values that marshal to JSON. It waits
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
