#!/bin/bash
# The table of times that schedules are held to (unit/cron.txt) is what a clock shows that is looked at minute by minute.
: "${top_srcdir:?}"
. "$top_srcdir/tests/lib/tap.sh"

the_table_holds ()
{
    [ -f /usr/share/zoneinfo/Europe/Berlin ] || skip "the package tzdata is missing"
    python3 -B "$top_srcdir/tests/lib/cron_oracle.py" check "$top_srcdir/tests/unit/cron.txt"
}

# One time an hour later, in a copy, is found.
a_wrong_time_is_found ()
{
    sed '0,/T02:30+00:00$/s//T03:30+00:00/' "$top_srcdir/tests/unit/cron.txt" > "$work/wrong"
    ! python3 -B "$top_srcdir/tests/lib/cron_oracle.py" check "$work/wrong" > "$work/said"
    grep -q '1 wrong$' "$work/said"
}

check "an independent clock agrees with each row of the table" the_table_holds
check "and not with a row that was changed" a_wrong_time_is_found
tap_end
