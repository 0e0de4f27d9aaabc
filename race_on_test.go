//go:build race

package oidcrp_test

// underRace reports that the race detector slows tests down many times.
const underRace = true
