package redis

import (
	"context"
	"strings"

	"github.com/valkey-io/valkey-go"
	"go.uber.org/zap"
)

// warnOfEviction logs if the server may evict sessions when it is full, and what
// ended other connections. Users without permission for INFO get no warning.
func (l *link) warnOfEviction(client valkey.Client) {
	for _, node := range client.Nodes() {
		ctx, cancel := context.WithTimeout(context.Background(), l.settings.Timeout)
		info, err := node.Do(ctx, node.B().Info().Section("memory").Build()).ToString()
		cancel()
		if policy, may := evicts(info); err == nil && may {
			l.logger.Load().Warn("the session store may evict sessions and logouts when its memory is full; the policy noeviction keeps them", zap.String("event", "store_may_evict"),
				zap.String("store", "redis"), zap.String("maxmemory-policy", policy))
		}
		return // the nodes of a cluster have the same configuration
	}
}

// evicts parses the response to INFO memory. All our keys expire, so that every
// policy except noeviction affects them.
func evicts(info string) (policy string, may bool) {
	limit := "0"
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "maxmemory":
			limit = value
		case "maxmemory_policy":
			policy = value
		}
	}
	return policy, limit != "0" && policy != "" && policy != "noeviction"
}
