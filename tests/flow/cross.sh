#!/bin/bash
# cross.sh - platforms that are built on two workers, and published only where both have made the same image (--cross-check).
. "${top_srcdir:-.}/tests/lib/farm.sh"
farm_up

cross () { run "$1" farmctl submit --cross-check --platform "$native" -t "$REGISTRY/cross:$2" "${@:3}"; }

same=$(context same <<< 'FROM %BASE%
WORKDIR /work
COPY file /file
RUN echo made > /made; mkdir -p /a/b; ln -s /made /a/link; chmod 4755 /made
LABEL x=y')
echo content > "$same/file"

first_is_done () { [ "$(field "$(cat "$work/number")" '.jobs[0] | [.state, .attempts[0].state] | join (" ")')" = "queued done" ]; }

alone ()
{
    cross 4 1 --queue-timeout 0 "$same"
    expect_text "$work/err" "--cross-check wants two workers for $native, and worker-$native_name is the only one"
    expect_text "$work/err" "enrol another"
    farmctl submit -q --detach --cross-check --platform "$native" -t "$REGISTRY/cross:1" "$same" > "$work/number" 2> "$work/err"
    wait_for 60 first_is_done
    run 0 farmctl inspect "$(cat "$work/number")"
    expect_text "$work/out" "is the only one that takes such jobs"
    run 0 farmctl cancel "$(cat "$work/number")"
    expect_no_tag cross 1
}
check "with one worker it says what is missing" alone

workers_of () { field "$(farmctl ls --limit 1 --json | jq '.builds[0].id')" '[.jobs[0].attempts[] | select (.state == "done") | .worker] | sort | join (" ")'; }

honest ()
{
    worker_add second
    cross 0 2 "$same"
    expect "workers" "$(workers_of)" "second worker-$native_name"
    has_tag cross 2
    cross 0 3 "$same"
    expect "workers of a build of known inputs" "$(workers_of)" "second worker-$native_name"
}
check "two honest workers make the same image" honest

chance ()
{
    local app
    app=$(context chance <<< 'FROM %BASE%
RUN cat /proc/sys/kernel/random/uuid > /id')
    cross 6 4 "$app"
    expect_text "$work/err" "two workers have made different images of it (--cross-check): layer 2: /id has another content in"
    expect_no_tag cross 4
}
check "a build that is not the same each time is told, with layer and file" chance

# As if it were the worker: its builder adds what nobody asked for.
lying_builder ()
{
    cat > "$work/lying-buildah" <<END
#!/bin/bash
args=()
for word in "\$@"; do
    args+=("\$word")
    [ "\$word" != build ] || args+=($1)
done
exec buildah "\${args[@]}"
END
    chmod +x "$work/lying-buildah"
}

liar ()
{
    background_end second
    lying_builder --label=owned=yes
    worker_add liar "$work/liar" "--builder-program=$work/lying-buildah"
    cross 6 5 "$same"
    expect_text "$work/err" "config: "
    expect_text "$work/err" 'owned'
    expect_no_tag cross 5
}
check "a worker that lies is found by another" liar

farm_end
