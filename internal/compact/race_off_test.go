//go:build !race

package compact

const underRace = false
