package oidcrp

// What the tests in package oidcrp_test need of this package.
var (
	Adapt          = adapt
	Provision      = provision
	CleanUp        = cleanUp
	WarningsIn     = warningsIn
	UnknownStore   = unknownStore
	FilePlace      = filePlace
	CheckCaddyfile = checkCaddyfile
)
