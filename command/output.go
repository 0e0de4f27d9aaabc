package command

import (
	"io"
	"os"
)

// IsTerminal reports whether out is a terminal that supports color. NO_COLOR
// and TERM=dumb turn colors off.
func IsTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
