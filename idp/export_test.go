package oidcidp

// Blocks are the kinds of blocks of a Caddyfile, with their options.
var Blocks = blocks

// CommandLines are the commands of operators, as in «user add».
func CommandLines() []string {
	all := []string{"first-user", "backup", "restore", "accept-issuer"}
	for _, noun := range nouns {
		for _, verb := range noun.verbs {
			all = append(all, noun.name+" "+verb.command().Name())
		}
	}
	return all
}
