//go:build race

package compact

// underRace reports that the race detector slows tests down many times.
const underRace = true
