# mails.sh - a mail server, and what has come to it. Needs farm.sh and registries.sh.
#
# mails_start: it speaks TLS under an authority of our own ($work/tls/ca.crt), and its password, MAIL_PASSWORD if that is set, is in $work/mail/password; mail_settings are
# the coordinator's for it, for farm_set. Mails are numbered, from 1.
# shellcheck shell=bash

mails_start ()
{
    mkdir -p "$work/tls" "$work/mail"
    [ -e "$work/tls/server.pem" ] || "$top_srcdir/tests/lib/certificates.sh" "$work/tls" > /dev/null
    (umask 077; echo "${MAIL_PASSWORD:-s3cret word}" > "$work/mail/password"; cp "$work/mail/password" "$work/password")
    background mail python3 -B "$top_srcdir/tests/lib/mail_server.py" "$work/mail" "$work/tls/server.pem"
    wait_for 20 test -e "$work/mail/port"
    mail_settings=(mail/server "smtp://127.0.0.1:$(cat "$work/mail/port")" mail/from farm@example.com mail/user farm mail/password-file "$work/password"
        mail/ca-file "$work/tls/ca.crt" mail/timeout-ms 3000 news/gather-ms 300 news/retry-ms 200)
}

mails ()
{
    find "$work/mail" -name 'mail-*' ! -name '*.*' | wc -l
}

has_mails ()
{
    [ "$(mails)" -ge "$1" ]
}

# mail N HEADER|body: of the N-th mail, as a mail program reads it
mail ()
{
    mail_read "$work/mail/mail-$1" "$2"
}

# mail_read FILE HEADER|body
mail_read ()
{
    python3 - "$1" "$2" <<'END'
import email
import email.policy
import sys
with open(sys.argv[1], "rb") as file:
    mail = email.message_from_binary_file(file, policy=email.policy.default)
assert not mail.defects, mail.defects
print(mail.get_body(("plain",)).get_content() if sys.argv[2] == "body" else mail[sys.argv[2]])
END
}
