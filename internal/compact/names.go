package compact

import (
	"encoding/binary"
	"strings"
)

// For claims that many providers send, one byte replaces the name and the kind. Package
// claims encodes a claim as the length of its name, the name, the kind, the length of
// the value, and the value.

const (
	// firstShort is the byte for the first known claim.
	firstShort = 0x80
	// markVerbatim precedes text that is stored unchanged up to its end.
	markVerbatim = 0x00
)

// knownClaims are names and kinds of claims. The list is part of form 2 and never
// changes. The most common claims are first, because the fixed codes of DEFLATE are
// shorter for the first sixteen.
const knownClaims = `
	email:s email_verified:j name:s given_name:s family_name:s preferred_username:s groups:j locale:s nickname:s picture:s updated_at:j zoneinfo:s
	auth_time:j amr:j roles:j acr:s title:s department:s phone_number:s phone_number_verified:j profile:s website:s gender:s birthdate:s
	middle_name:s address:j username:s user_name:s uid:s upn:s unique_name:s display_name:s displayName:s first_name:s last_name:s firstName:s
	lastName:s givenName:s surname:s sn:s cn:s mail:s mail_nickname:s job_title:s jobTitle:s role:s permissions:j entitlements:j scope:s scp:s
	realm_access:j resource_access:j session_state:s typ:s allowed-origins:j client_id:s oid:s tid:s ver:s idp:s rh:s uti:s aio:s wids:j acct:j
	ipaddr:s login_hint:s tenant_region_scope:s verified_primary_email:j xms_tcdt:j tenant_ctry:s ctry:s sid:s hd:s org_id:s org_name:s
	organization:s organization_id:s tenant:s tenant_id:s company:s company_name:s division:s cost_center:s costCenter:s office:s officeLocation:s
	building:s floor:s manager:s manager_id:s employee_id:s employee_number:s employee_type:s employeeId:s employeeNumber:s employeeType:s
	hire_date:s country:s city:s state:s region:s street:s postal_code:s c:s l:s st:s phone:s mobile:s mobile_phone:s telephone_number:s
	telephoneNumber:s language:s preferred_language:s preferredLanguage:s timezone:s user_id:s user_type:s userType:s status:s active:j avatar_url:s
	object_id:s object_guid:s sam_account_name:s sAMAccountName:s memberOf:j member_of:j
`

// shortNames are the encoded beginnings of known claims: the length of the name, the
// name and the kind.
var shortNames = func() (names [128]string) {
	for i, known := range strings.Fields(knownClaims) {
		at := strings.LastIndexByte(known, ':')
		names[i] = string(rune(at)) + known[:at] + known[at+1:]
	}
	return names
}()

var shortByName = func() map[string]byte {
	known := make(map[string]byte, len(shortNames))
	for i, name := range shortNames {
		known[name] = byte(firstShort + i)
	}
	return known
}()

// Shorten returns claims with short names, as they are before compression. It is for
// the command in the folder dictionary.
func Shorten(set string) string { return string(shorten(nil, set)) }

// shorten appends claims with short names.
func shorten(dst []byte, set string) []byte {
	for set != "" {
		name, size := int(set[0]), entrySize(set)
		if size == 0 {
			return append(append(dst, markVerbatim), set...)
		}
		if short, ok := shortByName[set[:name+2]]; ok {
			dst = append(append(dst, short), set[name+2:size]...)
		} else {
			dst = append(dst, set[:size]...)
		}
		set = set[size:]
	}
	return dst
}

// entrySize returns the size of the encoded claim that a text begins with. It returns
// 0 if the claim is malformed, or if its first byte has another meaning in the short
// form.
func entrySize(set string) int {
	name := int(set[0])
	if name == markVerbatim || name >= firstShort || len(set) < name+3 {
		return 0
	}
	value, n := uvarint(set[name+2:])
	if size := name + 2 + n + int(value); n > 0 && size <= len(set) {
		return size
	}
	return 0
}

// lengthen reverses shorten and appends the claims to dst. It returns false if the
// input is malformed, or if dst becomes longer than limit.
func lengthen(dst, short []byte, limit int) ([]byte, bool) {
	for len(short) > 0 {
		head := 0 // size of the claim before the length of its value
		switch first := short[0]; {
		case first == markVerbatim:
			dst = append(dst, short[1:]...)
			return dst, len(dst) <= limit
		case first >= firstShort:
			dst, short = append(dst, shortNames[first-firstShort]...), short[1:]
		default:
			head = int(first) + 2
		}
		if len(short) <= head {
			return dst, false
		}
		value, n := binary.Uvarint(short[head:])
		if n <= 0 || value > MaxSize || head+n+int(value) > len(short) {
			return dst, false
		}
		size := head + n + int(value)
		dst, short = append(dst, short[:size]...), short[size:]
		if len(dst) > limit {
			return dst, false
		}
	}
	return dst, true
}
