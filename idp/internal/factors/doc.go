// Package factors has what users sign in with beside a password: codes by time
// and by counter, passkeys and recovery codes, a file each.
package factors
