# The configuration of LemonLDAP::NG for the end-to-end tests, written before the portal loads.
#
# Environment: ISSUER; STATE, a folder that holds op.key and op.pub; CALLBACKS and POST_LOGOUT, addresses
# separated by spaces; FRONTCHANNEL, one address. With SAML, a file, it is a SAML identity provider too: the file has
# the JSON of its certificate, and of the metadata and options of its one service provider, sp.
use strict;
use warnings;
use JSON;

my ( $issuer, $state ) = @ENV{qw(ISSUER STATE)};

sub slurp { open my $f, '<', $_[0] or die "$_[0]: $!"; local $/; return <$f> }

sub write_file {
    my ( $path, $text ) = @_;
    open my $f, '>', $path or die "$path: $!";
    print {$f} $text;
    close $f or die "$path: $!";
}

mkdir "$state/$_" or die "$state/$_: $!" for qw(conf cache sessions sessions/lock psessions psessions/lock);

# --- clients: one line each ---------------------------------------------------------------------------

sub client {
    return {
        oidcRPMetaDataOptionsClientSecret           => 'rp-secret-0123456789abcdef0123456789abcdef',
        oidcRPMetaDataOptionsDisplayName            => 'RP',
        oidcRPMetaDataOptionsRedirectUris           => $ENV{CALLBACKS},
        oidcRPMetaDataOptionsPostLogoutRedirectUris => $ENV{POST_LOGOUT},
        oidcRPMetaDataOptionsIDTokenSignAlg         => 'RS256',
        oidcRPMetaDataOptionsBypassConsent          => 1,
        oidcRPMetaDataOptionsLogoutBypassConfirm    => 1,
        oidcRPMetaDataOptionsIDTokenExpiration      => 3600,
        oidcRPMetaDataOptionsAccessTokenExpiration  => 3600,
        @_,
    };
}
my %public  = ( oidcRPMetaDataOptionsPublic => 1, oidcRPMetaDataOptionsClientSecret => '', oidcRPMetaDataOptionsRequirePKCE => 1 );
my %clients = (
    'rp'        => client( oidcRPMetaDataOptionsClientID => 'rp' ),
    'rp-post'   => client( oidcRPMetaDataOptionsClientID => 'rp-post' ),
    'rp-public' => client( oidcRPMetaDataOptionsClientID => 'rp-public', %public ),
    'rp-fcl'    => client( oidcRPMetaDataOptionsClientID => 'rp-fcl', oidcRPMetaDataOptionsLogoutUrl => $ENV{FRONTCHANNEL}, oidcRPMetaDataOptionsLogoutType => 'front', oidcRPMetaDataOptionsLogoutSessionRequired => 1 ),
    'rp-rs512'  => client( oidcRPMetaDataOptionsClientID => 'rp-rs512', oidcRPMetaDataOptionsIDTokenSignAlg => 'RS512' ),
);
my %claims = (
    email => 'mail', email_verified => 'verified;bool', name => 'cn', preferred_username => 'uid', groups => 'groups',
);

my %files = ( Directory => "$state/sessions", LockDirectory => "$state/sessions/lock" );
my $conf  = {
    cfgNum => 1, cfgAuthor => 'e2e', cfgVersion => '2.16.1', cfgDate => time,
    portal => "$issuer/", domain => 'localhost', cookieName => 'lemonldap', securedCookie => 0, httpOnly => 1, cda => 0,
    authentication => 'Demo', userDB => 'Same', passwordDB => 'Null', registerDB => 'Null',
    portalSkin => 'bootstrap', portalDisplayRegister => 0, portalDisplayResetPassword => 0, portalCheckLogins => 0,
    requireToken => 0, captcha => '::Captcha::None', captcha_login_enabled => 0, captcha_register_enabled => 0, captcha_mail_enabled => 0,
    demoExportedVars => { cn => 'cn', mail => 'mail', uid => 'uid' }, exportedVars => {},
    macros => { _whatToTrace => '$uid', verified => '$uid eq "alice" ? 1 : 0' }, whatToTrace => '_whatToTrace',
    globalStorage        => 'Apache::Session::File',
    globalStorageOptions => { %files, generateModule => 'Lemonldap::NG::Common::Apache::Session::Generate::SHA256' },
    localSessionStorage        => 'Cache::FileCache',
    localSessionStorageOptions => { namespace => 'sessions', default_expires_in => 600, cache_root => "$state/cache" },
    persistentStorage        => 'Apache::Session::File',
    persistentStorageOptions => { Directory => "$state/psessions", LockDirectory => "$state/psessions/lock" },
    timeout => 7200, trustedDomains => '*', key => 'test-key-0123456789abcdef', notification => 0,
    locationRules => { localhost => { default => 'accept' } }, exportedHeaders => {},
    portalAntiFrame => 1, cspFormAction => '*', issuersTimeout => 120,
    issuerDBOpenIDConnectActivation => 1, issuerDBOpenIDConnectPath => '^/oauth2/', issuerDBOpenIDConnectRule => 1,
    oidcServiceMetaDataIssuer => $issuer,
    oidcServiceMetaDataAuthorizeURI    => 'authorize', oidcServiceMetaDataTokenURI      => 'token',
    oidcServiceMetaDataUserInfoURI     => 'userinfo',  oidcServiceMetaDataJWKSURI       => 'jwks',
    oidcServiceMetaDataRegistrationURI => 'register',  oidcServiceMetaDataIntrospectionURI => 'introspect',
    oidcServiceMetaDataEndSessionURI   => 'logout',    oidcServiceMetaDataCheckSessionURI => 'checksession.html',
    oidcServiceMetaDataFrontChannelURI => 'flogout',   oidcServiceMetaDataBackChannelURI => 'blogout',
    oidcServiceMetaDataAuthnContext => { 'loa-1' => 1, 'loa-2' => 2 },
    oidcServicePrivateKeySig => slurp("$state/op.key"), oidcServicePublicKeySig => slurp("$state/op.pub"),
    oidcServiceKeyIdSig => 'llng-' . time,
    oidcServiceAllowAuthorizationCodeFlow => 1, oidcServiceAllowImplicitFlow => 0, oidcServiceAllowHybridFlow => 0,
    oidcServiceAllowDynamicRegistration => 0, oidcServiceAuthorizationCodeExpiration => 60,
    oidcServiceIDTokenExpiration => 3600, oidcServiceAccessTokenExpiration => 3600,
    oidcRPMetaDataOptions            => \%clients,
    oidcRPMetaDataExportedVars       => { map { $_ => {%claims} } keys %clients },
    oidcRPMetaDataOptionsExtraClaims => { map { $_ => { groups => 'groups' } } keys %clients },
};

if ( $ENV{SAML} ) {
    my $saml = decode_json( slurp( $ENV{SAML} ) );
    %$conf = (
        %$conf,
        issuerDBSAMLActivation => 1, issuerDBSAMLPath => '^/saml/', issuerDBSAMLRule => 1,
        samlServicePrivateKeySig => $saml->{key}, samlServicePublicKeySig => $saml->{certificate},
        samlSPMetaDataXML     => { sp => { samlSPMetaDataXML => $saml->{metadata} } },
        samlSPMetaDataOptions => { sp => $saml->{options} },
        samlSPMetaDataExportedAttributes => { sp => { uid => '1;uid', mail => '1;mail', cn => '0;cn', groups => '0;groups' } },
    );
}
write_file( "$state/conf/lmConf-1.json", JSON->new->canonical->pretty->encode($conf) );

write_file( $ENV{LLNG_DEFAULTCONFFILE} = "$state/lemonldap-ng.ini", <<"INI");
[all]
logLevel = warn
logger = Lemonldap::NG::Common::Logger::Std
userLogger = Lemonldap::NG::Common::Logger::Std
[configuration]
type = File
dirName = $state/conf
localStorage = Cache::FileCache
localStorageOptions = { 'namespace' => 'config', 'default_expires_in' => 600, 'cache_root' => '$state/cache' }
[portal]
templateDir = /usr/share/lemonldap-ng/portal/templates
staticPrefix = /static
languages = en
INI

1;
