# The portal of LemonLDAP::NG (Debian's packages) as an identity provider for the end-to-end tests.
# Started by plackup in one process; environment as in conf.pl. Users are alice and bob, with their names as passwords.
use strict;
use warnings;
use File::Basename qw(dirname);
use File::Spec;

BEGIN { require( File::Spec->rel2abs( dirname(__FILE__) ) . '/conf.pl' ) }

use Lemonldap::NG::Portal::UserDB::Demo;
use Lemonldap::NG::Portal::Main;

%Lemonldap::NG::Portal::UserDB::Demo::demoAccounts = (
    alice => { uid => 'alice', cn => 'Alice Example', mail => 'alice@example.test' },
    bob   => { uid => 'bob',   cn => 'Bob Example',   mail => 'bob@example.test' },
);
%Lemonldap::NG::Portal::UserDB::Demo::demoGroups = ( admins => ['alice'], staff => [ 'alice', 'bob' ] );

# The portal always loads a captcha; this one does nothing and needs no graphics library.
{
    package Lemonldap::NG::Portal::Captcha::None;
    use Mouse;
    extends 'Lemonldap::NG::Portal::Main::Plugin';
    sub init { 1 }
    $INC{'Lemonldap/NG/Portal/Captcha/None.pm'} = __FILE__;
}

my $portal = Lemonldap::NG::Portal::Main->run( { configStorage => { type => 'File', dirName => "$ENV{STATE}/conf" } } );

sub {
    my $env = shift;
    $env->{REQUEST_URI} ||= $env->{PATH_INFO}; # what a web server in front would set
    $env->{SCRIPT_NAME} = '';
    return $portal->($env);
};
