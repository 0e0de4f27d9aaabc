package oidcrp

// What the tests in package oidcrp_test need of this package.
var (
	Adapt          = adapt
	Provision      = provision
	StorageDir     = storageDir
	CleanUp        = cleanUp
	WarningsIn     = warningsIn
	UnknownStore   = unknownStore
	FilePlace      = filePlace
	CheckCaddyfile = checkCaddyfile
)

// RunningApps returns how many apps were started and not cleaned up.
func RunningApps() int { return len(runningApps.All()) }
