// Package selfservice is what users do for themselves: their account page, with
// password, factors and sessions, the reset of a forgotten password, a changed
// e-mail address, and invites.
package selfservice
