//go:build race

package compact

// underRace says that tests run many times slower.
const underRace = true
