// Package unload ends configurations that tests have provisioned with
// caddy.ProvisionContext. Caddy has no exported function for that, and without it the
// goroutines and modules of each stay until the process ends: hundreds of tests
// would then need gigabytes.
//
// It knows nothing of the modules, apart from Caddy's TLS app.
package unload

import (
	"context"
	"errors"
	"reflect"
	"unsafe"

	"github.com/caddyserver/caddy/v2"
)

var errEnded = errors.New("the test ends")

// Config cancels the context of a configuration, and with it cleans up each of its
// modules, as Caddy does after a reload. The TLS app is left alone: it would stop the
// one cache of certificates that all configurations of the process share.
func Config(ctx caddy.Context) {
	instances := reflect.ValueOf(&ctx).Elem().FieldByName("moduleInstances")
	delete(*(*map[string][]caddy.Module)(addressOf(instances)), "tls")
	cancel := reflect.ValueOf(ctx).FieldByName("cfg").Elem().FieldByName("cancelFunc")
	(*(*context.CancelCauseFunc)(addressOf(cancel)))(errEnded)
}

// addressOf returns where an unexported field is, which cannot be read in another way.
func addressOf(field reflect.Value) unsafe.Pointer { return unsafe.Pointer(field.UnsafeAddr()) }
