// Package accounts has the rules of accounts: names, login authenticators,
// passwords, lockout, groups and application users. It decides; package store
// keeps, and package signin asks.
package accounts
