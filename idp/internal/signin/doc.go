// Package signin leads a browser through the steps of a sign-in: user name,
// password and code, or a passkey or an external provider, then what is due, such
// as a new password. It serves the forms, and finishes the request at the end.
package signin
