package pages

// Keys of problems and notices that callers show.
const (
	ProblemForm          = "csrf.problem" // the form had expired
	ProblemUserNameEmpty = "username.missing"
	ProblemPassword      = "password.wrong" // of password and code together
	ProblemPasswordEmpty = "password.missing"
	ProblemCode          = "code.wrong"
	ProblemCodeEmpty     = "code.missing"
	ProblemMailedCode    = "code.expired"
	ProblemPasskey       = "passkey.wrong"
	ProblemCurrent       = "newpassword.current_wrong"
	ProblemRepeat        = "failure.repeat"
	ProblemLink          = "link.expired"
	ProblemNameTaken     = "register.name_taken"
	ProblemNameInvalid   = "register.name_invalid"
	ProblemEmail         = "register.email_invalid"
	ProblemLabel         = "rename.invalid"
	ProblemLastFactor    = "remove_factor.last"
	ProblemLastWay       = "unlink.last"
	NoticeSaved          = "notice.saved"
	NoticeRemoved        = "notice.removed"
	NoticeSessionEnded   = "notice.signed_out"
)
