#!/bin/bash
# news.sh - who is told what: mails over a server with STARTTLS and a password, webhooks over TLS, to receivers that fail, hang, redirect and lie; and
# that a coordinator that is killed at any moment tells it all the same.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/registries.sh"
. "$top_srcdir/tests/lib/mails.sh"
farm_up
mkdir "$work/hooks"
mails_start
background hooks python3 -B "$top_srcdir/tests/lib/hook_receiver.py" "$work/hooks" "$work/tls/server.pem"
wait_for 20 test -e "$work/hooks/port"
hooks=https://127.0.0.1:$(cat "$work/hooks/port")

coordinator_restart "${mail_settings[@]}" hook/ca-file "$work/tls/ca.crt" hook/inside "127.0.0.1:$(cat "$work/hooks/port")" hook/timeout-ms 2000

good=$(context good <<END
FROM %BASE%
COPY own /own
END
)
echo 1 > "$good/own"
bad=$(context bad <<END
FROM %BASE%
RUN echo "grün ✓ about to fail" >&2; echo "make: *** [Makefile:3: test] Error 2" >&2; exit 2
END
)

calls ()
{
    find "$work/hooks" -name 'call-*' ! -name '*.*' | wc -l
}

has_calls ()
{
    [ "$(calls)" -ge "$1" ]
}

outbox ()
{
    farmctl news outbox --json | jq -r "$1"
}

is_idle ()
{
    [ "$(outbox '[.news[] | select (.state == "waiting")] | length')" = 0 ]
}

# last_is STATE: the newest of the outbox
last_is ()
{
    [ "$(outbox '.news[0].state')" = "$1" ]
}

submit_bad ()
{
    run 3 farmctl submit --platform "$native" -t "$REGISTRY/news/app:$1" "$bad"
}

submit_good ()
{
    echo "$RANDOM$RANDOM" > "$good/own"
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/news/app:$1" "$good"
}

# -- settings and addresses -------------------------------------------------------------------------------------------

a_password_that_others_can_read_is_refused ()
{
    cp "$work/mail/password" "$work/open"
    chmod 640 "$work/open"
    run 2 farm-coordinator "--state=$work/other" --mail-server=smtp://127.0.0.1:1 --mail-from=farm@example.com --mail-user=farm "--mail-password-file=$work/open"
    expect_text "$work/err" "mail/password-file" "can be read by others" "chmod 600"
    run 2 farm-coordinator "--state=$work/other" --mail-server=smtp://127.0.0.1:1 --mail-from=farm@example.com --mail-user=farm \
        "--mail-password-file=$work/mail/password" --mail-tls=no
    expect_text "$work/err" "for all to read"
}

bad_addresses_are_refused ()
{
    local address
    for address in $'ann@example.com\r\nBcc: x@example.com' "ann" "a b@example.com" "<ann@example.com>"; do
        run 2 farmctl news add wrong --mail "$address"
    done
    run 2 farmctl news add wrong --hook "https://127.0.0.1:1/ok"
    expect_text "$work/err" "is an address inside" "hook/inside"
    run 2 farmctl news add wrong --hook "http://example.com/"
    run 2 farmctl news add wrong
    run 2 farmctl news add wrong --mail ann@example.com --on failed,never
    expect_text "$work/err" '"never" is no event'
    expect "subscribers" "$(farmctl news ls --json | jq '.subscribers | length')" 0
}

# -- mail --------------------------------------------------------------------------------------------------------------

a_test_arrives ()
{
    run 0 farmctl news add mine --mail ann@example.com
    run 0 farmctl news test mine
    expect_text "$work/err" "it has arrived"
    expect "the envelope" "$(jq -c '[.tls, .user, .to[0]]' "$work/mail/mail-1.json")" '[true,"farm","TO:<ann@example.com>"]'
    expect "the title" "$(mail 1 subject)" "[archfarm] the farm says hello: this is a test, and nothing has happened"
}

a_failure_is_told ()
{
    local before
    before=$(mails)
    submit_bad 1
    wait_for 20 has_mails $((before + 1))
    mail $((before + 1)) body > "$work/text"
    expect_text "$work/text" "$native, " "Error 2" "grün ✓ about to fail" "farmctl logs" "build      " "$REGISTRY/news/app:1"
    [[ $(head -2 "$work/text") == "$native, "*$'\n'"make: *** [Makefile:3: test] Error 2" ]] || { cat "$work/text"; return 1; }
    [[ $(mail $((before + 1)) subject) == "[archfarm] build "*" failed: $native, "* ]] || { mail $((before + 1)) subject; return 1; }
    expect "who it is from" "$(mail $((before + 1)) from)" "archfarm <farm@example.com>"
    expect "nobody's holiday" "$(mail $((before + 1)) auto-submitted)" auto-generated
}

the_same_is_not_told_again ()
{
    local before first
    before=$(mails)
    submit_bad 2
    submit_bad 1
    submit_good 1
    wait_for 20 has_mails $((before + 1))
    wait_for 20 is_idle
    expect "mails" "$(mails)" $((before + 1))
    first=$(mail "$before" message-id)
    expect "the answer" "$(mail $((before + 1)) in-reply-to)" "$first"
    expect "the thread" "$(mail $((before + 1)) references)" "$first"
    [[ $(mail $((before + 1)) subject) == *"is fixed: build "* ]] || { mail $((before + 1)) subject; return 1; }
}

# In the queue's row, in a header and in the text it is what it was.
other_alphabets_arrive ()
{
    local before other
    before=$(mails)
    other=$(context other <<'END'
FROM %BASE%
RUN echo "äöü 日本語 $(printf '\033[31m')red" && false # größer ✓ ungewöhnlich
END
    )
    run 3 farmctl submit --platform "$native" -t "$REGISTRY/news/other:1" "$other"
    wait_for 20 has_mails $((before + 1))
    expect "lines that are too long" "$(awk 'length ($0) > 998' "$work/mail/mail-$((before + 1))" | wc -l)" 0
    expect "bytes that are no ASCII" "$(LC_ALL=C grep -c $'[\x80-\xff]' "$work/mail/mail-$((before + 1))" || true)" 0
    mail $((before + 1)) body > "$work/text"
    expect_text "$work/text" "äöü 日本語 [31mred" "größer"
    mail $((before + 1)) subject > "$work/subject"
    expect_text "$work/subject" "äöü 日本語"
    ! grep -q $'\033' "$work/text"
}

a_server_that_is_busy_gets_it_later ()
{
    local before
    before=$(mails)
    echo busy > "$work/mail/mode"
    submit_bad busy
    wait_for 20 has_tried 2
    expect_text "$work/tried" "RCPT failed: 451"
    rm "$work/mail/mode"
    wait_for 20 has_mails $((before + 1))
    submit_good busy
    wait_for 20 has_mails $((before + 2))
}

has_tried ()
{
    outbox '.news[0] | "\(.tries) \(.state) \(.text)"' > "$work/tried"
    [ "$(cut -d' ' -f1 "$work/tried")" -ge "$1" ]
}

no_for_good_is_given_up ()
{
    echo refuse > "$work/mail/mode"
    submit_bad refused
    wait_for 20 last_is given-up
    expect_text <(outbox '.news[0].text') "550"
    rm "$work/mail/mode"
    farmctl audit show > "$work/audit"
    expect_text "$work/audit" "deliver" "given up after 1 tries"
    run 0 farmctl news retry all
    wait_for 20 last_is sent
    submit_good refused
    wait_for 20 is_idle
}

nothing_leaves_without_tls ()
{
    local before
    before=$(mails)
    echo plain > "$work/mail/mode"
    run 1 farmctl news test mine
    expect_text "$work/err" "the test did not arrive" "TLS"
    echo hang > "$work/mail/mode"
    run 1 farmctl news test mine
    expect_text "$work/err" "did not arrive"
    rm "$work/mail/mode"
    echo "wrong" > "$work/password"             # of the farm alone: the server has its own
    run 1 farmctl news test mine
    expect_text "$work/err" "check mail/user and mail/password-file"
    chmod 644 "$work/password"
    run 1 farmctl news test mine
    expect_text "$work/err" "can be read by others"
    expect "mails" "$(mails)" "$before"
    chmod 600 "$work/password"
    cat "$work/mail/password" > "$work/password"
    run 0 farmctl news test mine                # read anew for each mail
}

mail_goes_over_smtps_too ()
{
    local before
    before=$(mails)
    echo smtps > "$work/mail/mode"
    coordinator_restart mail/server "smtps://127.0.0.1:$(cat "$work/mail/port")"
    run 0 farmctl news test mine
    expect "the envelope" "$(jq -c '[.tls, .user]' "$work/mail/mail-$((before + 1)).json")" '[true,"farm"]'
    coordinator_restart mail/ca-file /etc/ssl/certs/ca-certificates.crt
    run 1 farmctl news test mine                # an authority that nobody knows
    expect_text "$work/err" "certificate"
    rm "$work/mail/mode"
    coordinator_restart mail/server "smtp://127.0.0.1:$(cat "$work/mail/port")"
    run 1 farmctl news test mine
    expect_text "$work/err" "certificate"
    coordinator_restart mail/ca-file "$work/tls/ca.crt"
    expect "mails" "$(mails)" $((before + 1))
}

# Whoever wrote that one had no farm in mind.
a_server_of_another_hand_takes_it ()
{
    python3 -W ignore -c 'import smtpd' 2> /dev/null || skip "this Python has no smtpd any more"
    mkdir "$work/smtpd"
    cat > "$work/another.py" <<'END'
import asyncore, os, smtpd, sys
class Server(smtpd.SMTPServer):
    def process_message(self, peer, mailfrom, rcpttos, data, **_):
        keep("mail", data)
        keep("envelope", f"{mailfrom} {rcpttos}".encode())
def keep(name, data):
    with open(f"{sys.argv[1]}/{name}.new", "wb") as file:
        file.write(data)
    os.rename(f"{sys.argv[1]}/{name}.new", f"{sys.argv[1]}/{name}")
server = Server(("127.0.0.1", 0), None)
keep("port", str(server.socket.getsockname()[1]).encode())
asyncore.loop()
END
    background smtpd python3 -W ignore -B "$work/another.py" "$work/smtpd"
    wait_for 20 test -e "$work/smtpd/port"
    sed -i '/^    \(user\|password-file\) = /d' "$farm/coordinator.conf"
    coordinator_restart mail/server "smtp://127.0.0.1:$(cat "$work/smtpd/port")" mail/tls no
    submit_bad another
    wait_for 20 test -e "$work/smtpd/envelope"
    expect "the envelope" "$(cat "$work/smtpd/envelope")" "farm@example.com ['ann@example.com']"
    [[ $(mail_read "$work/smtpd/mail" subject) == "[archfarm] build "*" failed: $native, "* ]]
    mail_read "$work/smtpd/mail" body > "$work/text"
    expect_text "$work/text" "make: *** [Makefile:3: test] Error 2" "grün ✓ about to fail" "$REGISTRY/news/app:another"
    coordinator_restart "${mail_settings[@]}" mail/tls yes
    background_end smtpd
    submit_good another
    wait_for 20 is_idle
}

# -- hooks -------------------------------------------------------------------------------------------------------------

# call N: its signature holds, and its document is what the schema says
check_call ()
{
    python3 -B - "$work/hooks/call-$1" "$2" <<'END'
import base64
import hashlib
import hmac
import json
import sys
import time
with open(sys.argv[1], encoding="utf-8") as file:
    call = json.load(file)
key = base64.b64decode(sys.argv[2].removeprefix("whsec_"))
headers = call["headers"]
signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{call['body']}".encode()
wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
assert headers["webhook-signature"] == wanted, (headers["webhook-signature"], wanted)
assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
assert headers["content-type"] == "application/json"
document = json.loads(call["body"])
assert document["id"] == headers["webhook-id"]
END
    jq -r .body "$work/hooks/call-$1" > "$work/document"
    python3 -B "$top_srcdir/tests/lib/check_json.py" "$top_srcdir/schema/output.json" news-hook < "$work/document"
}

a_hook_is_signed ()
{
    local secret before
    run 0 farmctl news add hook --hook "$hooks/ok"
    secret=$(cat "$work/out")
    [[ $secret == whsec_* ]] || { echo "no secret: $secret"; return 1; }
    before=$(calls)
    submit_bad hook
    wait_for 20 has_calls $((before + 1))
    check_call $((before + 1)) "$secret"
    expect "the document" "$(jq -c '[.event, .platform, .build.user, .exit_status]' "$work/document")" "[\"failed\",\"$native\",\"admin\",2]"
    expect_text "$work/document" "grün ✓ about to fail"
    submit_good hook
    wait_for 20 has_calls $((before + 2))
    expect "the thread" "$(jq -r '.body | fromjson | .thread' "$work/hooks/call-$((before + 2))")" "$(jq -r .id "$work/document")"
    ! grep -q "${secret#whsec_}" "$farm/coordinator.log"
    run 0 farmctl news rm hook
}

# tested PATH TEXT…: a hook there is told that the test did not arrive, within the time
tested ()
{
    local path=$1 since=$SECONDS
    shift
    run 0 farmctl news add there --hook "$hooks/$path" --replace
    run 1 farmctl news test there
    expect_text "$work/err" "did not arrive" "$@"
    [ $((SECONDS - since)) -lt 15 ]
}

receivers_may_do_as_they_like ()
{
    local before
    before=$(find "$work/hooks" -name 'call-*' -exec grep -l '"/ok"' {} + | wc -l)
    tested redirect "302, a redirect, which is not followed"
    expect "calls behind the redirect" "$(find "$work/hooks" -name 'call-*' -exec grep -l '"/ok"' {} + | wc -l)" "$before"
    tested hang "Operation timed out"
    tested nonsense
    tested gone "410"
    tested busy "503"
    for before in lie headers; do               # it has said that it has it
        run 0 farmctl news add there --hook "$hooks/$before" --replace
        run 0 farmctl news test there
    done
    run 0 farmctl news rm there
}

# A name that means an address inside when it is connected to, whatever it meant before
a_name_does_not_lead_inside ()
{
    getent hosts localhost > /dev/null || skip "localhost has no address"
    run 0 farmctl news add there --hook "https://localhost:$(cat "$work/hooks/port")/ok" --replace
    run 1 farmctl news test there
    expect_text "$work/err" "lies inside"
    run 0 farmctl news rm there
}

a_receiver_that_hangs_holds_up_nobody ()
{
    local before i
    for i in 1 2 3 4 5 6; do
        run 0 farmctl news add "hang$i" --hook "$hooks/hang?$i"
    done
    run 0 farmctl news add fine --hook "$hooks/ok"
    before=$(mails)
    submit_bad hanging
    wait_for 5 has_mails $((before + 1))
    wait_for 5 fine_was_called
    for i in 1 2 3 4 5 6; do
        run 0 farmctl news rm "hang$i"
    done
    run 0 farmctl news rm fine
    submit_good hanging
    wait_for 30 is_idle
}

fine_was_called ()
{
    [ "$(outbox '[.news[] | select (.name == "fine" and .state == "sent")] | length')" -ge 1 ]
}

a_receiver_that_is_back_gets_it ()
{
    run 0 farmctl news add later --hook "$hooks/busy?later"
    submit_bad later
    wait_for 20 later_has_tried 3
    touch "$work/hooks/fine"
    wait_for 30 later_is_sent
    expect "ids" "$(find "$work/hooks" -name 'call-*' -exec jq -r 'select (.path == "/busy?later") | .headers["webhook-id"]' {} + | sort -u | wc -l)" 1
    run 0 farmctl news rm later
    submit_good later
    wait_for 20 is_idle
}

later_has_tried ()
{
    [ "$(outbox '[.news[] | select (.name == "later") | .tries] | max')" -ge "$1" ]
}

later_is_sent ()
{
    [ "$(outbox '[.news[] | select (.name == "later" and .state == "sent")] | length')" = 1 ]
}

# -- kills -------------------------------------------------------------------------------------------------------------

# Between the event and its delivery: it is delivered after the start.
a_killed_coordinator_tells_it_all_the_same ()
{
    local before
    coordinator_restart news/gather-ms 8000
    before=$(mails)
    submit_bad killed
    expect "waiting" "$(outbox '.news[0].state')" waiting
    farm_kill coordinator
    expect "mails" "$(mails)" "$before"
    coordinator_restart news/gather-ms 300
    wait_for 30 has_mails $((before + 1))
    submit_good killed
    wait_for 20 is_idle
}

# Between the delivery and its being taken down: it is sent again, under the same id.
what_is_sent_twice_can_be_told ()
{
    local before
    before=$(mails)
    echo forget > "$work/mail/mode"
    submit_bad twice
    wait_for 20 has_mails $((before + 1))
    farm_kill coordinator
    rm "$work/mail/mode"
    coordinator_restart
    wait_for 30 has_mails $((before + 2))
    wait_for 20 is_idle
    expect "the id" "$(mail $((before + 2)) message-id)" "$(mail $((before + 1)) message-id)"
    expect "the title" "$(mail $((before + 2)) subject)" "$(mail $((before + 1)) subject)"
}

# -- schedules and workers ---------------------------------------------------------------------------------------------

a_schedule_brings_its_news ()
{
    local before
    before=$(mails)
    run 2 farmctl schedule add nightly --cron '30 2 * * *' --mail "no address" --platform "$native" -t "$REGISTRY/news/nightly:1" "$bad"
    expect "schedules" "$(farmctl schedule ls --json | jq '.schedules | length')" 0
    run 0 farmctl schedule add nightly --cron '30 2 * * *' --mail night@example.com --hook "$hooks/ok" --platform "$native" -t "$REGISTRY/news/nightly:1" "$bad"
    expect_text "$work/err" "news nightly-mail" "whsec_"
    run 0 farmctl schedule inspect nightly
    expect_text "$work/out" "nightly-mail to night@example.com" "nightly-hook to ${hooks%/}/…" "mine to ann@example.com"
    farmctl schedule inspect nightly --json | expect_json schedule
    run 3 farmctl wait "$(farmctl schedule run nightly)"
    wait_for 20 has_mails $((before + 2))       # ann@example.com's too: they are the user's builds
    expect "who" "$(jq -r '.to[0]' "$work/mail/mail-$((before + 1)).json" "$work/mail/mail-$((before + 2)).json" | sort | tr '\n' ' ')" \
        "TO:<ann@example.com> TO:<night@example.com> "
    [[ $(mail $((before + 1)) subject) == "[archfarm] nightly failed: $native, "* ]] || { mail $((before + 1)) subject; return 1; }
    run 0 farmctl schedule rm nightly
    expect "subscribers" "$(farmctl news ls --json | jq -r '[.subscribers[].name] | join (" ")')" mine
}

a_board_that_is_down_is_one_mail ()
{
    local before
    coordinator_restart news/lost-ms 3000
    wait_for 30 has_worker "worker-$native_name"
    [ ! -e "$farm/worker-$foreign_name.pid" ] || wait_for 30 has_worker "worker-$foreign_name"
    run 0 farmctl news add ops --farm --mail ops@example.com --on lost,failed,fixed
    before=$(mails)
    farm_kill "worker-$native_name"
    wait_for 30 has_mails $((before + 1))
    [[ $(mail $((before + 1)) subject) == *"worker worker-$native_name is lost"* ]] || { mail $((before + 1)) subject; return 1; }
    devfarm start "worker-$native_name"
    wait_for 60 has_worker "worker-$native_name"
    wait_for 20 has_mails $((before + 2))
    [[ $(mail $((before + 2)) subject) == *"worker worker-$native_name is fixed: it is back"* ]] || { mail $((before + 2)) subject; return 1; }
    expect "the answer" "$(mail $((before + 2)) in-reply-to)" "$(mail $((before + 1)) message-id)"
}

check "a password that others can read is refused" a_password_that_others_can_read_is_refused
check "addresses that could do harm are refused" bad_addresses_are_refused
check "a test arrives, over STARTTLS and with a password" a_test_arrives
check "a failed build is told with platform, step and last words" a_failure_is_told
check "the same cause is not told again, and its end is in the thread" the_same_is_not_told_again
check "other alphabets arrive, terminal sequences do not" other_alphabets_arrive
check "a mail server that is busy gets it later" a_server_that_is_busy_gets_it_later
check "no for good is given up, told, and tried again on demand" no_for_good_is_given_up
check "nothing leaves without TLS, and a server that hangs has its time" nothing_leaves_without_tls
check "mail goes over TLS from the first byte on too, and never with a wrong certificate" mail_goes_over_smtps_too
check "the SMTP server of Python's own library takes it, where no TLS is asked for" a_server_of_another_hand_takes_it
check "a hook is signed, and has a document of the schema" a_hook_is_signed
check "a receiver may redirect, hang, lie and talk without end" receivers_may_do_as_they_like
check "a name does not lead to an address inside" a_name_does_not_lead_inside
check "a receiver that hangs holds up nobody else" a_receiver_that_hangs_holds_up_nobody
check "a receiver that is back gets what it has missed" a_receiver_that_is_back_gets_it
check "a coordinator that is killed before it has told it does so later" a_killed_coordinator_tells_it_all_the_same
check "what is sent twice has one id" what_is_sent_twice_can_be_told
check "a schedule brings its news, and takes them with it" a_schedule_brings_its_news
check "a board that is down is one mail, and one when it is back" a_board_that_is_down_is_one_mail
farm_end
