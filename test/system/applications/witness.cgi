#!/usr/bin/perl
# A witness as witness.py is, for CGI: a process for each request, therefore one that begins soon.
use strict;
use warnings;

sub quoted {
	my $s = shift;
	$s =~ s/([^ !#-\[\]-~])/sprintf('\\u%04x', ord($1))/ge;
	return qq("$s");
}

my $length = 0;
while (my $n = read(STDIN, my $data, 65536)) { $length += $n; }
my $variables = join(',', map { quoted($_) . ':' . quoted($ENV{$_}) } grep { $_ ne 'PATH' } sort keys %ENV);
open(my $out, '>>', $ENV{ARGAND_RECORD}) or die "$ENV{ARGAND_RECORD}: $!";
syswrite($out, '{"method":' . quoted($ENV{REQUEST_METHOD}) . qq(,"length":$length,"variables":{$variables}}\n));
print "Content-Type: text/plain\nX-Witness: ", $ENV{HTTP_USER_AGENT} // '', "\n\nseen\n";
