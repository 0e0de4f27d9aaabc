package oidcidp

// Blocks are the kinds of blocks in a Caddyfile and their options.
var Blocks = blocks

// CommandLines returns the commands of operators, for example "user add".
func CommandLines() []string {
	all := []string{"first-user", "backup", "restore", "accept-issuer"}
	for _, noun := range nouns {
		for _, verb := range noun.verbs {
			all = append(all, noun.name+" "+verb.command().Name())
		}
	}
	return all
}
