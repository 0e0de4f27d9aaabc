// Package server puts the parts together: one Server is an identity provider that
// runs, whatever serves its HTTP requests.
package server
