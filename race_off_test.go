//go:build !race

package oidcrp_test

const underRace = false
