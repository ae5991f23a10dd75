#!/bin/bash
# schedules.sh - builds by the clock, on a farm: added, looked at, run by hand, each minute; unchanged until the base image changes; once for
# each time though the coordinator is killed; on the full minute, which comes while all that goes on.
. "${top_srcdir:-.}/tests/lib/farm.sh"
farm_up
skopeo copy -q --all --src-tls-verify=false --dest-tls-verify=false "docker://$base" "docker://$REGISTRY/sched/base:1"
app=$(context app <<END
FROM $REGISTRY/sched/base:1
COPY own /own
END
)
echo one > "$app/own"

schedule ()
{
    farmctl schedule inspect "$1" --json | jq -r "$2"
}

says ()
{
    [ "$(schedule "$1" "$2")" = "$3" ]
}

wrong_ones_are_refused ()
{
    run 2 farmctl schedule add x --cron '30 25 * * *' -t "$REGISTRY/sched/app" "$app"
    expect_text "$work/err" 'hour "25": it can be 0 to 23'
    run 2 farmctl schedule add x --cron '@daily' --tz Europe/Nowhere -t "$REGISTRY/sched/app" "$app"
    expect_text "$work/err" 'there is no time zone Europe/Nowhere'
    run 2 farmctl schedule add x -t "$REGISTRY/sched/app" "$app"
    expect_text "$work/err" 'say when with --cron'
    run 2 farmctl schedule add x --cron @daily -t "$REGISTRY/sched/app:{commit}" "$app"
    expect_text "$work/err" 'a folder or an archive, and has no commit'
    run 2 farmctl schedule add x --cron @daily -t "$REGISTRY/sched/app:{when}" "$app"
    run 2 farmctl schedule add x --cron @daily --secret id=a,src=/dev/null -t "$REGISTRY/sched/app" "$app"
    run 2 farmctl schedule add x --cron @daily --detach -t "$REGISTRY/sched/app" "$app"
    run 2 farmctl schedule add 'a b' --cron @daily -t "$REGISTRY/sched/app" "$app"
    run 2 farmctl schedule add x --cron @daily --overlap never -t "$REGISTRY/sched/app" "$app"
    run 2 farmctl schedule inspect x
    expect_text "$work/err" 'there is no schedule x'
    run 2 farmctl schedule stop x
    expect "schedules" "$(farmctl schedule ls --json | jq -c .schedules)" "[]"
}
check "what cannot be is said before a context is read" wrong_ones_are_refused

by_hand ()
{
    run 0 farmctl schedule add yearly --cron '30 2 1 jan *' --tz Europe/Berlin --priority high --platform "$native" -t "$REGISTRY/sched/app:y-{date}-{build}" -f "$app/Dockerfile" "$app"
    expect_text "$work/err" '-01-01T02:30+01:00 (Europe/Berlin)'
    run 2 farmctl schedule add yearly --cron '@yearly' --platform "$native" -t "$REGISTRY/sched/app" "$app"
    expect_text "$work/err" '--replace changes it'
    run 0 farmctl schedule next yearly -n 2
    expect "next times" "$(sed 's/^20[0-9][0-9]//' "$work/out" | tr '\n' ' ')" "-01-01T02:30+01:00 -01-01T02:30+01:00 "
    run 0 farmctl schedule next yearly
    expect "times without -n" "$(wc -l < "$work/out")" 5
    farmctl schedule next yearly --json | expect_json schedule-times
    farmctl schedule run yearly --json > "$work/run.json"
    expect_json schedule-run < "$work/run.json"
    local build
    build=$(jq .build "$work/run.json")
    run 0 farmctl wait "$build"
    expect "its schedule" "$(field "$build" .schedule)" yearly
    has_tag sched/app "y-$(TZ=Europe/Berlin date +%F)-$build" || has_tag sched/app "y-$(TZ=Europe/Berlin date -d yesterday +%F)-$build"
    expect "outcome" "$(schedule yearly '.last | "\(.outcome) \(.build_state) \(.by_hand)"')" "built published true"
    farmctl schedule ls --json | expect_json schedules
    farmctl schedule inspect yearly --json | expect_json schedule
    run 0 farmctl schedule ls
    expect_text "$work/out" "build $build published"
    run 0 farmctl schedule inspect yearly
    expect_text "$work/out" 'Europe/Berlin'
    grep -qE '^priority +high$' "$work/out"
    run 0 farmctl schedule pause yearly
    expect "state" "$(schedule yearly .state)" paused
    run 0 farmctl schedule inspect yearly
    expect_no_text "$work/out" "next  "
    run 0 farmctl schedule resume yearly
    run 0 farmctl schedule rm yearly
    run 2 farmctl schedule run yearly
}
check "one is added, run by hand, paused, resumed and removed" by_hand

in_its_time ()
{
    run 0 farmctl schedule add minutely --cron '* * * * *' --if-changed --catch-up last --platform "$native" -t "$REGISTRY/sched/app:new" "$app"
    schedule_is_due minutely
    wait_for 60 says minutely .last.build_state published
    schedule minutely .last.build > "$work/first"
    schedule_is_due minutely
    wait_for 30 says minutely .last.outcome unchanged
    expect "unchanged since" "$(schedule minutely .unchanged_since)" "$(cat "$work/first")"
    run 0 farmctl schedule ls
    expect_text "$work/out" "unchanged since $(cat "$work/first")"
}
check "in its time, and nothing is built where nothing has changed" in_its_time

another_base ()
{
    printf 'FROM %s\nRUN echo two > /two\n' "$base" > "$app/Dockerfile"
    run 0 farmctl submit --platform "$native" -t "$REGISTRY/sched/base:1" "$app"
    schedule_is_due minutely
    wait_for 60 says minutely "[.firings[] | select (.build_state == \"published\" and .build != $(cat "$work/first"))] | length" 1
    expect_text <(schedule minutely '.firings[].text') "the base image $REGISTRY/sched/base:1 has changed"
}
check "another base image has it built again" another_base

# Somewhere around its time, twelve times. What was not fired before a kill is fired after the start.
killed ()
{
    local set=0
    run 0 farmctl schedule add killed --cron @yearly --overlap queue --platform "$native" -t "$REGISTRY/sched/killed:{build}" "$app"
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
        farm_kill coordinator
        set=$((set + $(schedule_set_due killed "next_ms > unixepoch () * 1000 + 60000" | wc -l)))
        devfarm start coordinator
        sleep "0.$((RANDOM % 10))"
    done
    wait_for 20 farm_is_up
    wait_for 90 says killed '[.firings[] | select (.outcome == "looking" or .outcome == "running" or .outcome == "waiting")] | length' 0
    devfarm stop coordinator
    [ $set -ge 6 ]
    expect "times fired" "$(farm_sql "SELECT count (*) FROM firings JOIN schedules ON schedules.id = schedule WHERE name = 'killed'")" $set
    expect "builds of one request" "$(farm_sql "SELECT count (*) - count (DISTINCT request) FROM builds")" 0
    expect "builds" "$(farm_sql "SELECT count (*) FROM builds WHERE spec LIKE '%sched/killed%'")" \
        "$(farm_sql "SELECT count (*) FROM firings JOIN schedules ON schedules.id = schedule WHERE name = 'killed' AND outcome = 'built'")"
    expect "classes, 0 being high" "$(farm_sql "SELECT group_concat (DISTINCT jobs.class) FROM jobs JOIN builds ON builds.id = build WHERE spec LIKE '%sched/app:y-%'")" 0
    expect "classes, 2 being low" "$(farm_sql "SELECT group_concat (DISTINCT jobs.class) FROM jobs JOIN builds ON builds.id = build WHERE spec LIKE '%sched/killed:%'")" 2
    devfarm start coordinator
}
check "killed again and again, the coordinator fires each time once" killed

each_minute ()
{
    wait_for 90 says minutely '[.firings[].scheduled_ms | select (. % 60000 == 0)] | length >= 1' true
}
check "on the full minute, whatever else goes on" each_minute
farm_end
