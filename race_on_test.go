//go:build race

package oidcrp

// underRace says that tests run many times slower.
const underRace = true
