//go:build race

package oidcrp_test

// underRace says that tests run many times slower.
const underRace = true
