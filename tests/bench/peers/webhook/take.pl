#!/usr/bin/perl
# What `webhook` runs for each request, as (id, timestamp, signature, body): checks the signature over the bytes as they came, since the
# rules of a hooks file cannot express it (they sign the body alone), and keeps the event as a file of its id in spool/. Perl, since it
# starts in half the time of Python.
use strict;
use warnings;
use Digest::SHA qw(hmac_sha256 hmac_sha256_base64);
use IO::Handle;

my ($id, $time, $given, $body) = @ARGV;
my $key = pack 'H*', $ENV{WEBHOOK_KEY_HEX};

sub refuse { print STDERR "$_[0]\n"; exit 1 }

refuse('unauthorized') unless $id =~ /\A[A-Za-z0-9_-]{1,100}\z/ && $time =~ /\A\d{1,12}\z/ && abs(time - $time) <= 300;
my $mac = 'v1,' . hmac_sha256_base64("$id.$time.$body", $key) . '=';
# Compared as MACs under the same key: how long that takes says nothing about where two signatures differ.
refuse('unauthorized') unless grep { hmac_sha256($_, $key) eq hmac_sha256($mac, $key) } split / /, $given;

my $new = "spool/.$$";
open my $file, '>', $new or refuse("$new: $!");
print $file $body and $file->flush and $file->sync or refuse("$new: $!");
close $file or refuse("$new: $!");
my $status = link($new, "spool/$id") ? 'queued' : $!{EEXIST} ? 'duplicate_ignored' : refuse("spool/$id: $!");
unlink $new;
print qq({"status":"$status","event_id":"$id"});
