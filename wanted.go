package oidcrp

// isOutdated reports whether the sign-in of a session was not asked for a claim
// or token that this instance needs.
func (h *Handler) isOutdated(*visit) bool { return false }
