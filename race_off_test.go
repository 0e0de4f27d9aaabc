//go:build !race

package oidcrp

const underRace = false
