//go:build !unix

package redistest

import "os"

// Servers cannot be made to hang here: Pause and Resume fail the test.
var stop, goOn = os.Interrupt, os.Interrupt
