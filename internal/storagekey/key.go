// Package storagekey is for what outlives a configuration in a usage pool.
package storagekey

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Key names a storage by its kind and configuration, so that the same one is
// known again after a reload. One whose configuration cannot be seen is known
// by itself alone: two such storages must not be taken for one.
func Key(storage any) string {
	config, err := json.Marshal(storage)
	if err != nil || string(config) == "{}" {
		config = fmt.Appendf(nil, "%p", storage)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%T %s", storage, config))
	return hex.EncodeToString(sum[:])
}
