// Package pages renders what users see, in their language.
package pages
