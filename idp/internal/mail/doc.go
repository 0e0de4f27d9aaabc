// Package mail sends notices and links.
package mail
