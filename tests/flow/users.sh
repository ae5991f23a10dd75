#!/bin/bash
# Who comes to the farm, what they may do there, and how they leave it: with the real programs and their keys.
. "${top_srcdir:-.}/tests/lib/farm.sh"
. "$top_srcdir/tests/lib/users.sh"
farm_up

a_user_joins_with_a_string_that_works_once ()
{
    local string
    string=$(farmctl user add ann 2> "$work/note") || return
    grep -q 'works once, within 1h' "$work/note" || return
    mkdir -p "$work/ann" "$work/thief"
    as ann join "$string" 2> "$work/err" && grep -q ' as ann; ' "$work/err" || { cat "$work/err"; return 1; }
    [ "$(stat -c %a "$work/ann/farmctl.key")" = 600 ] || return
    as ann ls > /dev/null || return
    run 1 as thief join "$string" && grep -q 'used already' "$work/err" || return
    as ann join "$string"
}

a_string_expires ()
{
    local string
    string=$(farmctl user add late --expire 1 2> /dev/null) || return
    mkdir -p "$work/late"
    wait_for 10 is_expired late || return
    run 1 as late join "$string" && grep -q 'has expired' "$work/err"
}

is_expired ()
{
    [ "$(farmctl user ls --json | jq -r --arg name "$1" '.users[] | select (.name == $name) | .state')" = expired ]
}

others_builds_are_not_seen ()
{
    local folder build
    user_add bob || return
    folder=$(slow_context seen 2) || return
    build=$(as ann submit -q --detach -t "$REGISTRY/team/seen:1" "$folder") || return
    as ann wait -q "$build" > /dev/null || return
    as ann logs "$build" | grep -q 'slow ends' || return
    [ "$(as bob ls --json | jq '.builds | length')" = 0 ] || return
    run 1 as bob inspect "$build" && grep -q 'somebody else' "$work/err" || return
    run 1 as bob logs "$build" || return
    run 1 as bob cancel "$build"
}

a_viewer_sees_all_and_changes_nothing ()
{
    user_add vic --role viewer || return
    [ "$(as vic ls --json | jq '.builds | length')" -gt 0 ] || return
    as vic logs "$(as vic ls --json | jq '.builds[0].id')" | grep -q 'slow ends' || return
    run 1 as vic submit -t "$REGISTRY/vic:1" "$work/seen" && grep -q 'role may not do that: here you are vic, with the role viewer' "$work/err" || return
    run 1 as vic user ls
}

limits_are_kept ()
{
    local folder
    folder=$(context waits <<< 'FROM scratch')
    user_add eve --repository 'team/*' --max-queued 1 || return
    run 1 as eve submit -t "$REGISTRY/other/app:1" "$work/seen" && grep -q 'only to \["team/\*"\]' "$work/err" || return
    as eve submit -q --detach -t "$REGISTRY/team/eve:1" --platform linux/s390x "$folder" > "$work/id" || return
    run 1 as eve submit -q --detach -t "$REGISTRY/team/eve:1" --platform linux/s390x "$folder" && grep -q 'are queued' "$work/err" || return
    farmctl user limit eve --max-queued none || return
    as eve submit -q --detach -t "$REGISTRY/team/eve:1" --platform linux/s390x "$folder" > /dev/null || return
    farmctl user ls --json | expect_json users
}

# There is a free worker: what holds the second is the limit. It ends once that is raised, and the first goes on.
a_limit_of_running_builds_holds_the_next_back ()
{
    local first second
    worker_add free || return
    user_add kim --max-running 1 || return
    first=$(as kim submit -q --detach -t "$REGISTRY/team/kim:1" "$(slow_context long 600)") || return
    wait_said "$first" 'slow begins' || return
    second=$(as kim submit -q --detach -t "$REGISTRY/team/kim:2" "$(slow_context short 0)") || return
    as kim inspect "$second" > "$work/out" && grep -q 'kim may have 1 builds at work: it waits for one of them to end' "$work/out" || { cat "$work/out"; return 1; }
    expect "the second" "$(field "$second" .state)" queued || return
    farmctl user limit --json kim --max-running 2 | expect_json user || return
    wait_state "$second" published || return
    expect "the first" "$(field "$first" .state)" running || return
    as kim cancel "$first" > /dev/null && background_end free
}

a_submitter_becomes_a_viewer ()
{
    local folder=$work/waits build
    user_add dan || return
    build=$(as dan submit -q --detach -t "$REGISTRY/team/dan:1" --platform linux/s390x "$folder") || return
    run 2 farmctl user role nobody viewer || return
    run 1 as bob user role bob admin || return
    farmctl user role --json dan viewer | expect_json user || return
    run 1 as dan submit -q --detach -t "$REGISTRY/team/dan:2" --platform linux/s390x "$folder" || return
    grep -q 'role may not do that: here you are dan, with the role viewer' "$work/err" || { cat "$work/err"; return 1; }
    run 1 as dan cancel "$build" || return
    expect "what was taken" "$(field "$build" .state)" queued || return
    as dan logs "$(as ann ls --json | jq '.builds[0].id')" > "$work/out" && grep -q 'slow ends' "$work/out" || return
    farmctl user role dan submitter > /dev/null || return
    as dan cancel "$build" > /dev/null && run 1 as dan logs "$(as ann ls --json | jq '.builds[0].id')"
}

a_right_is_taken_back ()
{
    farmctl user rm --json eve | expect_json revoked || return
    wait_state "$(cat "$work/id")" cancelled || return
    run 1 as eve ls || return
    run 2 farmctl user rm eve && grep -q 'there is no user eve' "$work/err" || return
    run 2 farmctl user rm admin && grep -q 'last admin' "$work/err"
}

a_worker_is_invited_and_its_right_taken_back ()
{
    local string
    string=$(farmctl worker invite --json pi9 | tee >(expect_json invited > "$work/schema") | jq -r .join) || return
    sed -e "s|^state = .*|state = \"$work/pi9\"|" -e "s|^name = .*|name = \"elsewhere\"|" "$farm/worker-$native_name.conf" > "$work/pi9.conf"
    farm-worker join "$string" -c "$work/pi9.conf" > "$work/pi9-join.log" || return
    background pi9 farm-worker -c "$work/pi9.conf"
    wait_for 60 is_connected pi9 || return
    farmctl worker revoke pi9 || return
    run 2 farmctl worker inspect pi9 || return
    wait_for 30 grep -q 'not known here' "$work/pi9.log"
}


# Changed, and cut off, while the coordinator is down
the_audit_log_tells_it_all ()
{
    farmctl audit show --json > "$work/audit" || return
    expect_json audit < "$work/audit" || return
    jq -e 'any(.rows[]; .act == "start" and .subject == "admin" and .outcome == "done")' "$work/audit" > /dev/null || return
    jq -e 'any(.rows[]; .act == "invite" and .subject == "ann" and .outcome == "done")' "$work/audit" > /dev/null || return
    jq -e 'any(.rows[]; .who == "vic" and .outcome == "denied")' "$work/audit" > /dev/null || return
    jq -e 'any(.rows[]; .act == "connect" and .who == "eve" and .outcome == "denied")' "$work/audit" > /dev/null || return
    run 1 as bob audit show || return
    farmctl audit verify --json | expect_json audit-verified || return
    devfarm stop coordinator && cp "$farm/coordinator/farm.db" "$work/kept.db" || return
    farm_write "UPDATE audit SET who = 'nobody' WHERE id = 2" || return
    devfarm start coordinator && run 6 farmctl audit verify && grep -q 'row 2 ' "$work/err" || return
    devfarm stop coordinator && cp "$work/kept.db" "$farm/coordinator/farm.db" || return
    farm_write "DELETE FROM audit WHERE id > (SELECT max (id) - 3 FROM audit)" || return
    devfarm start coordinator && grep -q 'the audit log is not what it was' "$farm/coordinator.log" || return
    run 6 farmctl audit verify
}

farm_write ()
{
    python3 - "$farm/coordinator/farm.db" "$1" <<'EOF'
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as db: db.execute(sys.argv[2])
EOF
}

check "a user joins with a string that works once" a_user_joins_with_a_string_that_works_once
check "a string expires" a_string_expires
check "others' builds are not seen" others_builds_are_not_seen
check "a viewer sees all and changes nothing" a_viewer_sees_all_and_changes_nothing
check "limits are kept" limits_are_kept
check "a limit of running builds holds the next back" a_limit_of_running_builds_holds_the_next_back
check "a submitter becomes a viewer" a_submitter_becomes_a_viewer
check "a right is taken back" a_right_is_taken_back
check "a worker is invited, and its right taken back" a_worker_is_invited_and_its_right_taken_back
check "the audit log tells it all" the_audit_log_tells_it_all
farm_end
