package main

import (
	"encoding/json"
	"iter"
	"maps"
	"slices"
)

// sorted yields claims in the order in which sessions store them.
func sorted(members map[string]json.RawMessage) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		for _, name := range slices.Sorted(maps.Keys(members)) {
			if !yield(name, members[name]) {
				return
			}
		}
	}
}

// words are common parts of groups, roles, departments and titles.
var words = []string{
	"Lead", "Director", "Principal", "Senior", "Manager", "Consultant", "Analyst", "Developer", "Architect", "Engineer", "Specialist", "Assistant",
	"United States", "Germany", "Austria", "Switzerland", "United Kingdom", "France", "Netherlands", "contractor", "permanent", "external", "internal", "employee",
	"Human Resources", "Information Technology", "Customer Service", "Accounting", "Purchasing", "Legal", "Research", "Operations", "Marketing", "Finance", "Sales", "Engineering", "Support",
	"default", "basic", "premium", "enterprise", "low", "medium", "high", "female", "male", "active", "inactive", "standard",
	"analytics", "accounting", "approver", "audit", "auditors", "backend", "billing", "budget", "compliance", "consultants", "contractors", "customer", "data", "database",
	"deployer", "design", "devops", "developers", "editors", "employees", "engineering", "executives", "finance", "frontend", "guests",
	"helpdesk", "human-resources", "infrastructure", "legal", "maintainers", "managers", "marketing", "members", "monitoring", "network",
	"offline_access", "on-call", "operations", "operators", "owners", "partners", "payroll", "people", "platform", "production", "product", "projects",
	"publishers", "purchasing", "quality", "readers", "readonly", "release", "reports", "research", "reviewers", "sales", "security", "services",
	"staging", "support", "systems", "team", "test", "uma_authorization", "viewers", "writers", "gitlab", "github", "grafana",
	"jenkins", "jira", "confluence", "kubernetes", "wiki", "vpn", "administrators", "Domain Users", "Everyone", "authentik Admins",
	"default-roles-", "users", "staff", "admin", "user", "admins",
}

// phrases are common parts of the values of claims.
var phrases = []string{
	`{"formatted":"`, `","street_address":"`, `","locality":"`, `","region":"`, `","postal_code":"`, `","country":"`,
	`,OU=Groups,DC=`, `,OU=Users,DC=`, `,DC=com`, `CN=`, `cn=`, `,ou=groups,dc=`, `uid=`, `,ou=people,dc=`, `SMTP:`, `smtp:`, `S-1-5-21-`,
	`https://www.`, `https://lh3.googleusercontent.com/a/`, `=s96-c`, `https://s.gravatar.com/avatar/`, `https://cdn.auth0.com/avatars/`,
	`https://login.microsoftonline.com/`, `https://sts.windows.net/`, `urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport`,
	`http://schemas.xmlsoap.org/ws/2005/05/identity/claims/`, `http://schemas.microsoft.com/ws/2008/06/identity/claims/`, `arn:aws:iam::`, `:role/`,
	`urn:mace:`, `urn:oid:`, `/avatars/`, `.png`, `.jpg`, `+49 `, `+43 `, `+41 `, `+1 `, `+44 `, `/home/`, `/bin/bash`, ` GmbH`, ` Inc.`, ` AG`, ` Ltd.`,
	`[{"id":"`, `","name":"`, `"},{"id":"`, `,"value":"`, `,"display":"`, `"}]`, `","`, `["`, `"]`, `:read","`, `:write","`, `:admin","`,
	`_admin","`, `_users","`, `-admins","`, `-users","`, `-managers","`, `-developers","`, `-readers","`, `-editors","`, `-owners","`, `-viewers","`, `-team","`, `-dev","`, `-prod","`,
	`app-`, `grp-`, `GRP_`, `team-`, `role-`, `ROLE_`, `SG-`, `APP_`, `@gmail.com`, `@outlook.com`, `@example.com`,
	`America/New_York`, `America/Los_Angeles`, `Asia/Tokyo`, `UTC`, `Europe/London`, `Europe/Paris`, `Europe/Zurich`, `Europe/Vienna`, `Europe/Berlin`,
	`de-DE`, `de-AT`, `fr-FR`, `en-GB`, `en-US`, `2024-01-01T00:00:00.000Z`, `2025-`, `19`, `17`, `false`, `true`,
}

var values = map[string]string{
	"<first>": "Anna", "<last>": "Smith", "<user>": "anna", "<host>": "example.com", "<zone>": "Europe/Berlin", "<locale>": "en", "<time>": "17",
}

// profiles are the shapes of claims of well-known directories and providers,
// the simplest last.
var profiles = []string{
	// Attributes of LDAP, Active Directory, SCIM and Okta that are often mapped to claims.
	`{"accountEnabled":true,"badge":"","building":"","buildingName":"","businessCategory":"","c":"DE","cn":"<first> <last>","co":"","companyName":"","company_name":"","contract":"","costCenter":"","countryCode":"DE","countryName":"",
	  "departmentNumber":"","description":"","desk_phone":"","displayName":"<first> <last>","distinguishedName":"CN=<first> <last>,OU=Users,DC=","dn":"uid=<user>,ou=people,dc=","eduPersonPrincipalName":"<user>@","eduPersonAffiliation":["member","employee"],"eduPersonScopedAffiliation":"member@","eduPersonEntitlement":["urn:mace:"],
	  "employeeId":"","employeeNumber":"","employeeType":"Employee","extensionAttribute1":"","facsimileTelephoneNumber":"","firstName":"<first>","floor":"","fullName":"<first> <last>","gidNumber":"100","givenName":"<first>","hireDate":"","homeDirectory":"/home/<user>","homePhone":"","honorificPrefix":"","initials":"","isMemberOf":["cn="],"jobTitle":"",
	  "l":"","lastName":"<last>","loginShell":"/bin/bash","mail":"<user>@<host>","mailNickname":"<user>","managerId":"","memberOf":["cn=",",ou=groups,dc="],"mobile":"+49","mobilePhone":"+49","nickName":"<user>","o":"","objectGUID":"","objectSid":"S-1-5-21-","officeLocation":"","onPremisesSamAccountName":"<user>","orgUnit":"","organizationalUnit":"","otherMails":[],"ou":"",
	  "passwordLastSet":"","phoneNumber":"+49","physicalDeliveryOfficeName":"","postalAddress":"","postalCode":"","preferredLanguage":"en","primaryPhone":"+1","profileUrl":"https://","proxyAddresses":["SMTP:<user>@<host>"],"sAMAccountName":"<user>","samAccountName":"<user>","schacHomeOrganization":"<host>","secondEmail":"","sn":"<last>","st":"","stateOrProvince":"","streetAddress":"",
	  "surname":"<last>","tel":"+49","telephoneNumber":"+49","timezone":"<zone>","uid":"<user>","uidNumber":"1000","userName":"<user>","userPrincipalName":"<user>@<host>","userType":"Member","whenCreated":"20","zipCode":"","city":"","company":"","country":"DE","cost_center":"","display_name":"<first> <last>","distinguished_name":"CN=<first> <last>,OU=Users,DC=","division":"",
	  "employee_id":"","employee_number":"","employee_type":"","entitlements":[],"first_name":"<first>","full_name":"<first> <last>","gid_number":100,"hire_date":"20","home_directory":"/home/<user>","job_title":"","language":"en","last_name":"<last>","login_shell":"/bin/bash","mail_nickname":"<user>","manager":"","manager_id":"","member_of":["cn="],"mobile_phone":"+49","object_guid":"","object_id":"",
	  "office":"","org_id":"","organization":"","organization_id":"","permissions":["read:","write:"],"phone":"+49","postal_code":"","preferred_language":"en","project":"","projects":[],"region":"","role":"user","sam_account_name":"<user>","state":"","status":"active","street":"","teams":[],"telephone":"+49","telephone_number":"+49","tenant":"","tenant_id":"","tenants":[],"type":"user","uid_number":1000,"upn":"<user>@<host>","user_id":"","user_name":"<user>","user_type":"","username":"<user>"}`,
	// All standard claims.
	`{"address":{"street_address":"","locality":"","postal_code":"","country":""},"birthdate":"19","email":"<user>@<host>","email_verified":true,"family_name":"<last>","gender":"female","given_name":"<first>","locale":"<locale>","middle_name":"","name":"<first> <last>","nickname":"<user>","phone_number":"+49","phone_number_verified":true,"picture":"https://","preferred_username":"<user>","profile":"https://","updated_at":<time>,"website":"https://","zoneinfo":"<zone>"}`,
	// ADFS
	`{"appid":"","apptype":"Confidential","auth_time":<time>,"authmethod":"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport","group":[],"pwd_exp":"","role":[],"scp":"openid","unique_name":"<user>@<host>","ver":"1.0","winaccountname":"\\<user>"}`,
	// Salesforce, Slack, Discord
	`{"active":true,"avatar":"","discriminator":"0","https://slack.com/team_domain":"","https://slack.com/team_id":"T0","https://slack.com/team_name":"","https://slack.com/user_id":"U0","https://slack.com/user_image_192":"https://secure.gravatar.com/avatar/","language":"en_US","organization_id":"00D","user_id":"005","user_type":"STANDARD"}`,
	// Cognito
	`{"cognito:groups":[],"cognito:preferred_role":"arn:aws:iam::","cognito:roles":["arn:aws:iam::"],"cognito:username":"","custom:department":"","custom:groups":"","custom:tenant":"","event_id":"","identities":[{"dateCreated":"17","userId":"","providerName":"","providerType":"OIDC","issuer":null,"primary":"true"}],"origin_jti":"","phone_number_verified":"true","token_use":"id","username":""}`,
	// Auth0
	`{"org_id":"org_","org_name":"","picture":"https://s.gravatar.com/avatar/?s=480&r=pg&d=https%3A%2F%2Fcdn.auth0.com%2Favatars%2Fan.png","updated_at":"2025-01-01T00:00:00.000Z"}`,
	// GitLab, GitHub
	`{"groups_direct":[],"https://gitlab.org/claims/groups/developer":[],"https://gitlab.org/claims/groups/maintainer":[],"https://gitlab.org/claims/groups/owner":[],"picture":"https://gitlab.<host>/uploads/-/system/user/avatar/","profile":"https://gitlab.<host>/<user>","sub_legacy":"","avatar_url":"https://avatars.githubusercontent.com/u/","login":"<user>"}`,
	// Zitadel
	`{"amr":["pwd","mfa"],"urn:zitadel:iam:org:project:roles":{"admin":{"":".<host>"},"user":{"":".zitadel.cloud"}},"urn:zitadel:iam:user:metadata":{},"urn:zitadel:iam:user:resourceowner:id":"","urn:zitadel:iam:user:resourceowner:name":"","urn:zitadel:iam:user:resourceowner:primary_domain":".zitadel.cloud","urn:zitadel:iam:org:project:id:zitadel:aud":"","urn:zitadel:iam:org:domain:primary":""}`,
	// Google
	`{"hd":"<host>","picture":"https://lh3.googleusercontent.com/a/ACg8oc=s96-c"}`,
	// Okta
	`{"amr":["mfa","otp","pwd"],"auth_time":<time>,"groups":["Everyone",""],"idp":"00o","ver":1}`,
	// Entra ID
	`{"acct":0,"aio":"","amr":["pwd","mfa"],"ctry":"DE","hasgroups":true,"idp":"https://sts.windows.net/","in_corp":"true","ipaddr":"","login_hint":"O.","oid":"","onprem_sid":"S-1-5-21-","puid":"1003","rh":"0.A","roles":[],"tenant_ctry":"DE","tenant_region_scope":"EU","tid":"","unique_name":"<user>@<host>","upn":"<user>@<host>","uti":"","ver":"2.0","verified_primary_email":["<user>@<host>"],"verified_secondary_email":[],"wids":[],"xms_pl":"en","xms_tpl":"en","xms_tcdt":17}`,
	// Authelia, Dex, Kanidm, Pocket ID, Authentik
	`{"acr":"goauthentik.io/providers/oauth2/default","alt_emails":[],"amr":["pwd","otp","mfa"],"auth_time":<time>,"display_name":"<first> <last>","federated_claims":{"connector_id":"ldap","user_id":""},"picture":"https://id.<host>/api/users//profile-picture.png","rat":17,"scopes":["groups","email","openid","profile"],"spn":"<user>@<host>","uid":""}`,
	// Keycloak
	`{"acr":"1","allowed-origins":["https://"],"auth_time":<time>,"client_id":"","realm_access":{"roles":["default-roles-","offline_access","uma_authorization"]},"resource_access":{"account":{"roles":["manage-account","manage-account-links","view-profile"]},"realm-management":{"roles":["view-users","query-groups"]}},"roles":["offline_access","uma_authorization"],"scope":"openid email profile","session_state":"","typ":"ID"}`,
	// Simple ones.
	`{"amr":["pwd"],"auth_time":<time>,"department":"","email":"<user>@<host>","email_verified":true,"entitlements":[""],"family_name":"<last>","given_name":"<first>","groups":[""],"locale":"<locale>","name":"<first> <last>","nickname":"<user>","phone_number":"+49","picture":"https://login.<host>/","preferred_username":"<user>","roles":[""],"title":"","updated_at":<time>,"zoneinfo":"<zone>"}`,
	`{"email":"<user>@<host>","email_verified":true,"groups":["users","admins"],"name":"<first> <last>","preferred_username":"<user>"}`,
}
